"""What a law returns to those who ask when a pool pays: draws of its advantage over one model along budgets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RegimeAdvantage:
    """Draws of how much less pools of a regime lose than one model of the same budget.

    Parameters
    ----------
    regime
        Name of the regime, as it stands in tables.
    subject, other
        The pools and what they are compared with, in words: ``"heterogeneous pools"``, ``"a single model of the same
        total parameters"``.
    budgets
        Total parameters, ascending, [point].
    draws
        Loss of the single model minus loss of the pool, in the unit of the loss, [draw, point].
    extrapolation
        How far each budget lies beyond the data, in ranges of log budgets; 0 inside, [point].
    crossing
        Budget above which the pool loses less, up to the largest one, of each draw; NaN where there is none in the
        range, [draw].
    expected
        Whether the draws are of expected losses, of which `crossing` is; else of one new pool and one new model.
    steps
        Whether nothing changes between a budget and the next.
    remark
        What else a reader has to know of the regime, a sentence or nothing.
    """

    regime: str
    subject: str
    other: str
    budgets: np.ndarray
    draws: np.ndarray
    extrapolation: np.ndarray
    crossing: np.ndarray
    expected: bool = True
    steps: bool = False
    remark: str = ""


@dataclass(frozen=True)
class BudgetAdvantages:
    """The advantage of pools of some regimes along budgets.

    Parameters
    ----------
    rule
        How pools are combined.
    regimes
        The regimes.
    shown
        The budgets that a table shows, ascending.
    unanswered
        What this fit cannot tell, and which fit can, in sentences.
    suggest
        From a regime and a budget, what would tell most about which is better there, in words without a full stop.
    """

    rule: str
    regimes: tuple[RegimeAdvantage, ...]
    shown: tuple[float, ...]
    unanswered: tuple[str, ...]
    suggest: Callable[[str, float], str]


@dataclass(frozen=True)
class QuickComparison:
    """How a fit is asked when a pool pays so that it answers soon, for pages and summaries.

    Parameters
    ----------
    choices
        Arguments of `bayeslaw.when`; the others are the usual ones.
    draws
        About how many draws of the posterior are used; None for all.
    losses
        How many losses of single samples are drawn for it, which is what takes long; 0 where none are.
    remark
        What is left out for the sake of time, and how to ask for it: a sentence, or nothing.
    """

    choices: Mapping[str, Any] = field(default_factory=dict)
    draws: int | None = None
    losses: float = 0.0
    remark: str = ""
