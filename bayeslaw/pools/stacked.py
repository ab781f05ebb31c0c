"""The rule ``stacked``: the ensemble that mixes whole samples with the weights that lose least on the other folds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import logsumexp, softmax

from bayeslaw.pools.cross_fitted import cross_fitted
from bayeslaw.pools.pool_parts import Part, make_parts
from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.sampling_factor import Block, Clusters, factor_of
from bayeslaw.pools.simplex_weights import TOLERANCE, relative_likelihoods, simplex_weights

# Losses of subsets of clusters tell how far chance moves the weights, and need few digits.
ANEW_TOLERANCE = 1e-6


def fold_weights(
    nll: np.ndarray,
    folds: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Find for each fold the weights that lose least on the others.

    Parameters
    ----------
    nll
        Losses of the members in nats, [sample, member].
    folds
        Number of each sample's fold, [sample]; two or more folds.
    counts
        How often each sample counts, [sample]; all once by default.
    start
        Weights near those looked for, [fold, member].
    tolerance
        As of `bayeslaw.pools.simplex_weights.simplex_weights`.

    Returns
    -------
    numpy.ndarray
        Weights on the simplex, [fold, member].
    """
    likelihoods = relative_likelihoods(nll)
    counts = np.ones(len(nll)) if counts is None else counts
    number, members = int(folds.max()) + 1, nll.shape[1]
    if members == 1:
        return np.ones((number, 1))
    if start is None:
        start = np.tile(simplex_weights(likelihoods, counts, tolerance=ANEW_TOLERANCE).weights, (number, 1))
    found = np.empty((number, members))
    for fold in range(number):
        rows = np.flatnonzero((folds != fold) & (counts > 0))
        # Where no other fold is kept, as in small subsets, the weights of all are as good as any.
        found[fold] = (
            simplex_weights(likelihoods[rows], counts[rows], start=start[fold], tolerance=tolerance).weights
            if len(rows)
            else start[fold]
        )
    return found


def _mixed(nll: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Losses of mixtures, [sample], with the weights of each sample, [sample, member]."""
    return -logsumexp(-nll, axis=1, b=weights)


def _responsibilities(nll: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return softmax(np.log(weights) - nll, axis=1)


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return _mixed(nll, fold_weights(nll, folds)[folds])


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return _responsibilities(nll, fold_weights(nll, folds)[folds])


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    pools = (pool[pool >= 0] for part in parts for pool in part.pools)
    return np.array([_losses(columns[pool].T.astype(np.float64), folds).sum() for pool in pools])


def _redrawn(nll: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
    near, found = fold_weights(nll, folds), np.empty(len(kept))
    for subset, clusters_kept in enumerate(kept):
        counts = clusters_kept[clusters]
        weights = fold_weights(nll, folds, counts=counts, start=near, tolerance=ANEW_TOLERANCE)
        found[subset] = counts @ _mixed(nll, weights[folds])
    return found


def _evaluate(table: PoolTable) -> Evaluation:
    total, folds, clusters = table.weights.sum(), table.folds, table.clusters
    pools, number = table.members, int(folds.max()) + 1
    single, columns = (pools >= 0).sum(axis=1) == 1, table.columns.block(slice(None))
    # What a pool needs beside the losses: few numbers, however many samples there are.
    weights, cluster_weights = np.zeros((len(pools), number, pools.shape[1])), np.bincount(clusters, table.weights)
    loss, square, cross, shares = *np.zeros((3, len(pools))), np.zeros(pools.shape)
    for pool, members in enumerate(pools):
        members = members[members >= 0]
        nll = columns[members].T
        weights[pool, :, : len(members)] = fold_weights(nll, folds)
        of_samples = weights[pool, :, : len(members)][folds]
        lost = _mixed(nll, of_samples)
        in_clusters = np.bincount(clusters, lost, table.cluster_count)
        loss[pool] = lost.sum() / total
        square[pool], cross[pool] = in_clusters @ in_clusters, in_clusters @ cluster_weights
        shares[pool, : len(members)] = table.weights @ _responsibilities(nll, of_samples) / total

    def nulls(null: np.ndarray) -> np.ndarray:
        means = [_losses(null[pool[pool >= 0]].T, folds).sum() / total for pool in pools]
        return np.where(single, loss, means)

    independent, comonotone = (nulls(null) for null in table.null_tables())
    return Evaluation(
        loss=loss,
        standard_error=table.standard_errors(loss, square, cross),
        best=cross_fitted(table).loss,
        independent=independent,
        comonotone=comonotone,
        shares=shares,
        factor=_factor(table, weights, loss),
    )


def _factor(table: PoolTable, weights: np.ndarray, loss: np.ndarray) -> np.ndarray | None:
    pools, folds = table.members, table.folds

    def losses_of(block: Block, pool: int) -> np.ndarray:
        members = pools[pool][pools[pool] >= 0]
        return _mixed(block.losses[members].T, weights[pool, :, : len(members)][folds[block.rows]])

    def products(block: Block, on_samples: np.ndarray) -> Callable[[Part], np.ndarray]:
        every = range(len(pools))
        return lambda part: np.stack([on_samples @ losses_of(block, pool) for pool in every[part.rows]])

    parts = make_parts(pools, table.columns.models)
    with ThreadPoolExecutor(1) as executor:
        samples = Clusters(table.columns, table.clusters)
        return factor_of(samples, losses_of, loss, parts=parts, products=products, executor=executor)


STACKED = RuleFunctions(losses=_losses, gradients=_gradients, evaluate=_evaluate, sums=_sums, redrawn=_redrawn)
