"""When a pool is better than one bigger model, and how sure a fit makes us."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.decision.best_affordable import BEST
from bayeslaw.decision.budget_grid import some_budgets
from bayeslaw.decision.crossover_words import FEWEST_CROSSINGS, INTERVAL_KIND, sentences
from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_choice, a_level, a_number, a_seed, a_whole_number, accepts, optional, texts
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.pool_advantages import BudgetAdvantages, RegimeAdvantage
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html, answer, frame_table
from bayeslaw.pools.regimes import REGIMES
from bayeslaw.pools.rules import a_rule, sample_rules

SINGLE = "single"
KINDS = ("mean", "new")
LARGEST_SIZE = 8
BEYOND, FARTHEST = 10.0, 1000.0


@dataclass(frozen=True)
class Crossovers:
    """When pools lose less than one model of the same total parameters.

    Parameters
    ----------
    unit
        Unit of the losses.
    rule
        How pools are combined.
    kind
        ``"mean"``: of expected losses; ``"new"``: of a new pool and a new model drawn at random.
    interval, interval_kind
        Level and kind of the intervals.
    rows
        One row a regime and budget: ``regime``, ``parameters``, ``probability_better`` (that the pool loses less),
        ``advantage`` (loss of the single model minus that of the pool, median: positive, the pool is better),
        ``lower``, ``upper``, and ``extrapolation`` in ranges of log budgets.
    crossover
        One row a regime: ``regime``, ``probability_exists`` (that there is a budget in the range looked at above which
        the pool is expected to lose less), ``median``, ``lower`` and ``upper`` of it where it exists, ``low`` and
        ``high`` of the range.
    sentences
        The same in words, with what is left open.
    advantages
        The draws.
    """

    unit: str
    rule: str
    kind: str
    interval: float
    interval_kind: str
    rows: pd.DataFrame
    crossover: pd.DataFrame
    sentences: tuple[str, ...]
    advantages: BudgetAdvantages

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        rows = self.rows.drop(columns="extrapolation").to_dict(orient="records")
        crossover = self.crossover.drop(columns=["low", "high"]).to_dict(orient="records")
        return {
            "unit": self.unit,
            "rule": self.rule,
            "rows": rows,
            "crossover": crossover,
            "sentences": list(self.sentences),
        }

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def __repr__(self) -> str:
        regimes = ", ".join(self.crossover["regime"].astype(str))
        return f"<Crossovers by the rule {self.rule}, losses in {excerpt(self.unit)}: {excerpt(regimes)}>"

    def _repr_html_(self) -> Html:
        kind = f"{self.interval:.0%} {self.interval_kind} intervals"
        advantage = f"loss of the single model minus that of the pool, {self.unit}, {kind}"
        budgets: dict[str, Callable[[float], str]] = dict.fromkeys(
            ("median", "lower", "upper", "low", "high"), count_label
        )
        crossover = frame_table(self.crossover, caption=f"budget above which pools lose less, {kind}", forms=budgets)
        names = ["advantage", "lower", "upper"]
        form = loss_form(self.rows[names].to_numpy().ravel().tolist())
        forms = dict.fromkeys(names, form) | {"parameters": count_label}
        return answer(self.sentences, frame_table(self.rows, caption=advantage, forms=forms), crossover)


def _a_reach(name: str, value: Any) -> float:
    reach = a_number(lowest=1, accepted="a factor of at least 1", suggested=BEYOND)(name, value)
    if reach > FARTHEST:
        raise InputError(f"{name} is {reach:.6g}", f"a factor of at most {FARTHEST:.0f}", f"use {name}={FARTHEST:.0f}")
    return reach


def some_sizes(name: str, value: Any) -> tuple[int, ...]:
    """Read numbers of members, one or more."""
    one = a_whole_number(lowest=2, highest=LARGEST_SIZE, suggested=2)
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    return tuple(sorted({one(name, each) for each in values})) or (one(name, 0),)


def some_regimes(name: str, value: Any) -> tuple[str, ...]:
    """Read names of regimes of pools that any fit tells of."""
    known = (*(regime for regime in REGIMES if regime != SINGLE), BEST.split()[0])
    found = tuple(check_choice("regime", each, known) for each in dict.fromkeys(texts(name, value)))
    if not found:
        raise InputError(f"{name} is empty", f"one or several of {', '.join(known)}", f"leave {name} out for all")
    return found


@accepts(
    fit=a_fit,
    rule=optional(a_rule(sample_rules)),
    budgets=optional(some_budgets),
    beyond=_a_reach,
    sizes=optional(some_sizes),
    regimes=optional(some_regimes),
    kind=a_choice(KINDS),
    interval=a_level,
    seed=a_seed,
)
def when(
    fit: Fit,
    *,
    rule: str | None = None,
    budgets: Iterable[float | str] | None = None,
    beyond: float = BEYOND,
    sizes: Iterable[int] | int | None = None,
    regimes: Iterable[str] | str | None = None,
    kind: str = "mean",
    interval: float = 0.9,
    seed: int = 0,
) -> Crossovers:
    """Say when a pool is better than one model of the same total parameters, and how sure we can be.

    The advantage of a pool is the loss of the single model minus that of the pool, draw by draw of the posterior: what
    both have in common cancels, which two separate bands do not show. The crossover is the budget above which the pool
    is expected to lose less, up to the largest budget looked at: that of the last change of sign along a fine grid,
    found for each draw.

    Parameters
    ----------
    fit
        A fit of the collaboration law, which compares pools of a regime (``homogeneous``, ``heterogeneous``), of all
        sizes that were fitted, with single models; or of the joint law, which compares pools of new models of equal
        size, and the best pool of the models scored with the best of them alone. Or the path of its file.
    rule
        How pools are combined. A collaboration fit knows that of its pools alone; a joint fit takes ``"mixture"``
        (None), which can be run, ``"oracle"``, ``"best"`` (None of right and wrong answers, which cannot be mixed) or
        ``"stacked"``, whose weights are found for every pool and draw, which takes minutes.
    budgets
        Total parameters at which to compare; by default readable ones, from where all regimes were seen on.
    beyond
        How far to look, as a multiple of the largest budget seen, up to a thousand: farther no law is worth a look.
    sizes
        Numbers of members of a joint fit's pools; by default 2 and 3.
    regimes
        Of which pools to tell: ``"homogeneous"``, ``"heterogeneous"``, or of a joint fit ``"best"``, the best pool of
        the models scored; by default all.
    kind
        ``"mean"``: expected losses, by the law; ``"new"``: one new pool and one new model drawn at random, on new
        samples where the fit knows the sampling error. The crossover is that of expected losses whatever the kind.
    interval
        Level of the equal-tailed intervals.
    seed
        Seed of what is drawn.

    Returns
    -------
    Crossovers
        Tables and sentences.

    Raises
    ------
    InputError
        If the law says nothing of pools and single models, or a choice cannot be used.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> found = bl.when(pools_fit, budgets=["1B", "10B"], regimes="heterogeneous")
    >>> found.rows["parameters"].tolist()
    [1000000000.0, 10000000000.0]
    >>> print(found)  # doctest: +ELLIPSIS
    Heterogeneous pools are expected to lose less than a single model ...
    """
    # What was given has been read: tuples of numbers, or None.
    given: dict[str, Any] = {"budgets": budgets, "sizes": sizes}
    _check_reached(fit, given["budgets"] or ())
    found = kind_of(fit.law).advantages(fit, **given, beyond=beyond, rule=rule, kind=kind, seed=seed)
    found = found if regimes is None else replace(found, regimes=_chosen(found.regimes, regimes))
    return Crossovers(
        unit=fit.unit,
        rule=found.rule,
        kind=kind,
        interval=interval,
        interval_kind=INTERVAL_KIND,
        rows=pd.DataFrame([row for each in found.regimes for row in _rows(each, found.shown, interval)]),
        crossover=pd.DataFrame([_crossover(each, interval) for each in found.regimes]),
        sentences=sentences(found, unit=fit.unit, interval=interval),
        advantages=found,
    )


def _check_reached(fit: Fit, budgets: Iterable[float]) -> None:
    """Refuse budgets so far beyond those seen that the law's form alone would speak."""
    seen = float(fit.observations.covariates["parameters"].max())
    far = [budget for budget in budgets if budget > FARTHEST * seen]
    if far:
        raise InputError(
            f"the budget {count_label(far[0])} is over {FARTHEST:.0f} times the largest seen, {count_label(seen)}",
            f"budgets up to {count_label(FARTHEST * seen)}",
            "leave it out",
        )


def _chosen(found: tuple[RegimeAdvantage, ...], names: Iterable[str]) -> tuple[RegimeAdvantage, ...]:
    """Return the regimes whose names begin with one of those asked for."""
    first = {each.regime: each.regime.replace(",", "").split()[0] for each in found}
    wanted = {check_choice("regime", name, tuple(dict.fromkeys(first.values()))) for name in names}
    return tuple(each for each in found if first[each.regime] in wanted)


def _rows(regime: RegimeAdvantage, shown: tuple[float, ...], interval: float) -> list[dict[str, Any]]:
    lower, upper = np.quantile(regime.draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    return [
        {
            "regime": regime.regime,
            "parameters": float(regime.budgets[place]),
            "probability_better": float((regime.draws[:, place] > 0).mean()),
            "advantage": float(np.median(regime.draws[:, place])),
            "lower": float(lower[place]),
            "upper": float(upper[place]),
            "extrapolation": float(regime.extrapolation[place]),
        }
        for place in np.flatnonzero(np.isin(regime.budgets, shown))
    ]


def _crossover(regime: RegimeAdvantage, interval: float) -> dict[str, Any]:
    crossing = regime.crossing[np.isfinite(regime.crossing)]
    levels = [0.5, (1 - interval) / 2, (1 + interval) / 2]
    enough = len(crossing) >= FEWEST_CROSSINGS
    median, lower, upper = np.quantile(crossing, levels).tolist() if enough else [float("nan")] * 3
    return {
        "regime": regime.regime,
        "probability_exists": len(crossing) / len(regime.crossing),
        "median": median,
        "lower": lower,
        "upper": upper,
        "low": float(regime.budgets[0]),
        "high": float(regime.budgets[-1]),
    }
