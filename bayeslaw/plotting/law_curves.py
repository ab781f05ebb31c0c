"""The numbers behind the picture of a law: curves with bands, and floors with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.plotting.plot_style import nice_numbers
from bayeslaw.prediction.targets import NEW_FAMILY

POINTS = 81
MOST_LEVELS = 5
MOST_GROUPS = 12
"""Groups that a picture shows where none are asked for."""
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
    if group not in fit.model.groups:
        return np.ones(len(fit.observations.loss), dtype=bool)
    return fit.model.group_index == fit.model.groups.index(group)


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
    draws = kind_of(fit.law).curve(fit, group, grid, training_tokens, kinds)
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    bands = {kind: tuple(np.quantile(draws[kind], tails, axis=0)) for kind in kinds}
    return Curve(group, training_tokens, grid, np.median(draws["mean"], axis=0), bands, float(observed.max()))


def floor_of(fit: Fit, group: str, *, interval: float) -> Floor | None:
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
    Floor or None
        Median and interval; None where the law has no floor.
    """
    floor = kind_of(fit.law).floor(fit, group)
    if floor is None:
        return None
    lower, upper = np.quantile(floor, [(1 - interval) / 2, (1 + interval) / 2])
    return Floor(group, float(np.median(floor)), float(lower), float(upper))


def known_groups(fit: Fit) -> tuple[str, ...]:
    """Name the groups that can have a curve: all of the fit, and a new family where the population tells of it."""
    if not fit.law.varies:
        return (EVERYTHING,) if not fit.model.groups else fit.model.groups
    drawn = fit.law.group == "family" and all(p.pooling != "separate" for p in fit.model.parameters)
    return (*fit.model.groups, *([NEW_FAMILY] if drawn else []))


def shown_groups(fit: Fit, groups: Sequence[str] | None) -> tuple[str, ...]:
    """Name the groups that a picture shows.

    Parameters
    ----------
    fit
        A fitted law.
    groups
        Those asked for; None for all known ones, or the `MOST_GROUPS` with the most rows.

    Returns
    -------
    tuple of str
        The groups; a family not seen is among them only where it was asked for.

    Raises
    ------
    InputError
        If one is not known, or there are none.
    """
    known = known_groups(fit)
    if groups is not None:
        chosen = tuple(dict.fromkeys(check_choice(fit.law.group, name, known) for name in groups))
        if not chosen:
            raise InputError("there are no groups to draw", f"some of {', '.join(known)}", "leave out groups")
        return chosen
    seen = [name for name in known if name != NEW_FAMILY]
    if len(seen) <= MOST_GROUPS:
        return tuple(seen)
    most = sorted(seen, key=lambda name: -int(rows_of(fit, name).sum()))[:MOST_GROUPS]
    return tuple(name for name in seen if name in most)


def token_levels(tokens: np.ndarray) -> np.ndarray:
    """Choose a few round numbers of training tokens among the observed ones, about evenly spaced on a log scale."""
    levels = nice_numbers(float(tokens.min()), float(tokens.max()), most=MOST_LEVELS)
    return levels if len(levels) else np.array([float(np.exp(np.log(tokens).mean()))])
