"""Posterior predictive check of the joint law: whether replicated pools lose as much as those observed."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from bayeslaw.errors import check_whole
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import SampleScales, sample_scales, seen_models, with_means
from bayeslaw.likelihood.compiled import compile_for
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.regimes import REGIMES, regime_of
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import USUAL_RULE, find_rule

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

POOLS_OF_A_SIZE = 300


def check_fit(
    fit: "Fit", *, rule: str = USUAL_RULE, max_size: int = 4, interval: float = 0.9, draws: int = 400, seed: int = 0
) -> pd.DataFrame:
    """Compare the observed pools of a fit with replicates of them; arguments as of `bayeslaw.pool_check`."""
    values = fit.values()
    every = max(1, len(values["floor"]) // draws)
    thinned = {name: values[name][::every][:draws] for name in fit.model.sites}
    return check_pools(fit.model, thinned, rule=rule, max_size=max_size, interval=interval, seed=seed)


def check_pools(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    *,
    rule: str = USUAL_RULE,
    max_size: int = 4,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare observed pools with pools on replicated losses, by size and regime.

    A replicate has new losses of all models on as many new samples: the structure of the dependence with its scatter,
    latent deviations and mean losses as observed. So it checks what pools gain, not the curve over sizes.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...]; one replicate for each.
    rule
        ``"oracle"``, ``"mixture"`` or ``"best"``.
    max_size
        Largest number of members; of each size all pools, or some 300 drawn.
    interval
        Level of the equal-tailed interval.
    seed
        Seed of pools and replicates.

    Returns
    -------
    pandas.DataFrame
        One row for each size and regime: number of ``pools``, ``observed`` mean loss, ``median``, ``lower`` and
        ``upper`` of the replicates in the reported unit, and ``tail``: the two-sided posterior predictive p-value, the
        smaller share of replicates on either side times two, at least 1 / draws.

    Raises
    ------
    InputError
        If the rule is not known or the size not a whole number of 2 or more.
    """
    find_rule(rule, on_tokens=False)
    check_whole("max_size", max_size, lowest=2, suggested=4)
    table = model.table
    members, sizes, regimes = _pools(table.families, max_size, np.random.default_rng(seed))
    means, total = PoolMeans(members, len(table.names), table.clusters, rule), float(table.weights.sum())
    kept = table.nll.sum(axis=1) * table.scale / total
    observed, replicates = table.scale * means(table.nll, total), _replicates(model, values, means, kept, seed)
    tail = (1 - interval) / 2
    rows = []
    for size in np.unique(sizes):
        for regime in REGIMES:
            in_row = (sizes == size) & (regimes == regime)
            if not in_row.any():
                continue
            drawn, seen = replicates[:, in_row].mean(axis=1), float(observed[in_row].mean())
            lower, median, upper = np.quantile(drawn, [tail, 0.5, 1 - tail])
            side = min(float((drawn <= seen).mean()), float((drawn >= seen).mean()))
            rows.append((size, regime, int(in_row.sum()), seen, median, lower, upper, max(2 * side, 1 / len(drawn))))
    columns = ["size", "regime", "pools", "observed", "median", "lower", "upper", "tail"]
    return pd.DataFrame(rows, columns=columns)


def _pools(
    families: np.ndarray, max_size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose pools, different ones of each size: members [pool, slot] padded with -1, sizes and regimes [pool]."""
    models = len(families)
    rows: list[tuple[int, ...]] = []
    for size in range(2, min(max_size, models) + 1):
        if comb(models, size) <= POOLS_OF_A_SIZE:
            rows += combinations(range(models), size)
        else:
            # Few are drawn twice, and those count once.
            drawn = (generator.choice(models, size, replace=False).tolist() for _ in range(POOLS_OF_A_SIZE))
            rows += sorted({tuple(sorted(pool)) for pool in drawn})
    members = np.full((len(rows), max_size), -1)
    for target, row in zip(members, rows, strict=True):
        target[: len(row)] = row
    regimes = np.array([regime_of([str(families[member]) for member in row]) for row in rows])
    return members, np.array([len(row) for row in rows]), regimes


def _replicates(
    model: JointModel, values: Mapping[str, np.ndarray], means: PoolMeans, kept: np.ndarray, seed: int
) -> np.ndarray:
    """Losses of the pools on replicated tables, in the reported unit, [draw, pool]."""
    table = model.table
    with jax.enable_x64(True):
        middle = {name: jnp.asarray(np.asarray(values[name]).mean(axis=0)) for name in model.sites}
        scales = sample_scales(model, np.asarray(model.dependence.structure(middle)))
        count = len(values["length"])
        keys = np.asarray(jax.random.split(jax.random.PRNGKey(seed), count))
        sites = [{name: values[name][number] for name in model.sites} for number in range(count)]
        replicate = compile_for(lambda one, key: replicate_losses(model, scales, one, kept, key), sites[0], keys[0])

    def one(number: int) -> np.ndarray:
        # The switch to float64 is local to a thread.
        with jax.enable_x64(True):
            losses = np.asarray(replicate(sites[number], keys[number]))
        return table.scale * means(losses * (table.weights / table.scale), float(table.weights.sum()))

    with ThreadPoolExecutor(max_workers=usable_cores()) as executor:
        return np.stack(list(executor.map(one, range(count))))


def replicate_losses(
    model: JointModel, scales: SampleScales, values: Mapping[str, Array], means: np.ndarray, key: Array
) -> Array:
    """Draw losses of all models of the table on new samples.

    Parameters
    ----------
    model
        The joint law with its table.
    scales
        The samples' scales.
    values
        One draw of every site.
    means
        Mean loss of each model that the replicate is to have, [lm].
    key
        JAX random key.

    Returns
    -------
    Array
        Loss per unit of weight in the reported unit, [lm, sample].
    """
    table, dependence = model.table, model.dependence
    common_key, scatter_key, own_key, scale_key = jax.random.split(key, 4)
    unshared = dependence.own_share(values, dependence.quality, values["own_offset"])
    zeros = jnp.zeros_like(unshared)
    models = (dependence.quality, dependence.family, zeros)
    kernel = dependence.kernel(values, models, models) + 1e-9 * jnp.eye(len(unshared))
    scattered = _scattered(kernel, values["structure_freedom"], scatter_key)
    shape = (len(unshared), len(table.losses))
    common = scattered @ jax.random.normal(common_key, shape)
    spread = jnp.sqrt(scales.draw_new(scale_key, table.link.mean_is_finite))
    latent = jnp.sqrt(1 - unshared)[:, None] * common + jnp.sqrt(unshared)[:, None] * spread * jax.random.normal(
        own_key, shape
    )
    latent = latent * jnp.asarray(table.latent_deviation)[:, None]
    return with_means(seen_models(model), latent, jnp.asarray(means), jnp.asarray(table.weights))


def _scattered(correlation: Array, freedom: Array, key: Array) -> Array:
    """Draw a factor of a correlation matrix around one, by Bartlett's decomposition of a Wishart matrix."""
    count = len(correlation)
    chi_key, normal_key = jax.random.split(key)
    degrees = count + 1 + freedom - jnp.arange(count)
    diagonal = jnp.sqrt(2 * jax.random.gamma(chi_key, degrees / 2))
    lower = jnp.tril(jax.random.normal(normal_key, (count, count)), -1) + jnp.diag(diagonal)
    factor = jnp.linalg.cholesky(correlation) @ lower
    return factor / jnp.sqrt((factor**2).sum(axis=1, keepdims=True))
