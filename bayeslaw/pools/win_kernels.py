"""Compiled counts of the samples on which each member of a pool has the lowest loss."""

import numpy as np
from numba import types
from numba.extending import intrinsic

from bayeslaw.pools.kernels import BLOCK, aligned, compiled


@intrinsic
def _ones(typingctx, value):
    """Count the bits set in a 64-bit word."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@compiled(reorder=True)
def _compare_word(lower, upper, start, number):
    less, equal = np.uint64(0), np.uint64(0)
    for bit in range(number):
        one, other = lower[start + bit], upper[start + bit]
        less |= np.uint64(one < other) << np.uint64(bit)
        equal |= np.uint64(one == other) << np.uint64(bit)
    return less, equal


@compiled()
def compare_models(columns, less, tied):
    """Say on which samples each model beats each other model, and on which any two tie.

    Parameters
    ----------
    columns
        Losses, [model, sample].
    less
        Bit s of ``less[i, j]`` is set where model i's loss on sample s is below model j's, and on samples of `tied` is
        of no use; [model, model, word], written to for pairs of different models.
    tied
        Bit s is set where two models tie on sample s, [word], added to.
    """
    samples = columns.shape[1]
    for first in range(columns.shape[0]):
        for second in range(first + 1, columns.shape[0]):
            for word in range(tied.shape[0]):
                number = min(64, samples - 64 * word)
                if number == 64:
                    below, equal = _compare_word(columns[first], columns[second], 64 * word, 64)
                else:
                    below, equal = _compare_word(columns[first], columns[second], 64 * word, number)
                less[first, second, word] = below
                less[second, first, word] = ~below
                tied[word] |= equal


@compiled(reorder=True)
def _weigh(stack, row, less, winner, loser, planes, values):
    """Weight of the samples that a winner so far does not lose to one more member, from the weights' bit planes."""
    above, below, weight = stack[row], less[winner, loser], 0.0
    for plane in range(planes.shape[0]):
        mask, number = planes[plane], np.uint64(0)
        for word in range(mask.shape[0]):
            number += _ones(above[word] & below[word] & mask[word])  # pyright: ignore[reportCallIssue]
        weight += values[plane] * number
    return weight


@compiled(reorder=True)
def _keep(stack, row, less, winner, loser, kept, lost):
    above, below, out, rest = stack[row], less[winner, loser], stack[kept], stack[lost]
    for word in range(out.shape[0]):
        bits = above[word] & below[word]
        out[word] = bits
        rest[word] &= ~bits


@compiled()
def bit_wins(less, planes, values, pools, sizes, shared, wins):
    """Add up the weight of the samples that each member wins, where no two models tie.

    Parameters
    ----------
    less
        Who beats whom, as `compare_models` writes it, [model, model, word].
    planes
        Bit planes of the samples' whole-number weights, [plane, word]; zero where there is no sample.
    values
        What a bit of each plane is worth, [plane].
    pools, sizes, shared
        As in `bayeslaw.pools.kernels.plan_pools`.
    wins
        Weight won [pool, slot], added to.
    """
    words, count, slots = less.shape[2], sizes.shape[0], pools.shape[1]
    # Row depth * slots + slot: the samples that a member wins among the first depth + 1 members.
    stack = np.empty((slots * slots, words), np.uint64)
    stack[0, :] = ~np.uint64(0)
    whole = 0.0
    for plane in range(planes.shape[0]):
        for word in range(words):
            whole += values[plane] * _ones(planes[plane, word])  # pyright: ignore[reportCallIssue]
    valid = 1
    for pool in range(count):
        size = sizes[pool]
        keep = pool + 1 < count and shared[pool + 1] >= size
        valid = max(min(valid, shared[pool]), 1)
        for depth in range(valid, size if keep else size - 1):
            rest = depth * slots + depth
            stack[rest, :] = ~np.uint64(0)
            for slot in range(depth):
                row = (depth - 1) * slots + slot
                _keep(stack, row, less, pools[pool, slot], pools[pool, depth], depth * slots + slot, rest)
        valid = max(valid, size if keep else size - 1)
        remaining = whole
        for slot in range(size - 1):
            row = (size - 2) * slots + slot
            weight = _weigh(stack, row, less, pools[pool, slot], pools[pool, size - 1], planes, values)
            wins[pool, slot] += weight
            remaining -= weight
        wins[pool, size - 1] += remaining


@compiled(reorder=True)
def _lower(lowest, local, model, number):
    column = local[model]
    for i in range(number):
        lowest[i] = column[i] if column[i] < lowest[i] else lowest[i]


@compiled(reorder=True)
def _count_ties(local, model, lowest, ties, number):
    column = local[model]
    for i in range(number):
        ties[i] += 1.0 if column[i] == lowest[i] else 0.0


@compiled(reorder=True)
def _tied_share(local, model, lowest, part, number):
    column, weight = local[model], 0.0
    for i in range(number):
        weight += part[i] if column[i] == lowest[i] else 0.0
    return weight


@compiled()
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
    models, samples = columns.shape
    local = aligned(models, BLOCK, columns)
    lowest, part = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, samples, BLOCK):
        number = min(BLOCK, samples - start)
        for model in range(models):
            local[model, :number] = columns[model, start : start + number]
        for pool in range(sizes.shape[0]):
            size = sizes[pool]
            lowest[:] = np.inf
            part[:] = 0.0
            for slot in range(size):
                _lower(lowest, local, pools[pool, slot], number)
            for slot in range(size):
                _count_ties(local, pools[pool, slot], lowest, part, number)
            for i in range(number):
                part[i] = sample_weights[start + i] / part[i]
            for slot in range(size):
                wins[pool, slot] += _tied_share(local, pools[pool, slot], lowest, part, number)
