"""The numbers behind the picture of a law: curves with bands, and floors with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayeslaw.drawing.plot_style import nice_numbers
from bayeslaw.factor.family_curves import family_curve, family_floor
from bayeslaw.fit import Fit
from bayeslaw.new_pools import pool_deviations
from bayeslaw.noise import DEGREES_OF_FREEDOM, draw_losses
from bayeslaw.predict import deviate, law_draws, new_group_draws
from bayeslaw.targets import NEW_FAMILY

POINTS = 81
CURVE_DRAWS = 1000
MOST_LEVELS = 5
EVERYTHING = ""


@dataclass(frozen=True)
class Curve:
    """A law over budgets, for one group and, where the law has them, one number of training tokens.

    Parameters
    ----------
    group
        Name of the group, `EVERYTHING` where one law holds for all rows, or ``"new"`` for a family not seen.
    training_tokens
        Number of training tokens, or None.
    parameters
        Budgets, shape ``[point]``.
    centre
        Posterior median of the law, shape ``[point]``; the mean of a family not seen has a heavy tail.
    bands
        Lower and upper end of the interval by kind, ``"mean"`` and ``"new"``, each of shape ``[point]``.
    largest
        Largest budget observed in the group.
    """

    group: str
    training_tokens: float | None
    parameters: np.ndarray
    centre: np.ndarray
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]]
    largest: float


@dataclass(frozen=True)
class Floor:
    """Posterior of a floor: its median and interval, in the fit's unit."""

    group: str
    centre: float
    lower: float
    upper: float


def rows_of(fit: Fit, group: str) -> np.ndarray:
    """Rows of a group, shape ``[row]``; all of them where the group is none of the fit's."""
    if group not in fit.posed.groups:
        return np.ones(len(fit.observations.loss), dtype=bool)
    return fit.posed.group_index == fit.posed.groups.index(group)


def law_curve(
    fit: Fit, group: str, *, kinds: tuple[str, ...], interval: float, end: float, training_tokens: float | None = None
) -> Curve:
    """Evaluate a law with its bands from the smallest budget of a group on.

    Parameters
    ----------
    fit
        A fitted law.
    group
        A group of the fit, ``"new"``, or `EVERYTHING`.
    kinds
        Which bands: ``"mean"``, ``"new"``.
    interval
        Level of the equal-tailed intervals.
    end
        Largest budget.
    training_tokens
        Number of training tokens, where the law has them.

    Returns
    -------
    Curve
        The curve. Every point of a band uses the same noise draws, so that it is smooth; each point by itself has
        the distribution that `predict` gives.
    """
    observed = fit.observations.covariates["parameters"][rows_of(fit, group)]
    grid = np.geomspace(observed.min(), end, POINTS)
    draws = _factor_draws(fit, group, grid) or _row_draws(fit, group, grid, training_tokens, kinds)
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    bands = {kind: tuple(np.quantile(draws[kind], tails, axis=0)) for kind in kinds}
    return Curve(group, training_tokens, grid, np.median(draws["mean"], axis=0), bands, float(observed.max()))


def _factor_draws(fit: Fit, group: str, grid: np.ndarray) -> dict[str, np.ndarray]:
    if fit.factor is None:
        return {}
    values = fit.values()
    every = -(-len(values["floor"]) // CURVE_DRAWS)
    mean, new = family_curve(fit.factor, {name: draws[::every] for name, draws in values.items()}, group, grid, seed=0)
    return {"mean": mean, "new": new}


def _row_draws(
    fit: Fit, group: str, grid: np.ndarray, training_tokens: float | None, kinds: tuple[str, ...]
) -> dict[str, np.ndarray]:
    targets = _targets(fit, group, grid, training_tokens)
    mean, scale = law_draws(fit, targets, seed=0)
    draws = {"mean": mean}
    if "new" in kinds:
        draws["new"] = _with_common_noise(fit, targets, mean, scale)
    return draws


def _targets(fit: Fit, group: str, parameters: np.ndarray, training_tokens: float | None) -> pd.DataFrame:
    targets = pd.DataFrame({"parameters": parameters})
    if training_tokens is not None:
        targets["training_tokens"] = training_tokens
    return targets.assign(**{fit.law.group: group}) if group else targets


def _with_common_noise(fit: Fit, targets: pd.DataFrame, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    if fit.model.dependence is not None:
        return deviate(fit, mean, pool_deviations(fit, targets, scale, samples="same", seed=0, common=True))
    freedom = fit.values().get(DEGREES_OF_FREEDOM)
    with jax.enable_x64(True):
        additive = replace(fit.noise, response="loss")
        zero, one = jnp.zeros(len(mean)), jnp.ones(len(mean))
        noise = draw_losses(
            jax.random.PRNGKey(0), additive, zero, one, None if freedom is None else jnp.asarray(freedom)
        )
    return deviate(fit, mean, scale * np.asarray(noise)[:, None])


def floor_of(fit: Fit, group: str, *, interval: float) -> Floor:
    """Summarise the floor of a group.

    Parameters
    ----------
    fit
        A fitted law.
    group
        As in `law_curve`.
    interval
        Level of the equal-tailed interval.

    Returns
    -------
    Floor
        Median and interval.
    """
    floor = fit.values()["floor"]
    if fit.factor is not None:
        floor = family_floor(fit.factor, fit.values(), group, seed=0)
    elif floor.ndim > 1 and group in fit.posed.groups:
        floor = floor[:, fit.posed.groups.index(group)]
    elif floor.ndim > 1:
        parameter = next(p for p in fit.posed.parameters if p.name == "floor")
        floor = new_group_draws(fit.values(), parameter, np.random.default_rng(0))
    lower, upper = np.quantile(floor, [(1 - interval) / 2, (1 + interval) / 2])
    return Floor(group, float(np.median(floor)), float(lower), float(upper))


def shown_groups(fit: Fit) -> tuple[str, ...]:
    """Name the groups that have a curve: all known ones, and a new family where the population tells of it."""
    if not fit.law.varies:
        return (EVERYTHING,) if not fit.posed.groups else fit.posed.groups
    drawn = fit.law.group == "family" and all(p.pooling != "separate" for p in fit.posed.parameters)
    return (*fit.posed.groups, *([NEW_FAMILY] if drawn else []))


def token_levels(tokens: np.ndarray) -> np.ndarray:
    """Choose a few round numbers of training tokens among the observed ones, about evenly spaced on a log scale."""
    levels = nice_numbers(float(tokens.min()), float(tokens.max()), most=MOST_LEVELS)
    return levels if len(levels) else np.array([float(np.exp(np.log(tokens).mean()))])
