"""Sizes as people write them: ``7e9``, ``7B``, ``70M``, ``70,000,000``."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import plain, shown

FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
WORDS = re.compile(r"(?i)^([+-]?[\d.]+(?:e[+-]?\d+)?)\s*([kmbt])$")
# Commas between groups of three digits.
GROUPED = re.compile(r"^\d{1,3}(?:,\d{3})+(?:\.\d*)?$")
ACCEPTED = "numbers such as 7e9, 7B or 70,000,000"
ROUNDED = 1.05
"""How far two sizes of one model may differ that were rounded, each for itself."""
_readings: ContextVar[dict[str, float] | None] = ContextVar("sizes read from words", default=None)


@contextmanager
def noting_sizes() -> Iterator[dict[str, float]]:
    """Collect what sizes that are not plain numbers were read as, by how they were written."""
    found: dict[str, float] = {}
    token = _readings.set(found)
    try:
        yield found
    finally:
        _readings.reset(token)


def _parsed(text: str) -> float | None:
    text = text.strip()
    # Python would read 7_0 as 70.
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        if GROUPED.match(text):
            return float(text.replace(",", ""))
        if found := WORDS.match(text):
            # Rounded, since 1.1 times 1e9 is none of its neighbours' decimal.
            return float(f"{float(found[1]) * FACTORS[found[2].lower()]:.15g}")
    except ValueError:
        pass
    return None


def is_size(text: str) -> bool:
    """Say whether a text is a number, a size such as ``7B``, or one such as ``70,000,000``."""
    return _parsed(text) is not None


def _unread(what: str, given: Any) -> InputError:
    return InputError(f"{what} is {shown(given)}, which is not a number", ACCEPTED, "write it like 7e9 or 7000000000")


def read_size(what: str, value: Any) -> float:
    """Read a size.

    Parameters
    ----------
    what
        What it is, for the message.
    value
        A number, or a text such as ``"7e9"``, ``"7B"``, ``"1.5b"``, ``"70M"`` or ``"70,000,000"``.

    Returns
    -------
    float
        The number; NaN is returned as it is.

    Raises
    ------
    InputError
        If it is no such number; true, false and complex numbers are none.
    """
    number = plain(value)
    if isinstance(number, str):
        parsed = _parsed(number)
        if parsed is None:
            raise InputError(
                f"{what} is {shown(number)}, which is not a number", ACCEPTED, "write it like 7e9 or 7000000000"
            )
        if not _is_plain(number) and (readings := _readings.get()) is not None:
            readings[number.strip()] = parsed
        return parsed
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(
            f"{what} is {shown(number)}, which is not a number", ACCEPTED, "write it like 7e9 or 7000000000"
        )
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _is_plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_counts(what: str, values: Iterable[Any], *, example: str = "7e9") -> list[float]:
    """Read counts of parameters, tokens or samples, at least one each.

    Parameters
    ----------
    what
        What they are, for the message.
    values
        Sizes as `read_size` reads them.
    example
        A right value, for the message.

    Returns
    -------
    list of float
        The counts.

    Raises
    ------
    InputError
        If one is no number, below one, or not finite.
    """
    counts = [read_size(what, value) for value in values]
    for count in counts:
        if not 1 <= count < math.inf:
            raise InputError(f"{what} is {count!r}", "positive numbers of at least 1", f"use {what} such as {example}")
    return counts


def some_counts(name: str, value: Any, *, of: str = "parameters", example: str = "7e9") -> tuple[float, ...]:
    """Read counts, one or more, as an argument of a public function; each is kept once, in the order given.

    Parameters
    ----------
    name, value
        The argument: a size such as ``3e4`` or ``"7B"``, or several.
    of, example
        What is counted, and a right value, for messages.

    Returns
    -------
    tuple of float
        The counts.

    Raises
    ------
    InputError
        If it is neither, or empty.
    """
    given = [value] if isinstance(value, str | Real) else value
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise InputError(f"{name} is {shown(value)}", f"numbers of {of}", f"write {name}=[{example}]")
    counts = tuple(dict.fromkeys(read_counts(name, list(given), example=example)))
    if not counts:
        raise InputError(f"{name} is empty", f"one or more numbers of {of}", f"leave out {name} for the usual")
    return counts


def count_label(count: float) -> str:
    """Write a count of parameters or tokens with a unit, such as ``"70B"``."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        # A count that three digits would round up to the next unit is written in that unit.
        if count >= 0.9995 * size:
            return f"{count / size:.3g}{letter}" if count < 9995e11 else f"{count / size:,.0f}{letter}"
    return f"{count:.3g}"
