"""What a new pool shares with the pools fitted, and what it has of its own."""

from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.row_posterior import outline_of, rows_of
from bayeslaw.fitting.row_programs import SharedEffects
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.noise import MEMBER_SCALE

SAMPLES = ("same", "new")
ALL_SAMPLES = "all"
NEIGHBOURS = 50
DRAWS_AT_ONCE = 256


@dataclass(frozen=True)
class SimilarPools:
    """The pools most like each target.

    Parameters
    ----------
    rows
        Their positions, nearest first, shape ``[target, neighbour]``.
    weights
        Their weights, which sum to one over neighbours and are zero where a group has fewer, shape as of the rows.
    loadings
        Mean of their loadings on the sampling error, shape ``[target, direction]``.
    remainder
        Mean of their sampling variance outside of the directions, shape ``[target]``.
    """

    rows: np.ndarray
    weights: np.ndarray
    loadings: np.ndarray
    remainder: np.ndarray


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


def similar_pools(fit: Fit, targets: pd.DataFrame) -> SimilarPools:
    """Find the observed pools from which to take what is not known of a new one.

    The win shares of a pool, and its loadings on the sampling error, are not known before its members are scored. They
    are taken to be those of the `NEIGHBOURS` observed pools of its group (of all, for a group not seen) that are
    nearest in the law's log covariates, each relative to its spread; with tricube weights (Cleveland 1979), so that
    averages change smoothly along the covariates.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    targets
        Targets as `bayeslaw.prediction.targets.read_targets` returns them.

    Returns
    -------
    SimilarPools
        Those pools, and averages over them in the response's unit.
    """
    model, shared = fit.model, fit.model.dependence
    assert shared is not None
    observed, wanted = [], []
    for name in fit.law.covariates:
        columns = fit.observations.covariates[name], targets[name].to_numpy(dtype=float)
        if all((column > 0).all() for column in columns):
            columns = np.log(columns[0]), np.log(columns[1])
        spread = max(float(columns[0].std()), 1e-12)
        observed.append(columns[0] / spread)
        wanted.append(columns[1] / spread)
    places, nearest = np.column_stack(observed), []
    group = targets[fit.law.group].to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    for place, name in zip(np.column_stack(wanted), group, strict=True):
        known = model.group_index == model.groups.index(name) if name in model.groups else np.ones(len(places), bool)
        rows = np.flatnonzero(known)
        nearest.append(_nearest(rows, np.sqrt(((places[rows] - place) ** 2).sum(axis=1))))
    rows, weights = (np.stack(each) for each in zip(*nearest, strict=True))
    loadings = np.einsum("tn,tnd->td", weights, shared.sampling_factor[rows])
    return SimilarPools(rows, weights, loadings, (weights * shared.remainder[rows]).sum(axis=1))


def _nearest(rows: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the nearest rows with tricube weights, or all where they are few, alike; each of shape ``[neighbour]``."""
    order = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    weights, width = np.ones(len(order)), distance[order[-1]]
    if len(rows) > NEIGHBOURS and distance[order[0]] < width:
        weights = (1 - (distance[order] / width) ** 3) ** 3
    spare = NEIGHBOURS - len(order)
    return np.append(rows[order], np.full(spare, rows[0])), np.append(weights / weights.sum(), np.zeros(spare))


def scatter_of_members(fit: Fit, similar: SimilarPools, effects: np.ndarray) -> np.ndarray:
    """Estimate how much the members of a new pool make it scatter about the law, from the pools like it.

    Shares say less: a member that is better wins more, so that shares and effects are not independent, and pools
    scatter less than ``member_scale`` times shares.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    like
        The pools like each target.
    effects
        Effects of the members of the table in units of their scale, shape ``[draw, member]``.

    Returns
    -------
    np.ndarray
        Mean square over those pools of what their members add to them, for each term of their trend a model taken into
        account; shape ``[draw, target]``, in the response's unit squared.
    """
    shared, scale = fit.model.dependence, fit.values()[MEMBER_SCALE]
    assert shared is not None
    used, where = np.unique(similar.rows, return_inverse=True)
    where = where.reshape(similar.rows.shape)
    inflation = shared.inflation[shared.group[used]]
    result = np.empty((len(effects), len(where)))
    for first in range(0, len(effects), DRAWS_AT_ONCE):
        part = slice(first, first + DRAWS_AT_ONCE)
        squares = (effects[part] @ shared.contrasts[used].T) ** 2 * inflation
        each = zip(where, similar.weights, strict=True)
        result[part] = np.stack([squares[:, near] @ weights for near, weights in each], axis=1)
    return result * scale[:, None] ** 2


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
        Effects in units of their scales: directions of the sampling error, directions of the choice of models, members
        of the table; shape ``[draw, effect]``.
    """
    values = {name: draws for name, draws in fit.values().items() if name in fit.model.needed_sites}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.PRNGKey(seed), len(values[MEMBER_SCALE]))
        given = values, keys, rows_of(fit.model)
        drawn = compile_once(SharedEffects(outline_of(fit.model)), *given)(*given)
        return np.asarray(drawn)[:, : fit.model.dependence.effects]


def pool_deviations(
    fit: Fit, targets: pd.DataFrame, scale: np.ndarray, *, samples: str, seed: int, common: bool = False
) -> np.ndarray:
    """Draw how far new pools lie from the law.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    targets
        Targets as `bayeslaw.prediction.targets.read_targets` returns them.
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
    similar, shared = similar_pools(fit, targets), fit.model.dependence
    assert shared is not None
    rng, effects = np.random.default_rng([seed, 1]), shared_effects(fit, seed=seed)
    common_error = effects[:, : shared.directions]
    if samples == "new":
        common_error = rng.standard_normal(common_error.shape)
    noise = rng.standard_normal((len(scale), 1 if common else len(targets)))
    members = scatter_of_members(fit, similar, effects[:, shared.first_member :])
    return common_error @ similar.loadings.T + np.sqrt(scale**2 + similar.remainder + members) * noise
