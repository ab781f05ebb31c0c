"""Losses as commands and findings print them."""

import math
from itertools import pairwise

SMALL, TINY = 0.01, 1e-6
DECIMALS = 4
SAME = 1e-12


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


def told_apart(*values: float) -> list[str]:
    """Write losses of one kind, with as many decimals as it takes to see the least difference between them.

    Parameters
    ----------
    *values
        The losses, in one unit.

    Returns
    -------
    list of str
        Their texts: of `loss_text`, or all with more decimals where differences show in fewer than two digits.

    Examples
    --------
    >>> told_apart(2.304126, 2.304119, 2.5)
    ['2.3041260', '2.3041190', '2.5000000']
    >>> told_apart(2.3, 2.5)
    ['2.3000', '2.5000']
    """
    finite = sorted({value for value in values if math.isfinite(value)})
    gaps = [after - before for before, after in pairwise(finite) if after > before * (1 + SAME)]
    if not gaps or (decimals := 1 - math.floor(math.log10(min(gaps)))) <= DECIMALS:
        return [loss_text(value) for value in values]
    return [f"{value:.{decimals}f}" for value in values]
