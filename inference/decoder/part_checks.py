"""Checks of the settings that one kind of mixer or feed-forward part alone needs."""

import math
from typing import Any

from bayeslaw.errors import InputError


def check_sizes(part: Any, *names: str) -> None:
    """Refuse what is no whole number of at least 1.

    Parameters
    ----------
    part
        The settings.
    names
        Which of them.

    Raises
    ------
    InputError
        If one is not.
    """
    for name in names:
        value = getattr(part, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            _refuse(part, name, value, "a whole number of at least 1")


def check_positive(part: Any, *names: str) -> None:
    """Refuse what is no finite number above zero; of a tuple, each of its numbers.

    Parameters
    ----------
    part
        The settings.
    names
        Which of them.

    Raises
    ------
    InputError
        If one is not.
    """
    for name in names:
        value = getattr(part, name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
                _refuse(part, name, value, "finite numbers above zero")


def check_groups(part: Any, whole: str, groups: str) -> None:
    """Refuse a number of things that do not fall into as many groups.

    Parameters
    ----------
    part
        The settings.
    whole, groups
        Names of the two numbers.

    Raises
    ------
    InputError
        If the second does not divide the first.
    """
    if getattr(part, whole) % getattr(part, groups):
        _refuse(part, whole, getattr(part, whole), f"a multiple of its {getattr(part, groups)} {groups}")


def _refuse(part: Any, name: str, value: object, accepted: str) -> None:
    problem = f"{name.replace('_', ' ')} of {type(part).__name__} is {value!r}"
    raise InputError(problem, accepted, "correct config.json, or use another checkpoint")
