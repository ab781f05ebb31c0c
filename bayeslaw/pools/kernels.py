"""Compiled sums of losses over samples, for many pools at once.

Pools come as a plan (see `plan_pools`): pools in lexicographic order share the minimum (or sum) over their leading
members, so that a pool usually costs one pass over the samples whatever its size. Samples are taken in blocks that
fit in the cache.

The compiler keeps machine code by the file of each function and does not see that a function of another file has
changed: after a change here, remove ``__pycache__``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

BLOCK = 1024
PLAIN, SINGLE, LANES, PIECE, LAST_PIECE = 0, 1, 2, 3, 4

# Sums and minima may be reordered, which is what lets them be vectorised; there is no NaN, but infinities must survive.
REORDER = frozenset({"reassoc", "contract", "nsz", "nnan"})


def compiled(*, reorder: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function that needs no interpreter, keeping the machine code on disk where there is a place for it.

    Parameters
    ----------
    reorder
        Whether its sums may be reordered.

    Returns
    -------
    Callable
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # Checks for division by zero would keep loops from being vectorised.
        options: dict[str, Any] = {
            "nogil": True,
            "error_model": "numpy",
            "fastmath": set(REORDER) if reorder else False,
            # Else the process that compiles runs another copy of it than those that read the code from disk: sums in
            # another order, and other last bits.
            "forceinline": reorder,
        }
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:
            # An installation that cannot be written to, by a user without a home: compile anew in each process.
            return njit(**options)(function)

    return decorate


@compiled()
def aligned(rows, width, like):
    """Make a table whose rows start on cache lines, so that no load straddles two.

    Parameters
    ----------
    rows, width
        Its shape; the width is a multiple of 16.
    like
        An array of the wanted type.

    Returns
    -------
    np.ndarray
        The table, not filled.
    """
    raw = np.empty(rows * width + 64 // like.itemsize, like.dtype)
    offset = (-raw.ctypes.data % 64) // like.itemsize
    return raw[offset : offset + rows * width].reshape(rows, width)


@compiled()
def plan_pools(pools, sizes, shared, models):
    """Write pools as steps, each of which takes one more member into what is known of the members before it.

    Parameters
    ----------
    pools
        Members [pool, slot] in lexicographic order, padded with -1.
    sizes
        Number of members, [pool].
    shared
        Number of leading members shared with the row before, [pool].
    models
        Number of models.

    Returns
    -------
    np.ndarray
        Rows of a working table, [step, 4]: the row of the members before, the row of the member, the row for the
        result, and the pool that is complete by it, or the number of pools if none is. The table has a row for each
        model, one for no members, and one for each slot.
    """
    steps = np.empty((pools.size, 4), np.int64)
    valid, number = 0, 0
    for pool in range(sizes.shape[0]):
        size = sizes[pool]
        valid = min(valid, shared[pool])
        for depth in range(valid, size):
            steps[number, 0] = models + depth
            steps[number, 1] = pools[pool, depth]
            steps[number, 2] = models + depth + 1
            steps[number, 3] = pool if depth == size - 1 else sizes.shape[0]
            number += 1
        valid = size
    return steps[:number].copy()


@compiled()
def load(columns, start, number, padding, table):
    """Copy a block of every model into a working table.

    Parameters
    ----------
    columns
        Losses, [model, position].
    start, number
        Which positions.
    padding
        What the row for no members holds.
    table
        Working table, [row, position], written to.
    """
    models = columns.shape[0]
    for model in range(models):
        for i in range(number):
            table[model, i] = columns[model, start + i]
    table[models, :number] = padding


@compiled(reorder=True)
def take_minimum(table, before, member, after, number):
    """Write the minimum of two rows of a working table into a third; arguments as in `plan_pools`."""
    above, column, out = table[before], table[member], table[after]
    for i in range(number):
        out[i] = above[i] if above[i] < column[i] else column[i]


@compiled(reorder=True)
def _sum_minimum(table, before, member, after, number, zero):
    above, column, out, total = table[before], table[member], table[after], zero
    for i in range(number):
        value = above[i] if above[i] < column[i] else column[i]
        out[i] = value
        total += value
    return total


@compiled(reorder=True)
def _sum_minimum_square(table, before, member, after, number):
    above, column, out = table[before], table[member], table[after]
    total, square = 0.0, 0.0
    for i in range(number):
        value = above[i] if above[i] < column[i] else column[i]
        out[i] = value
        total += value
        square += value * value
    return total, square


@compiled(reorder=True)
def lane_moments(table, row, steps, lanes, weights, entry, sums):
    """Sum each lane, a cluster, over its steps.

    Parameters
    ----------
    table, row
        The row holds the values, [step, lane] one after the other.
    steps, lanes
        Numbers of them.
    weights, entry
        The lanes' weights start at this entry.
    sums
        Scratch, [lane].

    Returns
    -------
    tuple
        The sum, the sum of the lanes' squares, and the lanes' sum against their weights.
    """
    values = table[row]
    for lane in range(lanes):
        sums[lane] = values[lane]
    for step in range(1, steps):
        part = values[step * lanes : (step + 1) * lanes]
        for lane in range(lanes):
            sums[lane] += part[lane]
    total, square, cross, part = 0.0, 0.0, 0.0, weights[entry : entry + lanes]
    for lane in range(lanes):
        total += sums[lane]
        square += sums[lane] * sums[lane]
        cross += sums[lane] * part[lane]
    return total, square, cross


@compiled()
def record(kind, weight, parts, partial, output):
    """Add what each pool has in a block to its sums over clusters.

    Parameters
    ----------
    kind, weight
        Kind of the block, and the weight of its cluster or of each of its clusters; see `oracle_sums`.
    parts
        Sum, sum of squares and weighted sum in the block, [3, pool].
    partial
        What clusters that go on in the next block have so far, [pool]; updated.
    output
        As in `oracle_sums`.
    """
    for pool in range(output.shape[1]):
        total = parts[0, pool]
        output[0, pool] += total
        if kind == SINGLE:
            output[1, pool] += parts[1, pool]
            output[2, pool] += weight * total
        elif kind == LANES:
            output[1, pool] += parts[1, pool]
            output[2, pool] += parts[2, pool]
        elif kind == PIECE:
            partial[pool] += total
        elif kind == LAST_PIECE:
            whole = partial[pool] + total
            output[1, pool] += whole * whole
            output[2, pool] += weight * whole
            partial[pool] = 0.0


@compiled()
def oracle_sums(columns, blocks, weights, plan, slots, output):
    """Sum the minimum over members, its square over clusters and its product with the clusters' weights.

    Parameters
    ----------
    columns
        Losses, [model, position]; positions are samples in the order that `blocks` describe.
    blocks
        One row a block: kind, first position, steps, lanes, first entry of `weights`. A ``PLAIN`` block is only summed;
        each sample of a ``SINGLE`` block is a cluster and all weigh the same; each lane of a ``LANES`` block is a
        cluster; a ``PIECE`` belongs to a cluster that goes on in the next block and ``LAST_PIECE`` ends it.
    weights
        Weights of clusters, addressed by `blocks`.
    plan
        As `plan_pools` returns it.
    slots
        Largest number of members.
    output
        Sum, sum of squares and weighted sum, [3, pool], added to.
    """
    models, count = columns.shape[0], output.shape[1]
    table = aligned(models + 1 + slots, BLOCK, columns)
    # What belongs to no pool ends in the last entry, so that the loop needs no branch.
    sums, partial, parts = np.empty(BLOCK), np.zeros(count), np.empty((3, count + 1))
    for index in range(blocks.shape[0]):
        kind, start, steps = blocks[index, 0], blocks[index, 1], blocks[index, 2]
        lanes, entry = blocks[index, 3], blocks[index, 4]
        number = steps * lanes
        load(columns, start, number, np.inf, table)
        for step in range(plan.shape[0]):
            before, member, after, pool = plan[step, 0], plan[step, 1], plan[step, 2], plan[step, 3]
            if kind == LANES:
                take_minimum(table, before, member, after, number)
                total, square, cross = lane_moments(table, after, steps, lanes, weights, entry, sums)
                parts[2, pool] = cross
            else:
                total, square = _sum_minimum_square(table, before, member, after, number)
            parts[0, pool] = total
            parts[1, pool] = square
        record(kind, weights[entry], parts, partial, output)


@compiled()
def minimum_sums(columns, plan, slots, output):
    """Sum the minimum over members, within a block in the precision of the columns and over blocks in float64.

    Parameters
    ----------
    columns
        Losses, [model, position], float32.
    plan, slots
        As in `oracle_sums`.
    output
        Sums, [pool], added to.
    """
    models, count = columns.shape[0], output.shape[0]
    table = aligned(models + 1 + slots, BLOCK, columns)
    sums, zero = np.zeros(count + 1), columns[0, 0] - columns[0, 0]
    for start in range(0, columns.shape[1], BLOCK):
        number = min(BLOCK, columns.shape[1] - start)
        load(columns, start, number, np.inf, table)
        for step in range(plan.shape[0]):
            total = _sum_minimum(table, plan[step, 0], plan[step, 1], plan[step, 2], number, zero)
            sums[plan[step, 3]] += total
    for pool in range(count):
        output[pool] += sums[pool]
