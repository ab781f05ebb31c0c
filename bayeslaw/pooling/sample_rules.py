"""Rules by which a pool's loss on a sample depends on that sample alone: many pools in few passes over the samples."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from bayeslaw.pooling.cluster_layout import ClusterLayout
from bayeslaw.pooling.cores import usable_cores
from bayeslaw.pooling.cross_fitted import cross_fitted
from bayeslaw.pooling.parts import Part, Step, lexicographic, make_parts
from bayeslaw.pooling.pool_table import Evaluation, PoolTable
from bayeslaw.pooling.sampling_factor import assemble_factor, find_directions

Project = Callable[[np.ndarray, np.ndarray, Sequence[Part], Executor, int], np.ndarray]
NullTables = Sequence[Callable[[], np.ndarray]]


class MakeSteps(Protocol):
    """Says how the steps are made that add up what parts of the pools lose."""

    def __call__(
        self,
        table: PoolTable,
        layout: ClusterLayout,
        sums: np.ndarray,
        null_sums: np.ndarray,
        wins: np.ndarray,
    ) -> list[Callable[[], Step]]:
        """Return what makes each step.

        Parameters
        ----------
        table, layout
            The losses, and the order in which they are read.
        sums
            To be filled by steps: sums over clusters of losses, of their squares and of their products with the
            clusters' weights, [3, pool].
        null_sums
            To be filled: sums of losses on the two null tables, [null, pool].
        wins
            To be filled: weighted sums of the gradients, [pool, slot].
        """
        ...


def evaluate_by_sample(
    table: PoolTable, *, losses: Callable[[np.ndarray], np.ndarray], make_steps: MakeSteps, project: Project
) -> Evaluation:
    """Evaluate the pools of a table.

    Parameters
    ----------
    table
        The losses and pools.
    losses
        What a pool loses on samples from its members' losses, [member, sample].
    make_steps
        Makes the steps of the rule.
    project
        Multiplies the losses of all pools with directions: of columns [lm, sample], directions at each sample
        [direction, sample], parts, what runs them and the number of pools, the products [pool, direction].

    Returns
    -------
    Evaluation
        In nats per unit of weight.
    """
    pools, back = lexicographic(table.members)
    parts, total = make_parts(pools, len(table.columns)), table.weights.sum()
    sums, null_sums, wins = np.zeros((3, len(pools))), np.zeros((2, len(pools))), np.zeros(pools.shape)
    with ThreadPoolExecutor(usable_cores()) as executor:
        best_of = executor.submit(cross_fitted, table)
        layout = ClusterLayout.of(table.weights, table.clusters)
        # The first pools are under way while the tables of the later steps are still made.
        made = [executor.submit(make) for make in make_steps(table, layout, sums, null_sums, wins)]
        for task in [executor.submit(step.result(), part) for step in made for part in parts]:
            task.result()
        factor = _factor(table, parts, sums[0] / total, losses, project, executor)
        best = best_of.result()
    loss = sums[0] / total
    single = pools[:, 1:].max(axis=1, initial=-1) < 0
    independent, comonotone = np.where(single, loss, null_sums / total)
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


def _factor(
    table: PoolTable,
    parts: Sequence[Part],
    loss: np.ndarray,
    losses: Callable[[np.ndarray], np.ndarray],
    project: Project,
    executor: Executor,
) -> np.ndarray | None:
    """Factor the sampling covariance of the pools, [pool, direction]; None for one cluster."""
    if table.cluster_count == 1:
        return None
    pools = np.concatenate([part.pools for part in parts])

    def losses_of(pool: int) -> np.ndarray:
        return losses(table.columns[pools[pool][pools[pool] >= 0]])

    directions = find_directions(losses_of, len(pools), table.weights, table.clusters)
    on_samples = np.ascontiguousarray(directions[:, table.clusters])
    products = project(table.columns, on_samples, parts, executor, len(pools))
    return assemble_factor(products, loss, on_samples, table.weights, table.cluster_count)
