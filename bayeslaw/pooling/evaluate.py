"""Losses, standard errors, win shares and nulls of many pools at once.

Memory does not grow with samples times pools.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.combine import assign_folds
from bayeslaw.pooling import kernels, mixture_kernels, win_kernels
from bayeslaw.pooling.cluster_layout import ClusterLayout
from bayeslaw.pooling.kernels import BLOCK
from bayeslaw.pooling.nulls import comonotone_columns, independent_columns
from bayeslaw.pooling.sampling_factor import factor_of_chosen, factor_of_rule

POOLS_PER_TASK = 2048
BIT_WORDS = 256
MOST_BIT_MODELS = 128
LARGEST_BIT_WEIGHT = 1 << 20


@dataclass(frozen=True)
class Part:
    """Neighbouring pools that one task takes, among pools in lexicographic order.

    Attributes
    ----------
    rows
        Which pools.
    pools, sizes, shared
        Members [pool, slot], number of members, number of leading members shared with the pool before.
    plan
        As `kernels.plan_pools` returns it.
    """

    rows: slice
    pools: np.ndarray
    sizes: np.ndarray
    shared: np.ndarray
    plan: np.ndarray

    @classmethod
    def of(cls, rows: slice, pools: np.ndarray, models: int) -> "Part":
        """Make a part of a list of pools."""
        pools = pools[rows]
        sizes = (pools >= 0).sum(axis=1)
        same = np.cumprod((pools[1:] == pools[:-1]) & (pools[1:] >= 0), axis=1).sum(axis=1)
        shared = np.concatenate([[0], same])
        return cls(rows, pools, sizes, shared, kernels.plan_pools(pools, sizes, shared, models))


Step = Callable[[Part], None]


@dataclass(frozen=True)
class Evaluation:
    """What pools lose on a table, in nats per unit of weight; all arrays [pool] but `shares`, [pool, slot].

    Attributes
    ----------
    loss, standard_error
        Weighted mean loss and its standard error over clusters.
    best
        Loss of the member that is best on the other folds; NaN for pools of two or more on a table of one cluster.
    independent, comonotone
        Loss of the pool were the members' deviations independent of each other, or their columns sorted alike.
    shares
        Win shares, or responsibilities for a mixture; zero where padded.
    factor
        Factor of the sampling covariance of the losses, [pool, direction]; see `bayeslaw.pooling.sampling_factor`. None
        for a table of one cluster.
    """

    loss: np.ndarray
    standard_error: np.ndarray
    best: np.ndarray
    independent: np.ndarray
    comonotone: np.ndarray
    shares: np.ndarray
    factor: np.ndarray | None


def evaluate_pools(
    nll: np.ndarray,
    members: np.ndarray,
    *,
    weights: np.ndarray,
    clusters: np.ndarray,
    rule: str,
    seed: int = 0,
    null_weights: np.ndarray | None = None,
) -> Evaluation:
    """Evaluate pools on a table of losses.

    Parameters
    ----------
    nll
        Losses in nats, [sample, lm], finite.
    members
        Positions of members in ascending order, [pool, slot], padded with -1; no pool twice.
    weights
        Weight of each sample, [sample].
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    rule
        ``"oracle"``, ``"mixture"`` or ``"best"``.
    seed
        Seed of the folds and of the shuffles.
    null_weights
        How much of a loss each sample holds when losses are shuffled and sorted, [sample]; its weight by default, which
        must then not be zero.

    Returns
    -------
    Evaluation
        The losses and shares.
    """
    folds = assign_folds(clusters, seed)
    # A common shift of a sample's losses passes through every rule; it leaves cluster sums near zero, whose squares are
    # then accurate.
    shift = nll.mean() * len(nll) / weights.sum()
    columns = np.ascontiguousarray((nll - shift * weights[:, None]).T)
    if rule == "best":
        loss, error, shares, chosen = _cross_fitted(columns, members, folds, weights, clusters)
        shared = factor_of_chosen(columns, chosen, loss, folds, weights, clusters)
        return _shifted(shift, loss, error, loss, loss, loss, shares, shared)
    order = np.lexsort(members.T[::-1])
    pools = np.ascontiguousarray(members[order])
    with ThreadPoolExecutor(usable_cores()) as executor:
        best_of = executor.submit(_cross_fitted, columns, members, folds, weights, clusters)
        layout = ClusterLayout.of(weights, clusters)
        tables = [lambda: independent_columns(columns, weights, seed), lambda: comonotone_columns(columns, weights)]
        if null_weights is not None:
            # The shift, in proportion to other weights, would change the order of a column.
            tables = [
                lambda: independent_columns(columns, null_weights, seed),
                lambda: comonotone_columns(nll.T, null_weights) - shift * weights,
            ]
        starts = range(0, len(pools), POOLS_PER_TASK)
        parts = [Part.of(slice(start, start + POOLS_PER_TASK), pools, len(columns)) for start in starts]
        sums, nulls, wins = _run(columns, layout, weights, parts, rule, tables, executor)
        shared = factor_of_rule(columns, parts, sums[0] / weights.sum(), weights, clusters, rule, executor)
        best = best_of.result()
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    total, number = weights.sum(), int(clusters.max()) + 1
    loss = sums[0] / total
    square = sums[1] - 2 * loss * sums[2] + loss**2 * float((np.bincount(clusters, weights) ** 2).sum())
    factor = number / (number - 1) if number > 1 else np.nan
    error = np.sqrt(factor * np.maximum(square, 0.0)) / total
    single = pools[:, 1:].max(axis=1, initial=-1) < 0
    independent, comonotone = np.where(single, loss, nulls / total)
    loss, error, independent, comonotone = (values[back] for values in (loss, error, independent, comonotone))
    best_loss = np.where(single[back], loss, best[0])
    shared = None if shared is None else shared[back]
    return _shifted(shift, loss, error, best_loss, independent, comonotone, wins[back] / total, shared)


def _shifted(shift: float, loss: np.ndarray, error: np.ndarray, *others: Any) -> Evaluation:
    best, independent, comonotone, shares, factor = others
    return Evaluation(loss + shift, error, best + shift, independent + shift, comonotone + shift, shares, factor)


def _cross_fitted(
    columns: np.ndarray, members: np.ndarray, folds: np.ndarray, weights: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Loss, standard error, fold shares [pool, slot] and the model chosen [pool, fold] of the cross-fitted best member.

    All from sums over folds.
    """
    models, number, count = len(columns), int(folds.max()) + 1, int(clusters.max()) + 1
    # All of a fold's moments are sums over clusters: the pools need no pass over the samples.
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    sums = columns[:, order] if count == len(order) else np.add.reduceat(columns[:, order], starts, axis=1)
    weight = np.bincount(clusters, weights)
    fold_of = folds[order][starts]
    first, square, cross = (np.zeros((number, models + 1)) for _ in range(3))
    for fold in range(number):
        own = sums[:, fold_of == fold]
        first[fold, :models] = own.sum(axis=1)
        square[fold, :models] = (own**2).sum(axis=1)
        cross[fold, :models] = np.einsum("mc,c->m", own, weight[fold_of == fold])
    fold_weight = np.bincount(fold_of, weight, minlength=number)
    # Padding (-1) reads the last column: a member so bad that it is never chosen.
    first[:, models] = np.inf
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
        shares[np.arange(len(members)), slot] += fold_weight[fold]
    total = weights.sum()
    loss = loss / total
    residual = np.maximum(moment - 2 * loss * mixed + loss**2 * (weight**2).sum(), 0.0)
    error = np.sqrt((count / (count - 1) if count > 1 else np.nan) * residual) / total
    if number == 1:
        single = (members >= 0).sum(axis=1) == 1
        loss = np.where(single, loss, np.nan)
    return loss, error, shares / total, models_chosen


def _run(
    columns: np.ndarray,
    layout: ClusterLayout,
    weights: np.ndarray,
    parts: Sequence[Part],
    rule: str,
    tables: Sequence[Callable[[], np.ndarray]],
    executor: Executor,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the kernels over pools in lexicographic order; `tables` make the columns of the nulls.

    Returns sums [3, pool], the nulls' sums [null, pool] and wins [pool, slot].
    """
    count = sum(len(part.pools) for part in parts)
    sums, null_sums = np.zeros((3, count)), np.zeros((2, count))
    wins = np.zeros((count, parts[0].pools.shape[1]))
    if rule == "oracle":
        makers = [lambda: _oracle_step(columns, layout, sums), lambda: _win_step(columns, weights, wins)]
        makers += [lambda i=i, table=table: _null_step(table(), null_sums[i]) for i, table in enumerate(tables)]
    else:
        makers = [lambda: _mixture_step(columns, layout, sums, weights, wins)]
        makers += [
            lambda i=i, table=table: _mixture_step(table(), None, null_sums[i : i + 1], weights, wins)
            for i, table in enumerate(tables)
        ]
    # The first pools are under way while the tables of the later steps are still made.
    made = [executor.submit(make) for make in makers]
    for task in [executor.submit(step.result(), part) for step in made for part in parts]:
        task.result()
    return sums, null_sums, wins


def usable_cores() -> int:
    """Count the cores that this process may run on.

    Returns
    -------
    int
        The count, at least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _oracle_step(columns: np.ndarray, layout: ClusterLayout, sums: np.ndarray) -> Step:
    padded = np.concatenate([columns, np.zeros((len(columns), 1))], axis=1)[:, layout.order]

    def step(part: Part) -> None:
        # A fresh array: one layout in memory means one compiled version.
        found = np.zeros((3, len(part.sizes)))
        kernels.oracle_sums(padded, layout.blocks, layout.weights, part.plan, part.pools.shape[1], found)
        sums[:, part.rows] = found

    return step


def _null_step(columns: np.ndarray, sums: np.ndarray) -> Step:
    # Only deviations from the models' mean are rounded to float32: an error near 1e-8 of them, far below what another
    # shuffle would change.
    means = columns.mean(axis=0)
    deviations = (columns - means).astype(np.float32)
    sums[:] = means.sum()

    def step(part: Part) -> None:
        kernels.minimum_sums(deviations, part.plan, part.pools.shape[1], sums[part.rows])

    return step


def _mixture_step(
    columns: np.ndarray, layout: ClusterLayout | None, sums: np.ndarray, weights: np.ndarray, wins: np.ndarray
) -> Step:
    """Sum mixtures; without a layout no squares and no responsibilities."""
    if layout is None:
        starts = np.arange(0, columns.shape[1], BLOCK)
        blocks = np.zeros((len(starts), 5), dtype=np.int64)
        blocks[:, 0], blocks[:, 1], blocks[:, 2] = kernels.PLAIN, starts, 1
        blocks[:, 3] = np.minimum(BLOCK, columns.shape[1] - starts)
        table, position_weights, lane_weights = columns, weights, np.zeros(1)
    else:
        table = np.concatenate([columns, np.zeros((len(columns), 1))], axis=1)[:, layout.order]
        position_weights, blocks, lane_weights = np.append(weights, 0.0)[layout.order], layout.blocks, layout.weights
    base = table.min(axis=0)
    exponentials = np.exp(base - table)

    def step(part: Part) -> None:
        found = np.zeros((3, len(part.sizes)))
        tables = exponentials, table, base, position_weights
        mixture_kernels.mixture_sums(*tables, blocks, lane_weights, part.plan, part.pools, found, wins[part.rows])
        sums[:, part.rows] = found[: len(sums)]

    return step


def _win_step(columns: np.ndarray, weights: np.ndarray, wins: np.ndarray) -> Step:
    """Count wins by bits where no models tie and weights are whole numbers, and by comparing losses elsewhere."""
    whole = (weights == np.round(weights)).all() and weights.max() < LARGEST_BIT_WEIGHT
    bit_tables, tied = [], np.ones(len(weights), dtype=bool)
    if whole and len(columns) <= MOST_BIT_MODELS:
        for start in range(0, len(weights), 64 * BIT_WORDS):
            rows = slice(start, start + 64 * BIT_WORDS)
            less, tied[rows] = _compare(columns[:, rows])
            bit_tables.append((less, *_bit_planes(np.where(tied[rows], 0, weights[rows]).astype(np.int64))))
    tied_columns, tied_weights = np.ascontiguousarray(columns[:, tied]), weights[tied]

    def step(part: Part) -> None:
        for tables in bit_tables:
            win_kernels.bit_wins(*tables, part.pools, part.sizes, part.shared, wins[part.rows])
        if len(tied_weights):
            win_kernels.tied_wins(tied_columns, tied_weights, part.pools, part.sizes, wins[part.rows])

    return step


def _compare(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack who beats whom, [lm, lm, word], and say on which samples any two tie, [sample]."""
    columns = np.ascontiguousarray(columns)
    models, samples = columns.shape
    less = np.empty((models, models, -(-samples // 64)), dtype=np.uint64)
    tied = np.zeros(less.shape[2], dtype=np.uint64)
    win_kernels.compare_models(columns, less, tied)
    bits = np.unpackbits(tied.astype("<u8").view(np.uint8), bitorder="little")
    return less, bits[:samples].astype(bool)


def _bit_planes(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack whole-number weights bit by bit, [plane, word], with what a bit of each plane is worth, [plane]."""
    present, largest = weights > 0, int(weights.max())
    if (weights[present] == largest).all():
        bits, values = present[None, :], np.array([float(largest)])
    else:
        levels = np.arange(largest.bit_length())
        bits, values = (weights >> levels[:, None]) & 1 == 1, 2.0**levels
    packed = np.packbits(bits, axis=1, bitorder="little")
    planes = np.zeros((len(values), -(-len(weights) // 64) * 8), dtype=np.uint8)
    planes[:, : packed.shape[1]] = packed
    return planes.view("<u8").astype(np.uint64), values
