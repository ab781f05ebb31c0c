"""Rules by which a pool's loss on a sample depends on that sample alone: many pools, a few samples at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bayeslaw.losses.released_memory import release_memory
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.cross_fitted import cross_fitted
from bayeslaw.pools.pool_parts import lexicographic, make_parts
from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.rule_sums import BlockSums, MakeStep, null_sums, rule_sums
from bayeslaw.pools.sampling_factor import Block, Clusters, Products, factor_of


@dataclass(frozen=True)
class SampleKernels:
    """What a rule does with the losses of all models on some samples.

    Parameters
    ----------
    losses
        What a pool loses from its members' losses, [member, sample]; [sample].
    make_step
        As in `bayeslaw.pools.rule_sums.rule_sums`.
    block_sums
        As in `bayeslaw.pools.rule_sums.null_sums`.
    products
        As in `bayeslaw.pools.sampling_factor.factor_of`.
    """

    losses: Callable[[np.ndarray], np.ndarray]
    make_step: MakeStep
    block_sums: BlockSums
    products: Products


def evaluate_by_sample(table: PoolTable, kernels: SampleKernels) -> Evaluation:
    """Evaluate the pools of a table.

    Parameters
    ----------
    table
        The losses and pools.
    kernels
        The rule.

    Returns
    -------
    Evaluation
        In nats per unit of weight.
    """
    release_memory()
    best = cross_fitted(table)
    pools, back = lexicographic(table.members)
    columns, total = table.columns, table.weights.sum()
    parts = make_parts(pools, columns.models)

    def losses_of(block: Block, pool: int) -> np.ndarray:
        return kernels.losses(block.losses[pools[pool][pools[pool] >= 0]])

    with ThreadPoolExecutor(usable_cores()) as executor:
        sums, wins = rule_sums(columns, table.clusters, parts, kernels.make_step, executor)
        release_memory()
        loss = sums[0] / total
        choices = {"parts": parts, "products": kernels.products, "executor": executor}
        factor = factor_of(Clusters(columns, table.clusters), losses_of, loss, **choices)
        release_memory()
        nulls = null_sums(columns, parts, kernels.block_sums, table.seed, table.null_weights, executor) / total
    single = pools[:, 1:].max(axis=1, initial=-1) < 0
    independent, comonotone = np.where(single, loss, nulls)
    error = table.standard_errors(loss, sums[1], sums[2])
    return Evaluation(
        loss=loss[back],
        standard_error=error[back],
        best=np.where(single[back], loss[back], best.loss),
        independent=independent[back],
        comonotone=comonotone[back],
        shares=wins[back] / total,
        factor=None if factor is None else factor[back],
    )
