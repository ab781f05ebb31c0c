"""Losses as commands and findings print them."""

import math
from collections.abc import Callable, Iterable
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


def loss_form(values: Iterable[float]) -> Callable[[float], str]:
    """Choose how the losses of one column of a table are written: all with the same decimals.

    Parameters
    ----------
    values
        The losses of the column, or of several that stand for the same, such as an estimate and its ends.

    Returns
    -------
    Callable
        From a loss to its text: four decimals, or where all of them are small four digits of the largest.

    Examples
    --------
    >>> form = loss_form([0.0501, 0.00004609, -0.007971])
    >>> [form(value) for value in (0.0501, 0.00004609, -0.007971)]
    ['0.0501', '0.0000', '-0.0080']
    >>> loss_form([0.00123, 0.0000456])(0.0000456)
    '0.000046'
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if not TINY <= largest < SMALL:
        return loss_text if 0 < largest < TINY else f"{{:.{DECIMALS}f}}".format
    return f"{{:.{DECIMALS - 1 - math.floor(math.log10(largest))}f}}".format


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
