"""Compiled loops over pools and samples: the only part of the package whose cost is pools times samples.

Every kernel takes pools as rows of member indices (padded with -1) in lexicographic order, with the number of leading members that each
row shares with the row before it. What the shared members have in common (their running minimum, sum or wins) is kept on a stack, so that a
pool usually costs one pass over the samples whatever its size. Samples are taken in blocks that fit in the cache.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

BLOCK, WIDE_BLOCK = 512, 1024
PLAIN, SINGLE, LANES, PIECE, LAST_PIECE = 0, 1, 2, 3, 4

# Sums may be reordered (that is what lets them be vectorised); infinities must survive, the padding of the tables has none.
_REORDER = {"reassoc", "contract", "nsz"}

_LOWEST_NORMAL = 1e-280
_HALF_ROOT_BITS = 0x3FE6A09E667F3BCD
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


def _compile(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile without the interpreter's lock, keeping the machine code on disk where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            # An installation that cannot be written to, by a user without a home: compile anew in each process.
            return njit(nogil=True, **options)(function)

    return decorate


@intrinsic
def _ones(typingctx, value):  # noqa: ANN001, ANN202
    """Count the bits set in a 64-bit word."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@_compile()
def _aligned(rows, width, like):
    """Make an array whose rows start on cache lines, so that no load straddles two."""
    raw = np.empty(rows * width + 64 // like.itemsize, like.dtype)
    offset = (-raw.ctypes.data % 64) // like.itemsize
    return raw[offset : offset + rows * width].reshape(rows, width)


@_compile()
def _load(columns, start, number, local):
    for model in range(columns.shape[0]):
        for i in range(number):
            local[model, i] = columns[model, start + i]


@_compile(fastmath=_REORDER)
def _minimum(stack, depth, local, model, number):
    above, column, out = stack[depth - 1], local[model], stack[depth]
    for i in range(number):
        out[i] = above[i] if above[i] < column[i] else column[i]


@_compile(fastmath=_REORDER)
def _minimum_sum(stack, depth, local, model, number, zero):
    above, column, total = stack[depth], local[model], zero
    for i in range(number):
        total += above[i] if above[i] < column[i] else column[i]
    return total


@_compile(fastmath=_REORDER)
def _minimum_moments(stack, depth, local, model, number):
    above, column = stack[depth], local[model]
    total, square = 0.0, 0.0
    for i in range(number):
        value = above[i] if above[i] < column[i] else column[i]
        total += value
        square += value * value
    return total, square


@_compile()
def _descend(stack, local, pools, pool, valid, size, number):
    """Bring the stack to the minimum over all members but the last, of which the first `valid` levels are there already."""
    for depth in range(valid, size - 1):
        if depth == 0:
            member = pools[pool, 0]
            for i in range(number):
                stack[0, i] = local[member, i]
        else:
            _minimum(stack, depth, local, pools[pool, depth], number)


@_compile(fastmath=_REORDER)
def _moments(values, number):
    total, square = 0.0, 0.0
    for i in range(number):
        total += values[i]
        square += values[i] * values[i]
    return total, square


@_compile(fastmath=_REORDER)
def _lane_moments(table, row, steps, lanes, weights, entry, sums):
    """Sum each lane (one cluster) over its steps; return the sum, the sum of squares and the sum against the lanes' weights."""
    values = table[row]
    for lane in range(lanes):
        sums[lane] = values[lane]
    for step in range(1, steps):
        offset = step * lanes
        for lane in range(lanes):
            sums[lane] += values[offset + lane]
    total, square, cross = 0.0, 0.0, 0.0
    for lane in range(lanes):
        total += sums[lane]
        square += sums[lane] * sums[lane]
        cross += sums[lane] * weights[entry + lane]
    return total, square, cross


@_compile()
def _record(kind, weight, parts, partial, output):
    """Add what each pool has in a block, [3, pool], to its sums over clusters."""
    for pool in range(output.shape[1]):
        total = parts[0, pool]
        output[0, pool] += total
        if kind == SINGLE or kind == LANES:
            output[1, pool] += parts[1, pool]
            output[2, pool] += weight * total if kind == SINGLE else parts[2, pool]
        elif kind == PIECE:
            partial[pool] += total
        elif kind == LAST_PIECE:
            whole = partial[pool] + total
            output[1, pool] += whole * whole
            output[2, pool] += weight * whole
            partial[pool] = 0.0


@_compile()
def oracle_sums(columns, blocks, weights, pools, sizes, shared, output):
    """Sum the minimum over each pool's members, its square over clusters and its product with the clusters' weights.

    Parameters
    ----------
    columns
        Losses, [model, position]; positions are samples in the order that `blocks` describe.
    blocks
        One row a block: kind, first position, steps, lanes, first entry of `weights`. A ``PLAIN`` block is only summed; each sample of a
        ``SINGLE`` block is a cluster and all weigh the same; each lane of a ``LANES`` block is a cluster; a ``PIECE`` belongs to
        a cluster that goes on in the next block and ``LAST_PIECE`` ends it.
    weights
        Weights of clusters, addressed by `blocks`.
    pools, sizes, shared
        Members [pool, slot], number of members, number of leading members shared with the row before.
    output
        Sum, sum of squares and weighted sum, [3, pool], added to.
    """
    count = sizes.shape[0]
    local = _aligned(columns.shape[0], BLOCK, columns)
    stack = _aligned(pools.shape[1] + 1, BLOCK, columns)
    sums, partial, parts = np.empty(BLOCK), np.zeros(count), np.empty((3, count))
    for index in range(blocks.shape[0]):
        kind, start, steps = blocks[index, 0], blocks[index, 1], blocks[index, 2]
        lanes, entry = blocks[index, 3], blocks[index, 4]
        number, valid, weight = steps * lanes, 0, weights[entry]
        _load(columns, start, number, local)
        for pool in range(count):
            size = sizes[pool]
            last = pools[pool, size - 1]
            valid = min(valid, shared[pool])
            if valid < max(size - 1, 1):
                _descend(stack, local, pools, pool, valid, max(size, 2), number)
                valid = max(size - 1, 1)
            above = max(size - 2, 0)
            if kind == LANES:
                _minimum(stack, above + 1, local, last, number)
                valid = min(valid, above + 1)
                parts[0, pool], parts[1, pool], parts[2, pool] = _lane_moments(
                    stack, above + 1, steps, lanes, weights, entry, sums
                )
            elif kind == SINGLE:
                parts[0, pool], parts[1, pool] = _minimum_moments(stack, above, local, last, number)
            else:
                parts[0, pool] = _minimum_sum(stack, above, local, last, number, 0.0)
        _record(kind, weight, parts, partial, output)


@_compile()
def minimum_sums(columns, pools, sizes, shared, output):
    """Sum the minimum over each pool's members, in the precision of the columns within a block and in float64 over blocks.

    Parameters
    ----------
    columns
        Losses, [model, position], float32.
    pools, sizes, shared
        As in `oracle_sums`.
    output
        Sums, [pool], added to.
    """
    local = _aligned(columns.shape[0], WIDE_BLOCK, columns)
    stack = _aligned(pools.shape[1] + 1, WIDE_BLOCK, columns)
    zero = columns[0, 0] - columns[0, 0]
    for start in range(0, columns.shape[1], WIDE_BLOCK):
        number, valid = min(WIDE_BLOCK, columns.shape[1] - start), 0
        _load(columns, start, number, local)
        for pool in range(sizes.shape[0]):
            size = sizes[pool]
            valid = min(valid, shared[pool])
            if valid < max(size - 1, 1):
                _descend(stack, local, pools, pool, valid, max(size, 2), number)
                valid = max(size - 1, 1)
            output[pool] += _minimum_sum(stack, max(size - 2, 0), local, pools[pool, size - 1], number, zero)


@_compile(fastmath=_REORDER)
def _log(values, bits, number):
    """Replace positive normal numbers by their logarithms.

    The rational approximation is FreeBSD's msun ``e_log.c`` (Sun Microsystems, 1993), below one unit in the last place; written out since a call
    of the library's logarithm is not vectorised.
    """
    for i in range(number):
        exponent = (bits[i] - _HALF_ROOT_BITS) >> 52
        bits[i] -= exponent << 52
        f = values[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        w = z * z
        even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
        odd = z * (
            6.666666666666735130e-01
            + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
        )
        half = 0.5 * f * f
        k = float(exponent)
        values[i] = k * _LN2_HIGH - ((half - (s * (half + even + odd) + k * _LN2_LOW)) - f)


@_compile(fastmath=_REORDER)
def _descend_sum(stack, local, pools, pool, valid, size, number):
    """Do for sums what `_descend` does for minima."""
    for depth in range(valid, size - 1):
        column, out = local[pools[pool, depth]], stack[depth]
        if depth == 0:
            for i in range(number):
                out[i] = column[i]
        else:
            above = stack[depth - 1]
            for i in range(number):
                out[i] = above[i] + column[i]


@_compile(fastmath=_REORDER)
def _mean(stack, depth, local, model, size, out, number):
    """Write the mean of a pool's exponentials and return the smallest."""
    above, column = stack[depth], local[model]
    # The stack of a single model holds the model itself.
    factor, lowest = 1.0 / max(size, 2), 1.0
    for i in range(number):
        value = (above[i] + column[i]) * factor
        out[i] = value
        lowest = value if value < lowest else lowest
    return lowest


@_compile(fastmath=_REORDER)
def _share(local, model, inverse, number):
    column, total = local[model], 0.0
    for i in range(number):
        total += column[i] * inverse[i]
    return total


@_compile(fastmath=_REORDER)
def _inverse(mean, sample_weights, start, size, out, number):
    part = sample_weights[start:]
    for i in range(number):
        out[i] = part[i] / (mean[i] * size)


@_compile(fastmath=_REORDER)
def _subtract(base, start, values, number):
    part = base[start:]
    for i in range(number):
        values[i] = part[i] - values[i]


@_compile()
def _mixture_exact(losses, start, number, members, sample_weights, values, shares):
    """Mixture of a block relative to the pool's own best member: for pools far behind the sample's best model."""
    size = members.shape[0]
    for i in range(number):
        position = start + i
        best = np.inf
        for slot in range(size):
            best = min(best, losses[members[slot], position])
        total = 0.0
        for slot in range(size):
            total += np.exp(best - losses[members[slot], position])
        values[i] = best - np.log(total / size)
        for slot in range(size):
            shares[slot] += sample_weights[position] * np.exp(best - losses[members[slot], position]) / total


@_compile()
def mixture_sums(columns, losses, base, sample_weights, blocks, weights, pools, sizes, shared, output, shares):
    """Do for ``-log mean exp(-loss)`` what `oracle_sums` does for the minimum, and sum the responsibilities.

    Parameters
    ----------
    columns
        ``exp(base - losses)``, [model, position].
    losses
        Losses, [model, position], for the samples on which the exponentials of a whole pool underflow.
    base
        The smallest loss over all models, [position].
    sample_weights
        Weight of each position in the responsibilities; zero where only the sum is wanted.
    blocks, weights, pools, sizes, shared, output
        As in `oracle_sums`.
    shares
        Weighted sums of the responsibilities [pool, slot], added to from blocks other than ``PLAIN``.
    """
    count = sizes.shape[0]
    local = _aligned(columns.shape[0], BLOCK, columns)
    stack = _aligned(pools.shape[1] + 1, BLOCK, columns)
    values, inverse, sums = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    bits, row = values.view(np.int64), values.reshape(1, -1)
    partial, parts = np.zeros(count), np.empty((3, count))
    for index in range(blocks.shape[0]):
        kind, start, steps = blocks[index, 0], blocks[index, 1], blocks[index, 2]
        lanes, entry = blocks[index, 3], blocks[index, 4]
        number, valid, weight = steps * lanes, 0, weights[entry]
        _load(columns, start, number, local)
        for pool in range(count):
            size = sizes[pool]
            last = pools[pool, size - 1]
            valid = min(valid, shared[pool])
            _descend_sum(stack, local, pools, pool, valid, max(size, 2), number)
            valid = max(valid, size - 1, 1)
            if _mean(stack, max(size - 2, 0), local, last, size, values, number) < _LOWEST_NORMAL:
                scratch = shares[pool] if kind != PLAIN else inverse
                _mixture_exact(losses, start, number, pools[pool, :size], sample_weights, values, scratch)
            else:
                if kind != PLAIN:
                    _inverse(values, sample_weights, start, size, inverse, number)
                    for slot in range(size):
                        shares[pool, slot] += _share(local, pools[pool, slot], inverse, number)
                _log(values, bits, number)
                _subtract(base, start, values, number)
            if kind == LANES:
                parts[0, pool], parts[1, pool], parts[2, pool] = _lane_moments(
                    row, 0, steps, lanes, weights, entry, sums
                )
            else:
                parts[0, pool], parts[1, pool] = _moments(values, number)
        _record(kind, weight, parts, partial, output)


@_compile(fastmath=_REORDER)
def _and_not_lost(above, less, out, words):
    for word in range(words):
        out[word] = above[word] & less[word]


@_compile(fastmath=_REORDER)
def _weigh(above, less, planes, values, words):
    """Weight of the samples whose bits are set in both words, from the bit planes of the samples' weights."""
    weight = 0.0
    for plane in range(planes.shape[0]):
        row, number = planes[plane], np.uint64(0)
        for word in range(words):
            number += _ones(above[word] & less[word] & row[word])
        weight += values[plane] * number
    return weight


@_compile()
def bit_wins(less, planes, values, pools, sizes, shared, wins):
    """Add up the weight of the samples that each member wins, where no two models tie.

    Parameters
    ----------
    less
        Bit s of ``less[i, j]`` says whether model i's loss on sample s is below model j's, [model, model, word].
    planes
        Bit planes of the samples' whole-number weights, [plane, word]; zero where there is no sample.
    values
        What a bit of each plane is worth, [plane].
    pools, sizes, shared
        As in `oracle_sums`.
    wins
        Weight won [pool, slot], added to.
    """
    words, count, depths = less.shape[2], sizes.shape[0], pools.shape[1]
    stack = np.empty((depths, depths, words), np.uint64)
    every = np.full(words, ~np.uint64(0), np.uint64)
    whole = _weigh(every, every, planes, values, words)
    stack[0, 0, :] = every
    for pool in range(count):
        size = sizes[pool]
        keep = pool + 1 < count and shared[pool + 1] >= size
        for depth in range(max(1, shared[pool] if pool > 0 else 0), size if keep else size - 1):
            member = pools[pool, depth]
            lost = stack[depth, depth]
            lost[:] = every
            for slot in range(depth):
                _and_not_lost(stack[depth - 1, slot], less[pools[pool, slot], member], stack[depth, slot], words)
                for word in range(words):
                    lost[word] &= ~stack[depth, slot, word]
        remaining = whole
        for slot in range(size - 1):
            rows = less[pools[pool, slot], pools[pool, size - 1]]
            weight = _weigh(stack[size - 2, slot], rows, planes, values, words)
            wins[pool, slot] += weight
            remaining -= weight
        wins[pool, size - 1] += remaining


@_compile(fastmath=_REORDER)
def _count_ties(local, model, lowest, ties, number):
    column = local[model]
    for i in range(number):
        ties[i] += 1.0 if column[i] == lowest[i] else 0.0


@_compile(fastmath=_REORDER)
def _tied_share(local, model, lowest, part, number):
    column, weight = local[model], 0.0
    for i in range(number):
        weight += part[i] if column[i] == lowest[i] else 0.0
    return weight


@_compile()
def tied_wins(columns, sample_weights, pools, sizes, wins):
    """Do what `bit_wins` does for any losses and weights, splitting a sample evenly between the members that tie on it.

    Parameters
    ----------
    columns
        Losses, [model, sample].
    sample_weights
        Weights, [sample].
    pools, sizes, wins
        As in `bit_wins`.
    """
    samples = columns.shape[1]
    local = _aligned(columns.shape[0], BLOCK, columns)
    stack = _aligned(pools.shape[1] + 1, BLOCK, columns)
    part = np.empty(BLOCK)
    for start in range(0, samples, BLOCK):
        number = min(BLOCK, samples - start)
        _load(columns, start, number, local)
        for pool in range(sizes.shape[0]):
            size = sizes[pool]
            _descend(stack, local, pools, pool, 0, max(size, 2), number)
            _minimum(stack, max(size - 1, 1), local, pools[pool, size - 1], number)
            lowest = stack[max(size - 1, 1)]
            part[:number] = 0.0
            for slot in range(size):
                _count_ties(local, pools[pool, slot], lowest, part, number)
            for i in range(number):
                part[i] = sample_weights[start + i] / part[i]
            for slot in range(size):
                wins[pool, slot] += _tied_share(local, pools[pool, slot], lowest, part, number)
