"""The sampling error that pools share, since all of them are scored on the same clusters of samples.

With ``e[p, c]`` the residual sums of the ratio estimator over clusters (see `bayeslaw.clustered_standard_error`), the
losses of pools p and q have the sampling covariance ``C / (C - 1) sum_c e[p, c] e[q, c] / (sum_s weight[s]) ** 2``. It
is held as a factor of pools times directions: the leading directions of a spread of the pools, in the space of
clusters, onto which all pools are projected in one pass over the samples. What a pool has outside of them is missing
from the factor, so that the squares of its row never exceed the pool's variance.
"""

from collections.abc import Callable

import numpy as np

MOST_DIRECTIONS = 16
SHARE_HELD = 0.999
POOLS_LOOKED_AT = 256


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


def assemble_factor(
    products: np.ndarray, loss: np.ndarray, on_samples: np.ndarray, weights: np.ndarray, clusters: int
) -> np.ndarray:
    """Turn products of losses with directions into the factor of the sampling covariance.

    Parameters
    ----------
    products
        Products of the losses of all pools with `on_samples`, [pool, direction].
    loss
        Loss of each pool per unit of weight, [pool].
    on_samples
        Directions at each sample's cluster, [direction, sample].
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
