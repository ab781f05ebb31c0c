"""Pools of which a member never matters: on every cluster they lose what they would without it."""

import numpy as np


def idle_pools(pools: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Say which pools lose on every cluster just what a part of them does that is a pool here too.

    Parameters
    ----------
    pools
        Members, [pool, slot], padded with -1.
    sums
        Sum over each cluster of what a pool loses, [cluster, pool].

    Returns
    -------
    numpy.ndarray
        [pool].

    Examples
    --------
    >>> idle_pools(np.array([[0, -1], [0, 1], [1, -1]]), np.array([[1.0, 1.0, 2.0]])).tolist()
    [False, True, False]
    """
    alike: dict[bytes, list[int]] = {}
    for number, column in enumerate(np.ascontiguousarray(sums.T)):
        alike.setdefault(column.tobytes(), []).append(number)
    found = np.zeros(len(pools), dtype=bool)
    for group in alike.values():
        members = [frozenset(pools[number][pools[number] >= 0].tolist()) for number in group]
        for number, each in zip(group, members, strict=True):
            found[number] = any(other < each for other in members)
    return found
