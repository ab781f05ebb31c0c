"""Compiled sums of mixtures alone: one logarithm a block of samples, of the product of what it would be taken of.

A pass over the samples then costs an addition and a multiplication each. Products stay in range: factors of two are
taken out of them, as often as the distance of the models' losses asks for.
"""

import numpy as np

from bayeslaw.pools.kernels import BLOCK, aligned, compiled, load
from bayeslaw.pools.mixture_kernels import HALF_ROOT_BITS

MOST_FACTORS = 8
EIGHTH = BLOCK // MOST_FACTORS
LOG_RANGE = 600.0
"""Natural logarithm of how far a product may be below one; that of the smallest normal float64 is -708."""
LOG_TWO = float(np.log(2.0))


def factors_in_products(spread: np.ndarray) -> np.ndarray:
    """Say how many factors a product may have before factors of two are taken out of it, block by block.

    Parameters
    ----------
    spread
        The largest minus the smallest loss over models in nats, [position].

    Returns
    -------
    numpy.ndarray
        Powers of two up to 8, [block]; 0 where not even one factor is in range.
    """
    padded = np.zeros(-(-len(spread) // BLOCK) * BLOCK)
    padded[: len(spread)] = spread
    blocks, factors = padded.reshape(-1, BLOCK), np.zeros(len(padded) // BLOCK, dtype=np.int64)
    for number in 2 ** np.arange(MOST_FACTORS.bit_length()):
        # A factor may also be as large as the number of members, which is small beside the range.
        reached = blocks.reshape(len(blocks), number, -1).sum(axis=1).max(axis=1)
        factors[reached <= LOG_RANGE] = number
    return factors


@compiled(reorder=True)
def _add(table, before, member, after):
    above, column, out = table[before], table[member], table[after]
    for i in range(BLOCK):
        out[i] = above[i] + column[i]


@compiled(reorder=True)
def _multiply_sums(table, before, member, products):
    """Multiply those sums of two rows that lie an eighth of a block apart, in one pass."""
    above, column = table[before], table[member]
    for i in range(EIGHTH):
        first = above[i] + column[i]
        second = above[EIGHTH + i] + column[EIGHTH + i]
        third = above[2 * EIGHTH + i] + column[2 * EIGHTH + i]
        fourth = above[3 * EIGHTH + i] + column[3 * EIGHTH + i]
        fifth = above[4 * EIGHTH + i] + column[4 * EIGHTH + i]
        sixth = above[5 * EIGHTH + i] + column[5 * EIGHTH + i]
        seventh = above[6 * EIGHTH + i] + column[6 * EIGHTH + i]
        eighth = above[7 * EIGHTH + i] + column[7 * EIGHTH + i]
        products[i] = (first * second) * (third * fourth) * ((fifth * sixth) * (seventh * eighth))


@compiled(reorder=True)
def _multiply(left, right, out, number):
    for i in range(number):
        out[i] = left[i] * right[i]


@compiled(reorder=True)
def _log_of_product(bits, mantissa_bits, mantissas, number):
    """Take factors of two out of positive normal numbers, and the logarithm of the product of what is left."""
    exponents, product = 0, 1.0
    for i in range(number):
        exponent = (bits[i] - HALF_ROOT_BITS) >> 52
        mantissa_bits[i] = bits[i] - (exponent << 52)
        exponents += exponent
    for i in range(number):
        product *= mantissas[i]
    return exponents * LOG_TWO + np.log(product)


@compiled()
def _folded(sums, factors, work, mantissas):
    """Sum the logarithms of a block by products of fewer factors than an eighth of a block makes."""
    work[0] = sums
    width, place = BLOCK, 0
    while width * factors > BLOCK:
        width //= 2
        _multiply(work[place, :width], work[place, width:], work[1 - place], width)
        place = 1 - place
    return _log_of_product(work[place].view(np.int64), mantissas.view(np.int64), mantissas, width)


@compiled()
def log_product_sums(columns, factors, plan, slots, output):
    """Sum the logarithms of sums of exponentials over members.

    Parameters
    ----------
    columns
        ``exp(base - loss)``, [model, position], float64, positive.
    factors
        As `factors_in_products` returns it, of at least one, [block].
    plan, slots
        As in `bayeslaw.pools.kernels.oracle_sums`.
    output
        Sums, [pool], added to.
    """
    models, count = columns.shape[0], output.shape[0]
    table = aligned(models + 1 + slots, BLOCK, columns)
    work, mantissas, products = aligned(2, BLOCK, columns), np.empty(BLOCK), np.empty(EIGHTH)
    bits, mantissa_bits, sums = products.view(np.int64), mantissas.view(np.int64), np.zeros(count + 1)
    for block in range(factors.shape[0]):
        number = min(BLOCK, columns.shape[1] - block * BLOCK)
        load(columns, block * BLOCK, number, 0.0, table)
        # What fills up the last block is a one for every pool, from the row for no members.
        table[:models, number:] = 0.0
        table[models, number:] = 1.0
        for step in range(plan.shape[0]):
            before, member, row = plan[step, 0], plan[step, 1], plan[step, 2]
            fast = factors[block] == MOST_FACTORS
            # The pools that go on from this one follow at once.
            if not fast or (step + 1 < plan.shape[0] and plan[step + 1, 0] == row):
                _add(table, before, member, row)
            if fast:
                _multiply_sums(table, before, member, products)
                total = _log_of_product(bits, mantissa_bits, mantissas, EIGHTH)
            else:
                total = _folded(table[row], factors[block], work, mantissas)
            sums[plan[step, 3]] += total
    for pool in range(count):
        output[pool] += sums[pool]
