"""When a pool of a regime pays under a law of pools by regime: its law against that of single models."""

from functools import partial

import numpy as np
import pandas as pd

from bayeslaw.decision.budget_grid import fine_budgets, readable_budgets
from bayeslaw.decision.crossings import last_crossings
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.pool_advantages import BudgetAdvantages, QuickComparison, RegimeAdvantage
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.regimes import REGIMES
from bayeslaw.pools.rules import RULES
from bayeslaw.prediction.row_prediction import draw_rows, extrapolation, law_draws

SINGLE = "single"
BUDGET = "parameters"
NEW_POINTS = 61
"""Budgets at which new pools are drawn beside those of a table: each has noise of its own."""
ANSWER = (
    "a fit of the collaboration law (bayeslaw pools TABLE --out POOLS, bayeslaw fit POOLS --law collaboration), or of "
    "the joint law (bayeslaw fit TABLE), whose table has losses on samples"
)


def no_advantages(fit: Fit, **choices: object) -> BudgetAdvantages:
    """Refuse laws that do not tell what both a pool and one model of the same budget lose."""
    raise InputError(
        f"a fit of the {fit.law.name} law does not tell what a pool and one model of as many parameters lose",
        ANSWER,
        "fit one of these laws, and ask again",
    )


def quick_comparison(fit: Fit) -> QuickComparison | None:
    """Say how `regime_advantages` answers soon: as ever, or not at all where a fit has no single models or no pools."""
    of_regimes = fit.law.group == "regime" and fit.law.covariates == (BUDGET,)
    answers = of_regimes and SINGLE in fit.model.groups and len(fit.model.groups) > 1
    return QuickComparison() if answers else None


def regime_advantages(
    fit: Fit,
    *,
    budgets: tuple[float, ...] | None,
    beyond: float,
    sizes: tuple[int, ...] | None,
    rule: str | None,
    kind: str,
    seed: int,
) -> BudgetAdvantages:
    """Compare the pools of each regime seen with single models, by the law of a fit.

    Parameters
    ----------
    fit
        A fit of a law by regime.
    budgets, beyond, sizes, rule, kind, seed
        As in `bayeslaw.when`; sizes None, since the law is of pools of all sizes seen together.

    Returns
    -------
    BudgetAdvantages
        One regime of pools after the other.

    Raises
    ------
    InputError
        If the law tells nothing of regimes, pools are of another rule, or single models or pools were not seen.
    """
    groups = fit.model.groups
    if fit.law.group != "regime" or fit.law.covariates != (BUDGET,):
        no_advantages(fit)
    _check_asked(fit, sizes, rule)
    pools = [name for name in REGIMES if name in groups and name != SINGLE]
    if SINGLE not in groups or not pools:
        raise InputError(
            f"this fit has {', '.join(groups) or 'one law for all pools'}: nothing to compare",
            "a law that differs between single models and pools, of rows of both",
            "fit with partial pooling over regimes to pools that hold single models too",
        )
    low, high = _range(fit, pools, beyond)
    shown = budgets or readable_budgets(low, high)
    grid = fine_budgets(min(low, *shown), max(high, *shown), shown)
    fitted_rule = str(fit.observations.facts.get("rule", "unknown"))
    regimes = tuple(_regime(fit, name, grid, shown, kind=kind, seed=seed) for name in pools)
    return BudgetAdvantages(fitted_rule, regimes, shown, (_unanswered(fitted_rule),), partial(_suggest, fit, seed))


def _check_asked(fit: Fit, sizes: tuple[int, ...] | None, rule: str | None) -> None:
    fitted_rule = str(fit.observations.facts.get("rule", "unknown"))
    if rule is not None and rule != fitted_rule:
        raise InputError(
            f"the rule {rule!r} was given for a fit to {fitted_rule} pools",
            f"the rule of the pools that were fitted, {fitted_rule}, or a joint fit, which takes every rule",
            f"form pools by it (bayeslaw pools TABLE --rule {rule}) and fit these, or leave out the rule",
        )
    if sizes is not None:
        raise InputError(
            f"{', '.join(map(str, sizes))} members were asked for of a law of pools by their total parameters",
            "numbers of members with a joint fit (bayeslaw fit TABLE) only",
            "leave out the size",
        )


def _range(fit: Fit, pools: list[str], beyond: float) -> tuple[float, float]:
    """Budgets from where single models and pools of every regime were seen, to beyond the largest of all."""
    budgets, index, groups = fit.observations.covariates[BUDGET], fit.model.group_index, fit.model.groups
    low = max(float(budgets[index == groups.index(name)].min()) for name in (SINGLE, *pools))
    return low, float(budgets.max()) * beyond


def _at(grid: np.ndarray, regime: str) -> pd.DataFrame:
    """Every budget for single models, then for pools of the regime."""
    return pd.DataFrame({BUDGET: np.tile(grid, 2), "regime": np.repeat([SINGLE, regime], len(grid))})


def _less(losses: np.ndarray) -> np.ndarray:
    """Loss of single models minus that of pools, of the losses at `_at`, [draw, 2 * point]."""
    single, pool = np.split(losses, 2, axis=1)
    return single - pool


def _regime(
    fit: Fit, regime: str, grid: np.ndarray, shown: tuple[float, ...], *, kind: str, seed: int
) -> RegimeAdvantage:
    targets = _at(grid, regime)
    expected = _less(law_draws(fit, targets, seed=seed)[0])
    pair = _at(np.ones(1), regime)

    def difference(log_budgets: np.ndarray) -> np.ndarray:
        both = np.repeat(np.exp(log_budgets)[:, None], 2, axis=1)
        return _less(law_draws(fit, pair, seed=seed, given={BUDGET: both})[0])[:, 0]

    crossing = last_crossings(grid, expected, difference)
    draws, of_expected = expected, kind == "mean"
    if not of_expected:
        grid = np.unique([*np.geomspace(grid[0], grid[-1], NEW_POINTS), *shown])
        targets = _at(grid, regime)
        known = fit.model.dependence is not None and fit.model.dependence.directions
        draws = _less(draw_rows(fit, targets, kind="new", samples="new" if known else None, seed=seed))
    beyond = extrapolation(fit, targets).reshape(2, -1).max(axis=0)
    return RegimeAdvantage(
        regime,
        f"{regime} pools",
        f"a {SINGLE} model of the same total parameters",
        grid,
        draws,
        beyond,
        crossing,
        expected=of_expected,
    )


def _unanswered(rule: str) -> str:
    named = RULES.get(rule)
    if named is None:
        return "How the pools of this fit were combined is not known."
    run = "" if named.attainable else f" Nobody can run the rule {rule} ({named.description}): it is a bound."
    return (
        f"This fit tells of pools combined by the rule {rule} and drawn at random from the models scored, whose "
        "families are taken as they are (bayeslaw check tells what changes were they drawn from a population)."
        f"{run} What other rules lose, pools of a given number of members, and the best pool that a budget allows are "
        "answered by a fit of the joint law: bayeslaw fit TABLE --out joint.nc, bayeslaw when joint.nc."
    )


def _suggest(fit: Fit, seed: int, regime: str, budget: float) -> str:
    """Name the law that is the less certain at a budget."""
    single, pool = law_draws(fit, _at(np.array([budget]), regime), seed=seed)[0].std(axis=0)
    names = {SINGLE: single, regime: pool}
    words = {SINGLE: "single models", regime: f"{regime} pools"}
    most = max(names, key=lambda name: names[name])
    least = regime if most == SINGLE else SINGLE
    return (
        f"the law of {words[most]}, at {count_label(budget)} parameters (standard deviation {loss_text(names[most])}, "
        f"of {words[least]} {loss_text(names[least])})"
    )
