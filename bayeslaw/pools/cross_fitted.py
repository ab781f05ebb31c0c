"""The member that is best on other folds of whole clusters, for many pools at once."""

from dataclasses import dataclass

import numpy as np

from bayeslaw.pools.pool_table import PoolTable


@dataclass(frozen=True)
class CrossFitted:
    """What pools lose by their cross-fitted best members, in nats per unit of weight.

    Attributes
    ----------
    loss, standard_error
        Weighted mean loss and its standard error over clusters, [pool]; losses of pools of two or more are NaN on a
        table of one cluster.
    shares
        Share of the weight for which each member is chosen, [pool, slot].
    chosen
        The model chosen for each fold, [pool, fold].
    """

    loss: np.ndarray
    standard_error: np.ndarray
    shares: np.ndarray
    chosen: np.ndarray


def cross_fitted(table: PoolTable) -> CrossFitted:
    """Choose the best members of pools, all from sums over folds: the pools need no pass over the samples.

    Parameters
    ----------
    table
        The losses and pools.

    Returns
    -------
    CrossFitted
        What the pools lose by them.
    """
    members = table.members
    first, square, cross, fold_weight = _fold_moments(table)
    number, rows = len(first), np.arange(len(members))
    loss, moment, mixed = (np.zeros(len(members)) for _ in range(3))
    shares, models_chosen = np.zeros(members.shape), np.zeros((len(members), number), dtype=np.int64)
    others = first.sum(axis=0) - np.where(np.isfinite(first), first, 0.0)
    for fold in range(number):
        slot = others[fold][members].argmin(axis=1)
        chosen = np.take_along_axis(members, slot[:, None], axis=1)[:, 0]
        models_chosen[:, fold] = chosen
        loss += first[fold, chosen]
        moment += square[fold, chosen]
        mixed += cross[fold, chosen]
        shares[rows, slot] += fold_weight[fold]
    total = table.weights.sum()
    loss = loss / total
    error = table.standard_errors(loss, moment, mixed)
    if number == 1:
        single = (members >= 0).sum(axis=1) == 1
        loss = np.where(single, loss, np.nan)
    return CrossFitted(loss, error, shares / total, models_chosen)


def _fold_moments(table: PoolTable) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return sums over clusters of each fold, [fold, lm + 1], and the weight of each fold.

    They are the sums of losses, of their squares and of their products with the clusters' weights. The last column is
    read by padding (-1): a member so bad that it is never chosen.
    """
    columns, clusters, models = table.columns, table.clusters, table.columns.models
    weight, fold_of = np.bincount(clusters, table.weights), np.zeros(table.cluster_count, dtype=np.int64)
    fold_of[clusters] = table.folds
    number = int(fold_of.max()) + 1
    first, square, cross = (np.zeros((number, models + 1)) for _ in range(3))
    for model in range(models):
        lost = np.bincount(clusters, columns.column(model))
        first[:, model] = np.bincount(fold_of, lost)
        cross[:, model] = np.bincount(fold_of, lost * weight)
        square[:, model] = np.bincount(fold_of, lost**2)
    first[:, models] = np.inf
    return first, square, cross, np.bincount(fold_of, weight, minlength=number)
