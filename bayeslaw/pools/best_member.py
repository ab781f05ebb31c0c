"""The rule ``best``: the member that is best on the other folds of whole clusters."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bayeslaw.pools.cross_fitted import cross_fitted
from bayeslaw.pools.folds import choose_best
from bayeslaw.pools.pool_parts import Part, make_parts
from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.sampling_factor import Block, Clusters, factor_of

# Larger than any sum of losses, and finite, so that differences of sums are.
WORST = 1e200


def best_sums(fold_sums: np.ndarray) -> np.ndarray:
    """Add up what the members chosen lose on the folds that they were not chosen on.

    Parameters
    ----------
    fold_sums
        Sums of losses in nats, [..., fold, member].

    Returns
    -------
    numpy.ndarray
        Sums of losses, [...].
    """
    chosen = choose_best(fold_sums)
    return np.take_along_axis(fold_sums, chosen[..., None], axis=-1)[..., 0].sum(axis=-1)


def _chosen(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Position of the member chosen for each sample, [sample]."""
    sums = np.zeros((folds.max() + 1, nll.shape[1]))
    np.add.at(sums, folds, nll)
    return choose_best(sums)[folds]


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return nll[np.arange(len(nll)), _chosen(nll, folds)]


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return np.eye(nll.shape[1])[_chosen(nll, folds)]


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    pools = np.concatenate([part.pools for part in parts])
    # Padding (-1) reads the last column: a member so bad that it is never chosen.
    sums = np.full((int(folds.max()) + 1, len(columns) + 1), WORST)
    for fold in range(len(sums)):
        sums[fold, :-1] = columns[:, folds == fold].sum(axis=1, dtype=np.float64)
    return best_sums(sums[:, pools].transpose(1, 0, 2))


def _redrawn(nll: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return best_sums(kept_fold_sums(nll, folds, clusters, kept))


def kept_fold_sums(values: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Add up values over each fold of subsets of clusters.

    Parameters
    ----------
    values
        What is added up, [sample, column].
    folds, clusters
        Number of each sample's fold and cluster, [sample]; clusters are in one fold each.
    kept
        One where a cluster is kept and else zero, [subset, cluster].

    Returns
    -------
    numpy.ndarray
        Sums, [subset, fold, column].
    """
    count, number = kept.shape[1], int(folds.max()) + 1
    sums = np.stack([np.bincount(clusters, column, count) for column in values.T], axis=1)
    fold = np.zeros(count, dtype=np.int64)
    fold[clusters] = folds
    return np.stack([kept[:, fold == each] @ sums[fold == each] for each in range(number)], axis=1)


def _evaluate(table: PoolTable) -> Evaluation:
    found = cross_fitted(table)
    loss = found.loss
    return Evaluation(loss, found.standard_error, loss, loss, loss, found.shares, _factor(table, found.chosen, loss))


def _factor(table: PoolTable, chosen: np.ndarray, loss: np.ndarray) -> np.ndarray | None:
    folds = table.folds

    def losses_of(block: Block, pool: int) -> np.ndarray:
        return block.losses[chosen[pool][folds[block.rows]], np.arange(len(block.rows))]

    def products(block: Block, on_samples: np.ndarray) -> Callable[[Part], np.ndarray]:
        inside = [folds[block.rows] == fold for fold in range(chosen.shape[1])]
        of_models = [block.losses[:, rows] @ on_samples[:, rows].T for rows in inside]
        return lambda part: np.sum([each[part.pools[:, fold]] for fold, each in enumerate(of_models)], axis=0)

    # What is chosen takes the place of members.
    parts = make_parts(chosen, table.columns.models)
    with ThreadPoolExecutor(1) as executor:
        samples = Clusters(table.columns, table.clusters)
        return factor_of(samples, losses_of, loss, parts=parts, products=products, executor=executor)


BEST = RuleFunctions(
    losses=_losses, gradients=_gradients, evaluate=_evaluate, sums=_sums, redrawn=_redrawn, runs=_gradients
)
