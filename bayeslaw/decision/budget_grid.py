"""Budgets at which a decision is looked at: readable ones for a table, and fine ones to find where it turns."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from bayeslaw.losses.sizes import some_counts

FEWEST, MOST = 5, 9
SERIES = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
FINE_POINTS = 241


def some_budgets(name: str, value: Any) -> tuple[float, ...]:
    """Read budgets, as `bayeslaw.losses.sizes.some_counts` does; ascending."""
    return tuple(sorted(some_counts(name, value)))


def readable_budgets(low: float, high: float) -> tuple[float, ...]:
    """Choose budgets for a table: round numbers between two positive ones, about evenly spaced on a log scale.

    Parameters
    ----------
    low, high
        The range.

    Returns
    -------
    tuple of float
        Ascending; the ends of the range themselves where it holds few round numbers.

    Examples
    --------
    >>> readable_budgets(3e7, 2e10)
    (30000000.0, 100000000.0, 300000000.0, 1000000000.0, 3000000000.0, 10000000000.0)
    """
    decades = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for digits in SERIES:
        # Through text, since 3 times 1e-5 is no decimal's neighbour.
        numbers = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        inside = tuple(number for number in numbers if low * (1 - 1e-9) <= number <= high * (1 + 1e-9))
        if len(inside) >= FEWEST:
            # Of too many, as where a range spans many powers of ten, every so many.
            return inside[:: -(-len(inside) // MOST)]
    return tuple(sorted({low, float(np.sqrt(low * high)), high}))


def fine_budgets(low: float, high: float, shown_ones: Iterable[float]) -> np.ndarray:
    """Return many budgets of a range, evenly spaced on a log scale, with those of a table among them."""
    return np.unique([*np.geomspace(low, high, FINE_POINTS), *shown_ones])
