"""The one exception that bad input raises."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral
from typing import Any

from bayeslaw.inputs.foreign_text import printable, shortened

LONGEST_SHOWN = 80
HIGHEST = 2**62
"""The largest whole number accepted anywhere; seeds are added to, and stay below what 64 bits hold."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    All three parts are printable and none is endless, whatever text from outside is in them: they hold no control
    characters but line feeds, and no key of the environment.

    Parameters
    ----------
    problem
        What is wrong, with the offending value in it.
    accepted
        What would be accepted.
    fix
        What to do about it.
    """

    def __init__(self, problem: str, accepted: str, fix: str) -> None:
        self.problem, self.accepted, self.fix = (shortened(printable(part)) for part in (problem, accepted, fix))
        super().__init__(f"{self.problem}\naccepted: {self.accepted}\nfix: {self.fix}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        return type(self), (self.problem, self.accepted, self.fix)


def shown(value: Any) -> str:
    """Write a value for a message: numbers, text and short lists as they are, of everything else its type."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | os.PathLike):
        text = repr(value) if not isinstance(value, os.PathLike) else repr(str(value))
        return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    if isinstance(value, list | tuple | dict | set) and len(text := repr(value)) <= LONGEST_SHOWN and "\n" not in text:
        return text
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name a misspelt one resembles.

    Parameters
    ----------
    name
        The name that is not known.
    known
        The names that are.

    Returns
    -------
    str
        A sentence to end an error with: the closest name, or the whole list where none is close.
    """
    names = [str(other) for other in known]
    close = get_close_matches(str(name), names, n=1)
    return f"use {close[0]!r}" if close else f"use one of {', '.join(names)}"


def check_choice(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`.

    Parameters
    ----------
    kind
        What the name stands for, for the message: ``"rule"``, ``"law"``.
    name
        The name given.
    known
        The names accepted.

    Returns
    -------
    str
        The name, unchanged.

    Raises
    ------
    InputError
        If the name is not known.
    """
    names = [str(other) for other in known]
    if not isinstance(name, str) or name not in names:
        raise InputError(f"{kind} {shown(name)} is not known", f"one of {', '.join(names)}", nearest(name, names))
    return name


def check_whole(name: str, value: Any, *, lowest: int, suggested: int) -> int:
    """Return `value` if it is a whole number that is large enough.

    Parameters
    ----------
    name
        What the number is, for the message: ``"draws"``, ``"seed"``.
    value
        The number given.
    lowest
        The smallest number accepted.
    suggested
        A number to use instead, for the message.

    Returns
    -------
    int
        The number.

    Raises
    ------
    InputError
        If it is not a whole number (true and false are none), or too small, or more than 64 bits hold.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise InputError(f"{name} is {value!r}", f"a whole number of at least {lowest}", f"use {name}={suggested}")
    if int(value) > HIGHEST:
        accepted = f"a whole number of at least {lowest} and at most {HIGHEST}"
        raise InputError(f"{name} is {value!r}", accepted, f"use {name}={suggested}")
    return int(value)
