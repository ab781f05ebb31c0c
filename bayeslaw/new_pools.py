"""What a new pool shares with the pools fitted, and what it has of its own."""

from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fit import Fit
from bayeslaw.noise import MEMBER_SCALE

SAMPLES = ("same", "new")
ALL_SAMPLES = "all"
NEIGHBOURS = 25


@dataclass(frozen=True)
class Likeness:
    """What the pools most like a target have on average.

    Parameters
    ----------
    loadings
        Mean of their loadings on the sampling error, shape ``[target, direction]``.
    scatter
        Covariance of those loadings, shape ``[target, direction, direction]``.
    remainder
        Mean of their sampling variance outside of the directions, shape ``[target]``.
    concentration
        Mean over them of the sum of the members' squared shares, shape ``[target]``, and one over the number of models:
        how much the effects of members not seen weigh, relative to the mean of those seen.
    """

    loadings: np.ndarray
    scatter: np.ndarray
    remainder: np.ndarray
    concentration: np.ndarray


def check_samples(fit: Fit, samples: str | None, kind: str) -> str:
    """Say for which samples a prediction holds.

    Parameters
    ----------
    fit
        The fit.
    samples
        ``"same"``, ``"new"`` or None.
    kind
        ``"mean"`` or ``"new"``.

    Returns
    -------
    str
        ``"same"`` or ``"new"``; ``"all"`` for the law itself.

    Raises
    ------
    InputError
        If the choice is not known, is made for the law itself, or the fit does not know the sampling error.
    """
    if samples is not None:
        check_choice("samples", samples, SAMPLES)
    if kind == "mean":
        if samples is not None:
            raise InputError(
                f"samples {samples!r} were given for the law's mean, which is of no particular samples",
                "samples with the kind 'new'",
                "leave out samples, or use kind='new' (--kind new)",
            )
        return ALL_SAMPLES
    if samples == "new" and (fit.model.dependence is None or not fit.model.dependence.directions):
        raise InputError(
            "this fit does not know the sampling error that its rows share",
            "samples 'same' for this fit",
            "leave out samples, or fit pools made by bayeslaw pools with dependence: shared",
        )
    return samples or "same"


def like_observed(fit: Fit, targets: pd.DataFrame) -> Likeness:
    """Take from the observed pools what is not known of a new one.

    The win shares of a pool, and its loadings on the sampling error, are not known before its members are scored. They
    are taken to be those of the `NEIGHBOURS` observed pools of its group (of all, for a group not seen) that are
    nearest in the law's log covariates, each relative to its spread.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    targets
        Targets as `bayeslaw.targets.read_targets` returns them.

    Returns
    -------
    Likeness
        Averages over those pools, in the response's unit.
    """
    model, shared = fit.model, fit.model.dependence
    assert shared is not None
    observed = np.column_stack([np.log(fit.observations.covariates[name]) for name in fit.law.covariates])
    wanted = np.column_stack([np.log(targets[name].to_numpy(dtype=float)) for name in fit.law.covariates])
    spread = np.maximum(observed.std(axis=0), 1e-12)
    group = targets[fit.law.group].to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    squares = (shared.shares**2).sum(axis=1) + 1 / shared.shares.shape[1]
    parts = []
    for place, name in zip(wanted, group, strict=True):
        known = model.group_index == model.groups.index(name) if name in model.groups else np.ones(len(observed), bool)
        rows = np.flatnonzero(known)
        distance = (((observed[rows] - place) / spread) ** 2).sum(axis=1)
        near = rows[np.argsort(distance, kind="stable")[:NEIGHBOURS]]
        loadings = shared.sampling_factor[near]
        deviation = loadings - loadings.mean(axis=0)
        scatter = deviation.T @ deviation / len(near)
        parts.append((loadings.mean(axis=0), scatter, shared.remainder[near].mean(), squares[near].mean()))
    return Likeness(*(np.stack(column) for column in zip(*parts, strict=True)))


def shared_effects(fit: Fit, *, seed: int = 0) -> np.ndarray:
    """Draw what the rows share from its posterior distribution.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    seed
        Seed.

    Returns
    -------
    np.ndarray
        Effects in units of their scales, first the directions of the sampling error, then the members of the table;
        shape ``[draw, effect]``.
    """
    values = {name: draws for name, draws in fit.values().items() if name in fit.model.needed_sites}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.PRNGKey(seed), len(values[MEMBER_SCALE]))
        return np.asarray(jax.jit(jax.vmap(fit.model.draw_effects))(values, keys))


def pool_deviations(
    fit: Fit, targets: pd.DataFrame, scale: np.ndarray, *, samples: str, seed: int, common: bool = False
) -> np.ndarray:
    """Draw how far new pools lie from the law.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    targets
        Targets as `bayeslaw.targets.read_targets` returns them.
    scale
        Noise scale, shape ``[draw, target]``.
    samples
        ``"same"``: the sampling error of the samples fitted, drawn given the rows; ``"new"``: of as many new samples.
        Either is shared by all targets.
    seed
        Seed.
    common
        Whether all targets of a draw have the same standard normal number in place of their own, so that a band over
        them is smooth.

    Returns
    -------
    np.ndarray
        Deviations in the response's unit, shape ``[draw, target]``: sampling error, effects of members not seen, and
        what a pool has of its own.
    """
    like = like_observed(fit, targets)
    rng = np.random.default_rng([seed, 1])
    directions, draws = like.loadings.shape[1], len(scale)
    same = samples == "same"
    effects = shared_effects(fit, seed=seed)[:, :directions] if same else rng.standard_normal((draws, directions))
    own = rng.standard_normal((draws, 1 if common else len(targets)))
    scatter = np.einsum("dk,tkl,dl->dt", effects, like.scatter, effects, optimize=True)
    members = fit.values()[MEMBER_SCALE][:, None] ** 2 * like.concentration
    deviation = np.sqrt(scale**2 + like.remainder + members + np.maximum(scatter, 0))
    return effects @ like.loadings.T + deviation * own
