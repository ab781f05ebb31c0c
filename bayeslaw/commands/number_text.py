"""Losses as commands print them."""

import math

SMALL, TINY = 0.01, 1e-6
DECIMALS = 4


def loss_text(value: float) -> str:
    """Write a loss, a difference of losses or a standard error with four decimals, small ones with four digits.

    Parameters
    ----------
    value
        The number, in any unit.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> [loss_text(value) for value in (2.5, -0.0973, 0.00015, 0.0, 3.21e-9)]
    ['2.5000', '-0.0973', '0.0001500', '0.0000', '3.210e-09']
    """
    size = abs(value)
    if not math.isfinite(value) or size == 0 or size >= SMALL:
        return f"{value:.{DECIMALS}f}"
    if size < TINY:
        return f"{value:.{DECIMALS - 1}e}"
    return f"{value:.{DECIMALS - 1 - math.floor(math.log10(size))}f}"
