"""Compiled sums of mixtures of whole samples, for many pools at once."""

import numpy as np

from bayeslaw.pools.kernels import BLOCK, LANES, PLAIN, aligned, compiled, lane_moments, load, record

_LOWEST_NORMAL = 1e-280
HALF_ROOT_BITS = 0x3FE6A09E667F3BCD
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@compiled(reorder=True)
def _split(bits, mantissas, exponents, number):
    """Split positive normal numbers into factors of two and what is left, between the root of 1 / 2 and that of 2."""
    for i in range(number):
        exponent = (bits[i] - HALF_ROOT_BITS) >> 52
        mantissas[i] = bits[i] - (exponent << 52)
        exponents[i] = float(exponent)


@compiled(reorder=True)
def _subtract_log(base, start, mantissas, exponents, out, number):
    """Subtract logarithms of numbers that `_split` took apart.

    The rational approximation is FreeBSD's msun ``e_log.c`` (Sun Microsystems, 1993), below one unit in the last place;
    written out since a call of the library's logarithm is not vectorised.
    """
    part = base[start:]
    for i in range(number):
        f = mantissas[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        w = z * z
        even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
        odd = z * (
            6.666666666666735130e-01
            + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
        )
        half = 0.5 * f * f
        k = exponents[i]
        out[i] = part[i] - (k * _LN2_HIGH - ((half - (s * (half + even + odd) + k * _LN2_LOW)) - f))


@compiled(reorder=True)
def take_sum(table, before, member, after, number):
    """Write the sum of two rows of a working table into a third, as `take_minimum` does the minimum."""
    above, column, out = table[before], table[member], table[after]
    for i in range(number):
        out[i] = above[i] + column[i]


@compiled(reorder=True)
def mean_of_sums(table, row, size, out, number):
    """Write the mean of a pool's exponentials and count those too small for their logarithm to be exact."""
    values, factor, lost = table[row], 1.0 / size, 0
    for i in range(number):
        value = values[i] * factor
        out[i] = value
        lost += 1 if value < _LOWEST_NORMAL else 0
    return lost


@compiled(reorder=True)
def _inverse(mean, sample_weights, start, size, out, number):
    part = sample_weights[start:]
    for i in range(number):
        out[i] = part[i] / (mean[i] * size)


@compiled(reorder=True)
def _product_sum(table, row, other, number):
    values, total = table[row], 0.0
    for i in range(number):
        total += values[i] * other[i]
    return total


@compiled(reorder=True)
def _moments(values, number):
    total, square = 0.0, 0.0
    for i in range(number):
        total += values[i]
        square += values[i] * values[i]
    return total, square


@compiled()
def mixture_exact(losses, start, number, members, sample_weights, values, shares):
    """Mix a block relative to the pool's own best member: for pools far behind the sample's best model."""
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


@compiled()
def mixture_sums(columns, losses, base, sample_weights, blocks, weights, plan, pools, output, shares):
    """Sum ``-log mean exp(-loss)`` over members as `oracle_sums` sums minima, and responsibilities.

    Parameters
    ----------
    columns
        ``exp(base - losses)``, [model, position].
    losses
        Losses, [model, position], for the samples on which the exponentials of a whole pool underflow.
    base
        The smallest loss over all models, [position].
    sample_weights
        Weight of each position in the responsibilities.
    blocks, weights, plan, output
        As in `bayeslaw.pools.kernels.oracle_sums`.
    pools
        Members [pool, slot], padded with -1.
    shares
        Weighted sums of the responsibilities [pool, slot], added to from blocks other than ``PLAIN``.
    """
    models, (count, slots) = columns.shape[0], pools.shape
    table = aligned(models + 1 + slots, BLOCK, columns)
    values, inverse, sums = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    rest, exponents, row = np.empty(BLOCK), np.empty(BLOCK), values.reshape(1, -1)
    # The same memory as whole numbers: the bits that hold exponents.
    bits, rest_bits = values.view(np.int64), rest.view(np.int64)
    partial, parts = np.zeros(count), np.empty((3, count + 1))
    for index in range(blocks.shape[0]):
        kind, start, steps = blocks[index, 0], blocks[index, 1], blocks[index, 2]
        lanes, entry = blocks[index, 3], blocks[index, 4]
        number = steps * lanes
        load(columns, start, number, 0.0, table)
        for step in range(plan.shape[0]):
            after, pool = plan[step, 2], plan[step, 3]
            take_sum(table, plan[step, 0], plan[step, 1], after, number)
            if pool == count:
                continue
            size = after - models
            if mean_of_sums(table, after, size, values, number) > 0:
                scratch = shares[pool] if kind != PLAIN else inverse
                mixture_exact(losses, start, number, pools[pool, :size], sample_weights, values, scratch)
            else:
                if kind != PLAIN:
                    _inverse(values, sample_weights, start, size, inverse, number)
                    for slot in range(size):
                        shares[pool, slot] += _product_sum(table, pools[pool, slot], inverse, number)
                _split(bits, rest_bits, exponents, number)
                _subtract_log(base, start, rest, exponents, values, number)
            if kind == LANES:
                total, square, cross = lane_moments(row, 0, steps, lanes, weights, entry, sums)
                parts[2, pool] = cross
            else:
                total, square = _moments(values, number)
            parts[0, pool] = total
            parts[1, pool] = square
        record(kind, weights[entry], parts, partial, output)
