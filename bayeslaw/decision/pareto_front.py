"""The pools that lose less than every pool of the same or a lower cost."""

import numpy as np


def pareto_front(costs: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Find the pools on the front.

    Parameters
    ----------
    costs
        What each pool costs, [pool]; those of which it is not known (NaN) are not on the front.
    losses
        What each loses, [pool].

    Returns
    -------
    numpy.ndarray
        Numbers of the pools, cheapest first; of pools that cost and lose the same the first.
    """
    known = np.flatnonzero(np.isfinite(costs))
    order = known[np.lexsort([losses[known], costs[known]])]
    lowest = np.minimum.accumulate(losses[order])
    before = np.concatenate([[np.inf], lowest[:-1]])
    return order[losses[order] < before]
