"""What laws return to those who ask: draws at targets, claims, and densities of what was left out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Predicted:
    """Draws of losses at targets.

    Parameters
    ----------
    targets
        One row a target.
    draws
        Losses in the fit's unit, [chain, draw, target].
    numbers
        Which draws of each chain they are from, [draw].
    samples
        On which samples: ``"same"``, ``"new"``, or ``"all"`` for a law itself.
    extrapolation
        Distance from what was seen, [target].
    """

    targets: pd.DataFrame
    draws: np.ndarray
    numbers: np.ndarray
    samples: str
    extrapolation: np.ndarray


@dataclass(frozen=True)
class Claim:
    """A claim about a law, with its probability before and after the data.

    Parameters
    ----------
    claim
        The claim in words.
    parameter, larger, smaller
        The parameter compared, and the groups of which the claim says that the first has the larger value.
    probability, prior_probability
        Posterior and prior probability of the claim.
    unit
        Unit of the losses, or ``"per unit of log parameters"`` for exponents.
    """

    claim: str
    parameter: str
    larger: str
    smaller: str
    probability: float
    prior_probability: float
    unit: str


@dataclass(frozen=True)
class Densities:
    """Log densities of the losses left out, at draws of a posterior.

    Parameters
    ----------
    rows
        Log density of each row left out, given the rows kept, shape ``[draw, held row]``.
    joint
        Log density of all rows left out together, given the rows kept, shape ``[draw]``.
    rhat
        Largest R-hat of the draws; NaN where not known.
    divergences
        Number of divergences among the draws.
    copies
        How many successive draws were made of each independent one.
    """

    rows: np.ndarray
    joint: np.ndarray
    rhat: float = float("nan")
    divergences: int = 0
    copies: int = 1


class Refits(Protocol):
    """What a fitted law offers so that rows can be left out of it: `LawRefits` for rows, `JointRefits` for models."""

    def left_out(self, held: np.ndarray, *, seed: int) -> Densities:
        """Fit again without the rows `held`, of shape ``[row]``, and give their densities at the new draws."""
        ...

    def all_rows(self, held: np.ndarray) -> Densities | None:
        """Give the densities of the rows `held` given the others at draws of the posterior of all rows.

        None where these draws cannot stand for those without the rows.
        """
        ...
