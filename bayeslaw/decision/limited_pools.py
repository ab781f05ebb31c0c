"""Compiled enumeration of the pools within limits, in the order in which sums over samples are shared."""

import numpy as np

from bayeslaw.decision.limits import ROUNDING
from bayeslaw.pools.kernels import compiled


@compiled()
def walk_limited(costs, most, required, max_size, pools):
    """List the pools within limits, those with the same leading members next to each other.

    Parameters
    ----------
    costs, most
        What is limited of each model, not negative, [limit, model], and the limits, [limit].
    required
        Every pool has this many of the first models.
    max_size
        Largest number of members.
    pools
        Where to write members, [pool, slot], padded with -1; what does not fit is counted alone.

    Returns
    -------
    int
        How many there are, counted up to one more than fit.
    """
    limits, models = costs.shape
    members = np.full(max_size, -1, np.int64)
    following = np.zeros(max_size + 1, np.int64)
    totals = np.zeros((max_size + 1, limits))
    depth, count, capacity = 0, 0, pools.shape[0]
    while depth >= 0:
        model = following[depth]
        if depth == max_size or model >= models or (depth < required and model > depth):
            depth -= 1
            if depth >= 0:
                members[depth] = -1
            continue
        following[depth] = model + 1
        within = True
        for limit in range(limits):
            totals[depth + 1, limit] = totals[depth, limit] + costs[limit, model]
            within &= totals[depth + 1, limit] <= most[limit] * (1 + ROUNDING)
        if not within:
            continue
        members[depth] = model
        depth += 1
        following[depth] = model + 1
        if depth >= required:
            if count == capacity:
                return count + 1
            pools[count] = members
            count += 1
    return count


def limited_pools(costs: np.ndarray, most: np.ndarray, required: int, max_size: int, limit: int) -> np.ndarray | None:
    """List the pools within limits.

    Parameters
    ----------
    costs, most, required, max_size
        As in `walk_limited`.
    limit
        The most pools to list.

    Returns
    -------
    numpy.ndarray or None
        Members in ascending order, [pool, slot], padded with -1, in lexicographic order; None where there are more.
    """
    size, room = min(max_size, costs.shape[1]), min(limit, 4096)
    while True:
        pools = np.full((room, size), -1, dtype=np.int64)
        count = int(walk_limited(np.ascontiguousarray(costs), most, required, size, pools))
        if count <= room:
            return pools[:count]
        if room == limit:
            return None
        room = min(8 * room, limit)
