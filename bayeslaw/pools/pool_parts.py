"""Pools in lexicographic order, cut into parts that a task each takes."""

from dataclasses import dataclass

import numpy as np

from bayeslaw.pools import kernels

POOLS_PER_TASK = 2048


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


def lexicographic(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort pools so that neighbours share their leading members.

    Parameters
    ----------
    members
        Positions of members in ascending order, [pool, slot], padded with -1.

    Returns
    -------
    pools : numpy.ndarray
        The sorted pools, [pool, slot].
    back : numpy.ndarray
        Where each pool of `members` is among them, [pool].
    """
    order = np.lexsort(members.T[::-1])
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return np.ascontiguousarray(members[order]), back


def make_parts(pools: np.ndarray, models: int) -> list[Part]:
    """Cut sorted pools [pool, slot] into parts; `models` is the number of models of the table."""
    starts = range(0, len(pools), POOLS_PER_TASK)
    return [Part.of(slice(start, min(start + POOLS_PER_TASK, len(pools))), pools, models) for start in starts]
