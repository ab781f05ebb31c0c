"""Where a difference along budgets changes its sign for the last time."""

from collections.abc import Callable

import numpy as np

HALVINGS = 60
"""After so many a bracket of log budgets is as narrow as floating-point numbers are apart."""
Difference = Callable[[np.ndarray], np.ndarray]


def last_crossings(budgets: np.ndarray, draws: np.ndarray, difference: Difference | None = None) -> np.ndarray:
    """Find the budget above which each draw of a difference is positive, up to the largest budget.

    Parameters
    ----------
    budgets
        Positive and ascending, [point].
    draws
        The difference at each budget, [draw, point].
    difference
        From log budgets, [draw], to the difference, [draw], to find the root between two budgets by bisection. Where
        None the difference is taken to be linear in the log budget between two.

    Returns
    -------
    np.ndarray
        [draw]; NaN where the difference is not positive at the largest budget, or is positive at all of them.

    Examples
    --------
    >>> last_crossings(np.array([1.0, 10.0, 100.0]), np.array([[-1.0, 1.0, 2.0], [1.0, 1.0, 1.0]])).round(3).tolist()
    [3.162, nan]
    """
    positive, logs = draws > 0, np.log(budgets)
    # The place of the last point that is not positive; -1 where there is none.
    last = draws.shape[1] - 1 - np.argmax(~positive[:, ::-1], axis=1)
    last = np.where(positive.all(axis=1), -1, last)
    crosses = positive[:, -1] & (last >= 0)
    row, before = np.arange(len(draws)), np.clip(last, 0, len(budgets) - 2)
    low, high = logs[before], logs[before + 1]
    if difference is None:
        below, above = draws[row, before], draws[row, before + 1]
        share = np.divide(-below, above - below, out=np.zeros(len(draws)), where=crosses)
        root = low + share * (high - low)
    else:
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            up = difference(middle) > 0
            low, high = np.where(up, low, middle), np.where(up, middle, high)
        root = (low + high) / 2
    return np.where(crosses, np.exp(root), np.nan)


def step_crossings(budgets: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Find the same of a difference that changes at the budgets alone, and holds from each to the next, [draw]."""
    positive = draws > 0
    last = draws.shape[1] - 1 - np.argmax(~positive[:, ::-1], axis=1)
    crosses = positive[:, -1] & ~positive.all(axis=1)
    return np.where(crosses, budgets[np.clip(last + 1, 0, len(budgets) - 1)], np.nan)
