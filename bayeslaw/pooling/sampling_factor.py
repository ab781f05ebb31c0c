"""The sampling error that pools share, since all of them are scored on the same clusters of samples.

With ``e[p, c]`` the residual sums of the ratio estimator over clusters (see `bayeslaw.clustered_standard_error`), the
losses of pools p and q have the sampling covariance ``C / (C - 1) sum_c e[p, c] e[q, c] / (sum_s weight[s]) ** 2``. It
is held as a factor of pools times directions: the leading directions of a spread of the pools, in the space of
clusters, onto which all pools are projected in one pass over the samples. What a pool has outside of them is missing
from the factor, so that the squares of its row never exceed the pool's variance.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.pooling import direction_kernels

if TYPE_CHECKING:
    from bayeslaw.pooling.evaluate import Part

MOST_DIRECTIONS = 16
SHARE_HELD = 0.999
POOLS_LOOKED_AT = 256


def factor_of_rule(
    columns: np.ndarray,
    parts: Sequence["Part"],
    loss: np.ndarray,
    weights: np.ndarray,
    clusters: np.ndarray,
    rule: str,
    executor: Executor,
) -> np.ndarray | None:
    """Factor the sampling covariance of pools of a rule.

    Parameters
    ----------
    columns
        Losses, [lm, sample].
    parts
        The pools, in lexicographic order.
    loss
        Loss of each pool per unit of weight, [pool].
    weights, clusters
        Weight and number of the cluster of each sample, [sample].
    rule
        ``"oracle"`` or ``"mixture"``.
    executor
        Runs the parts.

    Returns
    -------
    np.ndarray or None
        The factor, [pool, direction], in the unit of `loss`; None for one cluster.
    """
    number = int(clusters.max()) + 1
    if number == 1:
        return None
    pools = np.concatenate([part.pools for part in parts])

    def losses_of(pool: int) -> np.ndarray:
        own = columns[pools[pool][pools[pool] >= 0]]
        lowest = own.min(axis=0)
        return lowest if rule == "oracle" else lowest - np.log(np.exp(lowest - own).mean(axis=0))

    on_samples = np.ascontiguousarray(find_directions(losses_of, len(pools), weights, clusters)[:, clusters])
    project = project_oracles if rule == "oracle" else project_mixtures
    products = project(columns, on_samples, parts, executor, len(pools))
    return assemble_factor(products, loss, on_samples, weights, number)


def factor_of_chosen(
    columns: np.ndarray,
    chosen: np.ndarray,
    loss: np.ndarray,
    folds: np.ndarray,
    weights: np.ndarray,
    clusters: np.ndarray,
) -> np.ndarray | None:
    """Factor the sampling covariance of pools that are the member chosen in each fold.

    Parameters
    ----------
    columns, loss, weights, clusters
        As in `factor_of_rule`.
    chosen
        The model chosen in each fold, [pool, fold].
    folds
        Fold of each sample, [sample].

    Returns
    -------
    np.ndarray or None
        As `factor_of_rule`.
    """
    number = int(clusters.max()) + 1
    if number == 1:
        return None
    samples = np.arange(len(weights))

    def losses_of(pool: int) -> np.ndarray:
        return columns[chosen[pool][folds], samples]

    on_samples = find_directions(losses_of, len(chosen), weights, clusters)[:, clusters]
    return assemble_factor(project_chosen(columns, on_samples, chosen, folds), loss, on_samples, weights, number)


def find_directions(
    pool_losses: Callable[[int], np.ndarray], count: int, weights: np.ndarray, clusters: np.ndarray
) -> np.ndarray:
    """Find the directions in the space of clusters along which the losses of pools vary most.

    Parameters
    ----------
    pool_losses
        Gives the losses of a pool on samples, [sample], from its position.
    count
        Number of pools.
    weights, clusters
        Weight and number of the cluster of each sample, [sample].

    Returns
    -------
    np.ndarray
        Orthonormal directions [direction, cluster], the leading one first: as many as hold `SHARE_HELD` of the variance
        of the pools looked at, at most `MOST_DIRECTIONS`.
    """
    looked_at = np.unique(np.linspace(0, count - 1, min(count, POOLS_LOOKED_AT)).round().astype(int))
    cluster_weights = np.bincount(clusters, weights)
    residuals = np.empty((len(looked_at), len(cluster_weights)))
    for row, pool in enumerate(looked_at):
        sums = np.bincount(clusters, pool_losses(pool), minlength=len(cluster_weights))
        residuals[row] = sums - sums.sum() / weights.sum() * cluster_weights
    # Whichever of the two products is smaller has the same values.
    wide = len(looked_at) <= len(cluster_weights)
    values, vectors = np.linalg.eigh(residuals @ residuals.T if wide else residuals.T @ residuals)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    # Below, there is nothing but rounding.
    present = int((values > 1e-14 * values[0]).sum())
    held = 1 + int(np.searchsorted(np.cumsum(values), SHARE_HELD * values.sum()))
    number = max(1, min(held, present, MOST_DIRECTIONS))
    directions = vectors[:, :number].T
    if wide:
        directions = directions @ residuals / np.sqrt(np.maximum(values[:number, None], 1e-300))
    return directions * np.where((directions @ residuals.sum(axis=0) < 0)[:, None], -1.0, 1.0)


def project_oracles(
    columns: np.ndarray, on_samples: np.ndarray, parts: Sequence["Part"], executor: Executor, count: int
) -> np.ndarray:
    """Multiply the oracle's losses of all pools with directions.

    Parameters
    ----------
    columns
        Losses, [lm, sample].
    on_samples
        Directions at each sample's cluster, [direction, sample].
    parts
        The pools.
    executor
        Runs the parts.
    count
        Number of pools.

    Returns
    -------
    np.ndarray
        Products, [pool, direction].
    """
    products = np.zeros((count, len(on_samples)))

    def step(part: "Part") -> None:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.oracle_products(columns, on_samples, part.plan, part.pools.shape[1], found)
        products[part.rows] = found

    list(executor.map(step, parts))
    return products


def project_mixtures(
    columns: np.ndarray, on_samples: np.ndarray, parts: Sequence["Part"], executor: Executor, count: int
) -> np.ndarray:
    """Multiply the losses of mixtures with directions; arguments and result as of `project_oracles`."""
    products, base = np.zeros((count, len(on_samples))), columns.min(axis=0)
    exponentials = np.exp(base - columns)

    def step(part: "Part") -> None:
        found = np.zeros((part.pools.shape[0], len(on_samples)))
        direction_kernels.mixture_products(exponentials, columns, base, on_samples, part.plan, part.pools, found)
        products[part.rows] = found

    list(executor.map(step, parts))
    return products


def project_chosen(columns: np.ndarray, on_samples: np.ndarray, chosen: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Multiply the losses of members chosen by fold with directions.

    Parameters
    ----------
    columns, on_samples
        As in `project_oracles`.
    chosen
        The model chosen in each fold, [pool, fold].
    folds
        Fold of each sample, [sample].

    Returns
    -------
    np.ndarray
        Products, [pool, direction].
    """
    products = np.zeros((len(chosen), len(on_samples)))
    for fold in range(chosen.shape[1]):
        own = folds == fold
        products += (columns[:, own] @ on_samples[:, own].T)[chosen[:, fold]]
    return products


def assemble_factor(
    products: np.ndarray, loss: np.ndarray, on_samples: np.ndarray, weights: np.ndarray, clusters: int
) -> np.ndarray:
    """Turn products of losses with directions into the factor of the sampling covariance.

    Parameters
    ----------
    products
        As `project_oracles` gives them, [pool, direction].
    loss
        Loss of each pool per unit of weight, [pool].
    on_samples
        As in `project_oracles`.
    weights
        Weight of each sample, [sample].
    clusters
        Number of clusters.

    Returns
    -------
    np.ndarray
        The factor, [pool, direction], in the unit of `loss`.
    """
    residual = products - loss[:, None] * (on_samples @ weights)
    return residual * np.sqrt(clusters / (clusters - 1)) / weights.sum()
