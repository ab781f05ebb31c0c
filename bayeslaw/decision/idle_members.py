"""Pools of which a member never matters: on every cluster they lose what they would without it."""

import numpy as np


def sufficient_parts(pools: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Find for each pool the smallest part of it that is a pool here too and loses the same on every cluster.

    Parameters
    ----------
    pools
        Members, [pool, slot], padded with -1.
    sums
        Sum over each cluster of what a pool loses, [cluster, pool].

    Returns
    -------
    numpy.ndarray
        Numbers of pools, [pool]: its own where all members matter.

    Examples
    --------
    >>> sufficient_parts(np.array([[0, -1], [0, 1], [1, -1]]), np.array([[1.0, 1.0, 2.0]])).tolist()
    [0, 0, 2]
    """
    losing_the_same: dict[bytes, list[int]] = {}
    for number, column in enumerate(np.ascontiguousarray(sums.T)):
        losing_the_same.setdefault(column.tobytes(), []).append(number)
    found = np.arange(len(pools))
    for group in losing_the_same.values():
        members = {number: frozenset(pools[number][pools[number] >= 0].tolist()) for number in group}
        for number, each in members.items():
            parts = [other for other in group if members[other] < each]
            found[number] = min(parts, key=lambda other: len(members[other]), default=number)
    return found
