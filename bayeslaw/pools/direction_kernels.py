"""Compiled products of the losses of many pools with directions in the space of samples."""

import numpy as np

from bayeslaw.pools.kernels import BLOCK, aligned, compiled, load, take_minimum
from bayeslaw.pools.mixture_kernels import mean_of_sums, mixture_exact, take_sum


@compiled(reorder=True)
def _add_products(values, directions, start, number, output):
    for direction in range(directions.shape[0]):
        other, total = directions[direction, start : start + number], 0.0
        for i in range(number):
            total += values[i] * other[i]
        output[direction] += total


@compiled()
def oracle_products(columns, directions, plan, slots, output):
    """Sum the minimum over members times each direction.

    Parameters
    ----------
    columns
        Losses, [model, sample].
    directions
        Directions, [direction, sample].
    plan, slots
        As in `bayeslaw.pools.kernels.oracle_sums`.
    output
        Sums, [pool, direction], added to.
    """
    models, count = columns.shape[0], output.shape[0]
    table = aligned(models + 1 + slots, BLOCK, columns)
    for start in range(0, columns.shape[1], BLOCK):
        number = min(BLOCK, columns.shape[1] - start)
        load(columns, start, number, np.inf, table)
        for step in range(plan.shape[0]):
            after, pool = plan[step, 2], plan[step, 3]
            take_minimum(table, plan[step, 0], plan[step, 1], after, number)
            if pool < count:
                _add_products(table[after], directions, start, number, output[pool])


@compiled()
def mixture_products(columns, losses, base, directions, plan, pools, output):
    """Sum ``-log mean exp(-loss)`` over members times each direction.

    Parameters
    ----------
    columns
        ``exp(base - losses)``, [model, sample].
    losses, base
        As in `bayeslaw.pools.mixture_kernels.mixture_sums`, in the order of the samples.
    directions, plan, output
        As in `oracle_products`.
    pools
        Members [pool, slot], padded with -1.
    """
    models, (count, slots) = columns.shape[0], pools.shape
    table = aligned(models + 1 + slots, BLOCK, columns)
    values, no_weights, no_shares = np.empty(BLOCK), np.zeros(losses.shape[1]), np.zeros(slots)
    for start in range(0, columns.shape[1], BLOCK):
        number = min(BLOCK, columns.shape[1] - start)
        load(columns, start, number, 0.0, table)
        for step in range(plan.shape[0]):
            after, pool = plan[step, 2], plan[step, 3]
            take_sum(table, plan[step, 0], plan[step, 1], after, number)
            if pool == count:
                continue
            size = after - models
            if mean_of_sums(table, after, size, values, number) > 0:
                mixture_exact(losses, start, number, pools[pool, :size], no_weights, values, no_shares)
            else:
                for i in range(number):
                    values[i] = base[start + i] - np.log(values[i])
            _add_products(values, directions, start, number, output[pool])
