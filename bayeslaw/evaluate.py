"""Losses, standard errors, win shares and nulls of many pools at once, at a memory that does not grow with samples times pools."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bayeslaw import kernels
from bayeslaw.combine import assign_folds, choose_best
from bayeslaw.kernels import BLOCK

POOLS_PER_TASK = 1024
LONG_CLUSTER = 64
LANE_MULTIPLE = 8
BIT_WORDS = 256
LARGEST_BIT_WEIGHT = 1 << 20

Step = Callable[[np.ndarray, np.ndarray, np.ndarray, slice], None]


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
    """

    loss: np.ndarray
    standard_error: np.ndarray
    best: np.ndarray
    independent: np.ndarray
    comonotone: np.ndarray
    shares: np.ndarray


def evaluate_pools(
    nll: np.ndarray, members: np.ndarray, *, weights: np.ndarray, clusters: np.ndarray, rule: str, seed: int = 0
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

    Returns
    -------
    Evaluation
        The losses and shares.
    """
    folds = assign_folds(clusters, seed)
    # A common shift of a sample's losses passes through every rule; it leaves cluster sums near zero, whose squares are then accurate.
    shift = nll.mean() * len(nll) / weights.sum()
    columns = np.ascontiguousarray((nll - shift * weights[:, None]).T)
    best = _cross_fitted(columns, members, folds, weights, clusters)
    if rule == "best":
        loss, error, shares = best
        return _shifted(shift, loss, error, loss, loss, loss, shares)
    order = np.lexsort(members.T[::-1])
    pools = np.ascontiguousarray(members[order])
    sums, nulls, wins = _run(columns, _Layout.of(weights, clusters), weights, pools, rule, seed)
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
    return _shifted(shift, loss, error, best_loss, independent, comonotone, wins[back] / total)


def _shifted(shift: float, loss: np.ndarray, error: np.ndarray, *others: np.ndarray) -> Evaluation:
    best, independent, comonotone, shares = others
    return Evaluation(loss + shift, error, best + shift, independent + shift, comonotone + shift, shares)


def _cross_fitted(
    columns: np.ndarray, members: np.ndarray, folds: np.ndarray, weights: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss, standard error and fold shares [pool, slot] of the cross-fitted best member, from sums over folds."""
    models, number, count = len(columns), int(folds.max()) + 1, int(clusters.max()) + 1
    # All of a fold's moments are sums over clusters: the pools need no pass over the samples.
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    sums = np.add.reduceat(columns[:, order], starts, axis=1)
    weight = np.bincount(clusters, weights)
    fold_of = folds[order][starts]
    first, square, cross = (np.zeros((number, models + 1)) for _ in range(3))
    for fold in range(number):
        own = sums[:, fold_of == fold]
        first[fold, :models] = own.sum(axis=1)
        square[fold, :models] = (own**2).sum(axis=1)
        cross[fold, :models] = own @ weight[fold_of == fold]
    fold_weight = np.bincount(fold_of, weight, minlength=number)
    # Padding (-1) reads the last column: a member so bad that it is never chosen.
    first[:, models] = np.inf
    loss, moment, mixed = (np.zeros(len(members)) for _ in range(3))
    shares = np.zeros(members.shape)
    others = first.sum(axis=0) - np.where(np.isfinite(first), first, 0.0)
    for fold in range(number):
        slot = others[fold][members].argmin(axis=1)
        chosen = np.take_along_axis(members, slot[:, None], axis=1)[:, 0]
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
    return loss, error, shares / total


@dataclass(frozen=True)
class _Layout:
    """An order of the samples in which the sums over clusters are sums over neighbours; see `kernels.oracle_sums`."""

    order: np.ndarray
    blocks: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, clusters: np.ndarray) -> "_Layout":
        counts = np.bincount(clusters)
        order = np.argsort(clusters, kind="stable")
        starts = np.cumsum(counts) - counts
        totals = np.bincount(clusters, weights)
        parts: list[np.ndarray] = []
        blocks: list[tuple[int, ...]] = []
        lane_weights: list[np.ndarray] = []
        position, entry = 0, 0

        def add(rows: np.ndarray, kind: int, weight: np.ndarray) -> None:
            nonlocal position, entry
            blocks.append((kind, position, *rows.shape, entry))
            parts.append(rows.ravel())
            lane_weights.append(weight)
            position, entry = position + rows.size, entry + len(weight)

        for cluster in np.flatnonzero(counts > LONG_CLUSTER):
            rows = order[starts[cluster] : starts[cluster] + counts[cluster]]
            pieces = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
            for index, piece in enumerate(pieces):
                kind = kernels.LAST_PIECE if index == len(pieces) - 1 else kernels.PIECE
                add(piece[None, :], kind, totals[[cluster]])
        short = np.flatnonzero(counts <= LONG_CLUSTER)
        short = short[np.argsort(-counts[short], kind="stable")]
        while len(short):
            steps = int(counts[short[0]])
            lanes = max(LANE_MULTIPLE, BLOCK // steps // LANE_MULTIPLE * LANE_MULTIPLE)
            group, short = short[:lanes], short[lanes:]
            step = np.arange(steps)[:, None]
            rows = np.where(step < counts[group], order[np.minimum(starts[group] + step, len(order) - 1)], -1)
            alike = steps == 1 and np.ptp(totals[group]) == 0
            add(rows, kernels.SINGLE if alike else kernels.LANES, totals[group][:1] if alike else totals[group])
        return cls(np.concatenate(parts), np.array(blocks, dtype=np.int64), np.concatenate(lane_weights))


def _run(
    columns: np.ndarray, layout: _Layout, weights: np.ndarray, pools: np.ndarray, rule: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the kernels over pools in lexicographic order: sums [3, pool], the nulls' sums [null, pool] and wins [pool, slot]."""
    sums, null_sums = np.zeros((3, len(pools))), np.zeros((2, len(pools)))
    wins = np.zeros(pools.shape)
    nulls = [_independent(columns, weights, seed), _comonotone(columns, weights)]
    if rule == "oracle":
        steps = [_oracle_step(columns, layout, sums), *_win_steps(columns, weights, wins)]
        steps += [_null_step(null, null_sums[index]) for index, null in enumerate(nulls)]
    else:
        steps = [_mixture_step(columns, layout, sums, weights, wins)]
        for index, null in enumerate(nulls):
            steps.append(_mixture_step(null, None, null_sums[index : index + 1], weights, wins))
    sizes = (pools >= 0).sum(axis=1)
    same = np.cumprod((pools[1:] == pools[:-1]) & (pools[1:] >= 0), axis=1).sum(axis=1)
    shared = np.concatenate([[0], same])

    def work(start: int) -> None:
        rows = slice(start, min(start + POOLS_PER_TASK, len(pools)))
        for step in steps:
            step(pools[rows], sizes[rows], shared[rows], rows)

    starts = range(0, len(pools), POOLS_PER_TASK)
    with ThreadPoolExecutor(min(len(starts), usable_cores())) as executor:
        list(executor.map(work, starts))
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


def _oracle_step(columns: np.ndarray, layout: _Layout, sums: np.ndarray) -> Step:
    padded = np.concatenate([columns, np.zeros((len(columns), 1))], axis=1)[:, layout.order]

    def step(pools: np.ndarray, sizes: np.ndarray, shared: np.ndarray, rows: slice) -> None:
        # A fresh array: one layout in memory means one compiled version.
        part = np.zeros((3, len(sizes)))
        kernels.oracle_sums(padded, layout.blocks, layout.weights, pools, sizes, shared, part)
        sums[:, rows] = part

    return step


def _null_step(columns: np.ndarray, sums: np.ndarray) -> Step:
    # Only deviations from the models' mean are rounded to float32: an error near 1e-8 of them, far below what another shuffle would change.
    means = columns.mean(axis=0)
    deviations = (columns - means).astype(np.float32)
    total = means.sum()

    def step(pools: np.ndarray, sizes: np.ndarray, shared: np.ndarray, rows: slice) -> None:
        part = np.full(len(sizes), total)
        kernels.minimum_sums(deviations, pools, sizes, shared, part)
        sums[rows] = part

    return step


def _mixture_step(
    columns: np.ndarray, layout: _Layout | None, sums: np.ndarray, weights: np.ndarray, wins: np.ndarray
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

    def step(pools: np.ndarray, sizes: np.ndarray, shared: np.ndarray, rows: slice) -> None:
        part = np.zeros((3, len(sizes)))
        kernels.mixture_sums(
            exponentials, table, base, position_weights, blocks, lane_weights, pools, sizes, shared, part, wins[rows]
        )
        sums[:, rows] = part[: len(sums)]

    return step


def _win_steps(columns: np.ndarray, weights: np.ndarray, wins: np.ndarray) -> list[Step]:
    """Count wins by bits where no models tie and weights are whole numbers, and by comparing losses elsewhere."""
    ordered = np.sort(columns, axis=0)
    simple = np.ones(columns.shape[1], dtype=bool)
    if (weights != np.round(weights)).any() or weights.max() >= LARGEST_BIT_WEIGHT:
        simple[:] = False
    for lower, upper in zip(ordered[:-1], ordered[1:], strict=True):
        simple &= lower != upper
    tied, tied_weights = np.ascontiguousarray(columns[:, ~simple]), weights[~simple]

    def count_tied(pools: np.ndarray, sizes: np.ndarray, shared: np.ndarray, rows: slice) -> None:
        kernels.tied_wins(tied, tied_weights, pools, sizes, wins[rows])

    def count_bits(pools: np.ndarray, sizes: np.ndarray, shared: np.ndarray, rows: slice) -> None:
        for less, planes, values in tables:
            kernels.bit_wins(less, planes, values, pools, sizes, shared, wins[rows])

    tables = list(_bit_tables(columns[:, simple], weights[simple]))
    return [count_bits, count_tied] if len(tied_weights) else [count_bits]


def _bit_tables(columns: np.ndarray, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pack, for every stretch of samples, who beats whom and the bit planes of the weights."""
    tables = []
    for start in range(0, columns.shape[1], 64 * BIT_WORDS):
        part = columns[:, start : start + 64 * BIT_WORDS]
        whole = weights[start : start + 64 * BIT_WORDS].astype(np.int64)
        less = np.stack([_pack(column < part) for column in part])
        if (whole == whole[0]).all():
            planes, values = _pack(np.ones((1, len(whole)), dtype=bool)), np.array([float(whole[0])])
        else:
            levels = np.arange(int(whole.max()).bit_length())
            planes, values = _pack((whole >> levels[:, None]) & 1 == 1), 2.0**levels
        tables.append((less, planes, values))
    return tables


def _pack(bits: np.ndarray) -> np.ndarray:
    packed = np.packbits(bits, axis=1)
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))).view(np.uint64)


def _independent(columns: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """Keep each sample's mean over models and shuffle each model's deviations from it over samples, [lm, sample].

    With weights, what is shuffled is the deviation per unit of weight, and a sample is drawn as often as it weighs (systematic sampling in
    random order; with equal weights a permutation); a constant then restores the model's mean loss exactly.
    """
    generator = np.random.default_rng([seed, 2])
    means = columns.mean(axis=0)
    deviations = (columns - means) / weights
    if np.ptp(weights) == 0:
        return means + weights * generator.permuted(deviations, axis=1, out=deviations)
    shuffled = np.empty_like(columns)
    for model, rates in enumerate(deviations):
        source, target = generator.permutation(len(weights)), generator.permutation(len(weights))
        ends = np.cumsum(weights[source])
        middle = np.cumsum(weights[target]) - weights[target] / 2
        place = np.minimum(np.searchsorted(ends, middle, side="right"), len(weights) - 1)
        shuffled[model, target] = weights[target] * rates[source[place]]
        lost = (weights * rates).sum() - shuffled[model].sum()
        shuffled[model] += weights * (lost / weights.sum())
    return means + shuffled


def _comonotone(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sort each column, [lm, sample].

    With weights, columns of losses per unit of weight are sorted, each value lasting as long as it weighs, and cut into as many parts of
    equal weight as there are samples; the parts' sums keep the model's mean loss exactly.
    """
    if np.ptp(weights) == 0:
        return np.sort(columns, axis=1)
    grid = np.linspace(0.0, weights.sum(), len(weights) + 1)
    aligned = np.empty_like(columns)
    for model, column in enumerate(columns):
        order = np.argsort(column / weights, kind="stable")
        ends = np.concatenate([[0.0], np.cumsum(weights[order])])
        sums = np.concatenate([[0.0], np.cumsum(column[order])])
        aligned[model] = np.diff(np.interp(grid, ends, sums))
    return aligned
