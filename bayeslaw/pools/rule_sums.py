"""What the rules of pools sum up over samples: losses, squares over clusters, wins, and losses of the nulls."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.pools import kernels
from bayeslaw.pools.cluster_layout import ClusterLayout
from bayeslaw.pools.loss_blocks import SAMPLES, LossColumns, stream
from bayeslaw.pools.nulls import comonotone_column, independent_deviations

if TYPE_CHECKING:
    from bayeslaw.pools.pool_parts import Part

Step = Callable[["Part"], tuple[np.ndarray, np.ndarray]]
MakeStep = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Step]
BlockSums = Callable[[np.ndarray], Callable[["Part"], np.ndarray]]


def rule_sums(
    columns: LossColumns, clusters: np.ndarray, parts: Sequence["Part"], make_step: MakeStep, executor: Executor
) -> tuple[np.ndarray, np.ndarray]:
    """Sum up the losses of pools.

    Parameters
    ----------
    columns
        The losses.
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    parts
        The pools, in lexicographic order.
    make_step
        Makes, of losses [lm, position], weights [position], blocks and weights of clusters (see
        `bayeslaw.pools.cluster_layout.ClusterLayout`), what gives the sums [3, pool] and wins [pool, slot] of a part.
    executor
        Runs the work.

    Returns
    -------
    sums
        Sum of losses, sum of squares of clusters' sums, and their sum against the clusters' weights, [3, pool].
    wins
        Weighted sums of the gradients, [pool, slot].
    """
    count = sum(len(part.pools) for part in parts)
    sums, wins = np.zeros((3, count)), np.zeros((count, parts[0].pools.shape[1]))
    layout = ClusterLayout.of(columns.weights, clusters)
    makers = (
        lambda blocks=blocks: make_step(*_laid_out(columns, layout, blocks), layout.weights)
        for blocks in _chunks(layout)
    )

    def add(part: "Part", found: tuple[np.ndarray, np.ndarray]) -> None:
        sums[:, part.rows] += found[0]
        wins[part.rows] += found[1]

    stream(executor, makers, parts, lambda made, part: made(part), add)
    return sums, wins


def _chunks(layout: ClusterLayout) -> Iterator[slice]:
    """Cut the blocks of a layout into runs of some samples each, so that no cluster is cut."""
    ends = layout.blocks[:, 1] + layout.blocks[:, 2] * layout.blocks[:, 3]
    start = 0
    for index, kind in enumerate(layout.blocks[:, 0]):
        if kind != kernels.PIECE and (ends[index] - layout.blocks[start, 1] >= SAMPLES or index == len(ends) - 1):
            yield slice(start, index + 1)
            start = index + 1


def _laid_out(columns: LossColumns, layout: ClusterLayout, blocks: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses [lm, position] and weights [position] of a run of blocks, zero where there is no sample; the blocks."""
    moved = layout.blocks[blocks].copy()
    start, stop = moved[0, 1], moved[-1, 1] + moved[-1, 2] * moved[-1, 3]
    moved[:, 1] -= start
    order = layout.order[start:stop]
    losses, weights = columns.block(order), columns.weights[order]
    losses[:, order < 0] = 0.0
    return losses, np.where(order < 0, 0.0, weights), moved


def null_sums(
    columns: LossColumns,
    parts: Sequence["Part"],
    block_sums: BlockSums,
    seed: int,
    null_weights: np.ndarray | None,
    executor: Executor,
) -> np.ndarray:
    """Sum up the losses that pools would have, were their members independent, and of one mind.

    Parameters
    ----------
    columns, parts, executor
        As in `rule_sums`.
    block_sums
        Makes, of losses of all models on some samples, [lm, sample], float32, what gives the sums of a part's pools,
        [pool].
    seed
        Seed of the shuffles.
    null_weights
        How much of a loss each sample holds, [sample]; its weight by default.

    Returns
    -------
    np.ndarray
        Sums of the shifted losses, [null, pool].
    """
    models, equal_weights = range(columns.models), columns.weights if null_weights is None else null_weights
    # What all have in common may be rounded, as long as it is put back as it was taken off.
    means = columns.means().astype(np.float32)
    # Rounding only deviations makes an error near 1e-8 of them, far below what another shuffle would change.
    table = np.empty((columns.models, len(means)), np.float32)
    independent_deviations((columns.column(model) for model in models), means, equal_weights, seed, out=table)
    base = [means.sum(dtype=np.float64)]
    del means
    sums = [_deviation_sums(table, parts, block_sums, executor)]
    # The shift, in proportion to other weights, would change the order of a column.
    column_of, shift = (
        (columns.column, 0.0) if null_weights is None else (lambda model: columns.nll[:, model], columns.shift)
    )
    reference = comonotone_column(column_of(0), equal_weights).astype(np.float32)
    for model in models:
        np.subtract(
            comonotone_column(column_of(model), equal_weights), reference, out=table[model], casting="same_kind"
        )
    base.append(reference.sum(dtype=np.float64) - shift * columns.weights.sum())
    del reference
    sums.append(_deviation_sums(table, parts, block_sums, executor))
    return np.stack(sums) + np.array(base)[:, None]


def _deviation_sums(
    table: np.ndarray, parts: Sequence["Part"], block_sums: BlockSums, executor: Executor
) -> np.ndarray:
    """Sum up a rule over deviations of models from what they have in common, [lm, sample]; returns [pool]."""
    sums = np.zeros(sum(len(part.pools) for part in parts))

    def add(part: "Part", found: np.ndarray) -> None:
        sums[part.rows] += found

    starts = range(0, table.shape[1], SAMPLES)
    makers = (
        lambda start=start: block_sums(np.ascontiguousarray(table[:, start : start + SAMPLES])) for start in starts
    )
    stream(executor, makers, parts, lambda made, part: made(part), add)
    return sums
