"""What a new pool shares with the pools fitted, and what it has of its own."""

from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.given_rows import outline_of, rows_of
from bayeslaw.fitting.row_programs import SharedEffects
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.noise import MEMBER_SCALE

SAMPLES = ("same", "new")
ALL_SAMPLES = "all"
DRAWS_AT_ONCE = 256
NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class SimilarPools:
    """The observed pools that stand for what is not known of each target.

    Parameters
    ----------
    weights
        Weight of each observed pool, which sum to one over pools, shape ``[target, row]``.
    loadings
        Mean of their loadings on the sampling error, shape ``[target, direction]``.
    remainder
        Mean of their sampling variance outside of the directions, shape ``[target]``.
    """

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
    """Weight the observed pools by how likely a new pool is made up as they are.

    The win shares of a pool, and its loadings on the sampling error, are not known before its members are scored.
    They are averaged over the observed pools of its group (of all, for a group not seen), with Gaussian weights by
    their distance in the law's log covariates. The sizes of the models of a table are a few among those there could be:
    where pools of one budget happen to be one large model with small ones, those of a slightly other budget need not.
    So the width of the weights is that of a density estimate (Scott 1992) from as many points as the group has
    *models*, not pools, which by their thousands hold the same models. Beyond what was observed weights stay those of
    its edge.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    targets
        Targets as `bayeslaw.prediction.targets.read_targets` returns them.

    Returns
    -------
    SimilarPools
        Those weights, and averages in the response's unit.
    """
    model, shared, membership = fit.model, fit.model.dependence, fit.observations.membership
    assert shared is not None
    assert membership is not None
    observed, wanted = [], []
    for name in fit.law.covariates:
        columns = fit.observations.covariates[name], targets[name].to_numpy(dtype=float)
        if all((column > 0).all() for column in columns):
            columns = np.log(columns[0]), np.log(columns[1])
        observed.append(columns[0])
        wanted.append(columns[1])
    places, at = np.column_stack(observed), np.column_stack(wanted)
    weights = np.zeros((len(targets), len(places)))
    at_once = max(1, NUMBERS_AT_ONCE // places.size)
    group = targets[fit.law.group].to_numpy() if fit.law.group in targets else np.full(len(targets), "")
    for name in dict.fromkeys(group):
        in_group = model.group_index == model.groups.index(name) if name in model.groups else np.ones(len(places), bool)
        models = int(membership[in_group].any(axis=0).sum())
        for some in np.array_split(of_group := np.flatnonzero(group == name), -(-len(of_group) // at_once)):
            weights[np.ix_(some, in_group)] = _kernel_weights(places[in_group], at[some], models)
    return SimilarPools(weights, weights @ shared.sampling_factor, weights @ shared.remainder)


def _kernel_weights(places: np.ndarray, at: np.ndarray, models: int) -> np.ndarray:
    """Weight places, [row, covariate], by their distance from points, [target, covariate]; shape ``[target, row]``."""
    width = places.std(axis=0) * models ** (-1 / (places.shape[1] + 4))
    inside = np.clip(at, places.min(axis=0), places.max(axis=0))
    # What never varies does not tell pools apart.
    scale = np.where(width > 0, width, 1.0)
    logs = -0.5 * (((inside[:, None] - places) / scale) ** 2).sum(axis=2)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def scatter_of_members(fit: Fit, similar: SimilarPools, effects: np.ndarray) -> np.ndarray:
    """Estimate how much the members of a new pool make it scatter about the law, from the pools like it.

    Shares say less: a member that is better wins more, so that shares and effects are not independent, and pools
    scatter less than ``member_scale`` times shares.

    Parameters
    ----------
    fit
        A fit of rows that share errors.
    similar
        The pools that stand for each target.
    effects
        Effects of the members of the table in units of their scale, shape ``[draw, member]``.

    Returns
    -------
    np.ndarray
        Mean square over those pools of what their members add to them, for each direction of their trend a model taken
        into account; shape ``[draw, target]``, in the response's unit squared.
    """
    shared, scale = fit.model.dependence, fit.values()[MEMBER_SCALE]
    assert shared is not None
    used = np.flatnonzero(similar.weights.any(axis=0))
    inflation, weights = shared.inflation[shared.group[used]], similar.weights[:, used].T
    result = np.empty((len(effects), len(similar.weights)))
    for first in range(0, len(effects), DRAWS_AT_ONCE):
        part = slice(first, first + DRAWS_AT_ONCE)
        result[part] = ((effects[part] @ shared.contrasts[used].T) ** 2 * inflation) @ weights
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
        Effects in units of their scales: directions of the sampling error, of the choice of models on the trend and
        beside it, members of the table; shape ``[draw, effect]``.
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
