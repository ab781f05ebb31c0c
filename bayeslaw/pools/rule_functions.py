"""What is computed by a rule of combination: on one pool, and on many at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.pools.cross_fitted import cross_fitted
from bayeslaw.pools.pool_parts import Part, make_parts
from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.sampling_factor import Clusters, factor_of

if TYPE_CHECKING:
    from bayeslaw.pools.sample_rules import SampleKernels

Pointwise = Callable[[np.ndarray, np.ndarray], np.ndarray]
Redrawn = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RuleFunctions:
    """The functions of a rule.

    Parameters
    ----------
    losses
        Of the members' losses in nats, [sample, member], and the number of each sample's fold, [sample]: what the pool
        loses on each sample, [sample].
    gradients
        Of the same: the derivative of each of these losses by those of the members on the same sample, [sample,
        member]. Their weighted mean over samples is the pool's win shares.
    evaluate
        Evaluates the pools of a `PoolTable`, in nats per unit of weight.
    sums
        Of losses, [lm, sample], the parts of all pools in order, and the folds of the samples: the sum of what each
        pool loses, [pool]. It is called for many tables of the same pools, and need not be more exact than float32
        within a block of samples.
    redrawn
        For a rule that chooses on folds: of losses and folds as above, the number of each sample's cluster, [sample],
        and subsets of clusters, one where kept and else zero, [subset, cluster]: what is lost in all on each subset by
        what is chosen on it, [subset]. None where nothing is chosen.
    runs
        Of losses and folds as above: one for each member that has to be run on a sample, else zero, [sample, member].
        None where all are.
    kernels
        What it does with the losses of some samples, where what a pool loses on a sample depends on that sample alone.
        Rules of tokens need it: of tokens there are too many to be in memory together.
    """

    losses: Pointwise
    gradients: Pointwise
    evaluate: Callable[[PoolTable], Evaluation]
    sums: Callable[[np.ndarray, Sequence[Part], np.ndarray], np.ndarray]
    redrawn: Redrawn | None = None
    runs: Pointwise | None = None
    kernels: "SampleKernels | None" = None


def one_by_one(
    losses: Pointwise, gradients: Pointwise, *, redrawn: Redrawn | None = None, runs: Pointwise | None = None
) -> RuleFunctions:
    """Make the functions of a rule that has nothing but its definition, one pool after the other.

    Parameters
    ----------
    losses, gradients, redrawn, runs
        As in `RuleFunctions`.

    Returns
    -------
    RuleFunctions
        All functions. What faster ones return is held to these by tests.
    """

    def sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
        pools = (pool for part in parts for pool in part.pools)
        return np.array([losses(columns[pool[pool >= 0]].T, folds).sum() for pool in pools])

    def evaluate(table: PoolTable) -> Evaluation:
        return _evaluate(table, losses, gradients)

    return RuleFunctions(losses, gradients, evaluate, sums, redrawn, runs)


def _evaluate(table: PoolTable, losses: Pointwise, gradients: Pointwise) -> Evaluation:
    total, folds, clusters = table.weights.sum(), table.folds, table.clusters
    pools = [pool[pool >= 0] for pool in table.members]
    single, columns = np.array([len(pool) == 1 for pool in pools]), table.columns.block(slice(None))

    def means(null: np.ndarray) -> np.ndarray:
        return np.array([losses(null[pool].T, folds).sum() for pool in pools]) / total

    values = np.stack([losses(columns[pool].T, folds) for pool in pools])
    loss, shares = values.sum(axis=1) / total, np.zeros(table.members.shape)
    for row, pool in zip(shares, pools, strict=True):
        row[: len(pool)] = table.weights @ gradients(columns[pool].T, folds) / total
    in_clusters = np.stack([np.bincount(clusters, row, table.cluster_count) for row in values])
    square, cross = (in_clusters**2).sum(axis=1), in_clusters @ np.bincount(clusters, table.weights)
    independent, comonotone = (np.where(single, loss, means(null)) for null in table.null_tables())
    parts = make_parts(table.members, table.columns.models)
    with ThreadPoolExecutor(1) as executor:
        factor = factor_of(
            Clusters(table.columns, clusters),
            lambda block, pool: values[pool][block.rows],
            loss,
            parts=parts,
            products=lambda block, on_samples: lambda part: values[part.rows][:, block.rows] @ on_samples.T,
            executor=executor,
        )
    return Evaluation(
        loss=loss,
        standard_error=table.standard_errors(loss, square, cross),
        best=cross_fitted(table).loss,
        independent=independent,
        comonotone=comonotone,
        shares=shares,
        factor=factor,
    )
