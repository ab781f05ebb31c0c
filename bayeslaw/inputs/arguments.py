"""What the arguments of public functions are: turned into what the functions work with, or refused in a sentence."""

import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

from bayeslaw.errors import InputError, check_choice, nearest, shown
from bayeslaw.progress import progress_bar

Converter = Callable[[str, Any], Any]
"""Takes the name of an argument and what was given for it, and returns what the function works with."""

LARGEST_SEED = 2**63 - 1
_depth: ContextVar[int] = ContextVar("depth of public calls", default=0)


class Decorator(Protocol):
    """Keeps the signature of what it decorates."""

    def __call__[**P, R](self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function."""
        ...


class UnknownArgumentError(InputError, TypeError):
    """An argument that a function does not have; a `TypeError` too, which is what Python raises.

    Parameters
    ----------
    function
        Name of the function.
    name
        The argument.
    known
        Names of the arguments that it has.
    """

    def __init__(self, function: str, name: str, known: Sequence[str]) -> None:
        close = nearest(name, known) if get_close_matches(name, known, n=1) else f"leave out {name}"
        super().__init__(f"{function} has no argument {name!r}", f"arguments {', '.join(known)}", close)
        self.given = function, name, tuple(known)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), self.given


def accepts(**converters: Converter) -> Decorator:
    """Make a public function convert or refuse its arguments before it does anything.

    Parameters
    ----------
    **converters
        A converter for every argument of the function.

    Returns
    -------
    Callable
        The decorator.

    Raises
    ------
    TypeError
        If an argument has no converter, or a converter no argument.
    """

    def decorate[**P, R](function: Callable[P, R], /) -> Callable[P, R]:
        signature = inspect.signature(function)
        if differing := set(signature.parameters) ^ set(converters):
            raise TypeError(f"{function!r}: {', '.join(sorted(differing))}: arguments and converters differ")

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if unknown := [name for name in kwargs if name not in signature.parameters]:
                raise UnknownArgumentError(function.__name__, unknown[0], [*signature.parameters])
            bound = signature.bind(*args, **kwargs)
            token = _depth.set(_depth.get() + 1)
            try:
                for name, value in bound.arguments.items():
                    bound.arguments[name] = converters[name](name, value)
                with progress_bar(function.__qualname__, None, shown=None) if called_by_user() else nullcontext():
                    return function(*bound.args, **bound.kwargs)
            finally:
                _depth.reset(token)

        return checked

    return decorate


def called_by_user() -> bool:
    """Say whether the public function at work was called from outside, not by another one."""
    return _depth.get() <= 1


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, JAX or xarray as a number of Python, and anything else as it is."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def as_given(name: str, value: Any) -> Any:
    """Accept anything: the function looks at it itself, before it does anything else."""
    return value


def optional(convert: Converter) -> Converter:
    """Accept None too."""
    return lambda name, value: None if value is None else convert(name, value)


def an_instance(types: type | tuple[type, ...], *, accepted: str, fix: str) -> Converter:
    """Accept instances of some types as they are."""

    def convert(name: str, value: Any) -> Any:
        if not isinstance(value, types):
            raise InputError(f"{name} is {shown(value)}", accepted, fix)
        return value

    return convert


SUBJECT = "{name} is {value}"


def a_whole_number(*, lowest: int, suggested: int, highest: int | None = None, words: str = SUBJECT) -> Converter:
    """Accept whole numbers, also those of NumPy, but neither true nor false; `words` begin the message."""

    def convert(name: str, value: Any) -> int:
        number = plain(value)
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or number < lowest or (highest is not None and number > highest):
            accepted = f"a whole number of at least {lowest}" if highest is None else f"a whole number from {lowest}"
            accepted += "" if highest is None else f" to {highest}"
            problem = words.format(name=name, value=shown(number))
            raise InputError(problem, accepted, f"use {name}={suggested}")
        return int(number)

    return convert


a_seed = a_whole_number(lowest=0, highest=LARGEST_SEED, suggested=0)


def a_number(
    *,
    accepted: str,
    suggested: float,
    lowest: float = -math.inf,
    above: float = -math.inf,
    highest: float = math.inf,
    words: str = SUBJECT,
) -> Converter:
    """Accept finite numbers of `lowest` to `highest` that are larger than `above`, but neither true nor false."""

    def convert(name: str, value: Any) -> float:
        number = plain(value)
        real = isinstance(number, int | float) and not isinstance(number, bool)
        if not (real and math.isfinite(number) and lowest <= number <= highest and number > above):
            problem = words.format(name=name, value=shown(number))
            raise InputError(problem, accepted, f"use {name}={suggested:g}")
        return float(number)

    return convert


def a_level(name: str, value: Any) -> float:
    """Accept the level of an interval, inside (0, 1)."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1:
        accepted = "a level between 0 and 1, both excluded"
        raise InputError(f"the {name} is {shown(number)}", accepted, f"use {name}=0.9 for a 90 % interval")
    return float(number)


def a_flag(name: str, value: Any) -> bool:
    """Accept true and false, also those of NumPy."""
    flag = plain(value)
    if not isinstance(flag, bool):
        raise InputError(f"{name} is {shown(value)}", "True or False", f"use {name}=True or {name}=False")
    return flag


def a_function(name: str, value: Any) -> Any:
    """Accept what can be called."""
    if not callable(value):
        raise InputError(f"{name} is {shown(value)}", "a function", f"write {name}=print, or leave it out")
    return value


def a_text(name: str, value: Any) -> str:
    """Accept text; what it may say the function tells."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}", "text", f'write {name}="..."')
    return str(value)


def a_choice(known: Callable[[], Iterable[str]] | Iterable[str], *, called: str | None = None) -> Converter:
    """Accept one of some names, in messages `called` so."""

    def convert(name: str, value: Any) -> str:
        names = list(known() if callable(known) else known)
        if not isinstance(value, str):
            raise InputError(f"{name} is {shown(value)}", f"one of {', '.join(names)}", f"use {name}={names[0]!r}")
        return check_choice(called or name, str(value), names)

    return convert


def _is_listed(value: Any) -> bool:
    """Say whether a value has entries in an order: a list, an array, a column, or the names of a mapping."""
    if isinstance(value, str | bytes | Mapping):
        return False
    return isinstance(value, Sequence | Iterator | MappingView) or getattr(value, "ndim", 0) == 1


def texts(name: str, value: Any) -> list[str]:
    """Accept one text, or several in a list, a tuple, an array or a column."""
    if isinstance(value, str):
        return [value]
    if not _is_listed(value):
        raise InputError(f"{name} is {shown(value)}", "a list of texts", f'write {name}=["...", "..."]')
    entries = list(value)
    for entry in entries:
        if not isinstance(entry, str):
            raise InputError(f"{name} holds {shown(entry)}", "a list of texts", f'write {name}=["...", "..."]')
    return [str(entry) for entry in entries]


def a_column_list(name: str, value: Any) -> str | list[str]:
    """Accept one text, which may hold several names, or a list of names."""
    if isinstance(value, str) and not value.strip(" ,"):
        raise InputError(f"{name} is {value!r}", "names of columns", f"leave {name} out")
    return value if isinstance(value, str) else texts(name, value)


def some_columns(name: str, value: Any) -> str | list[str] | None:
    """Accept what `a_column_list` does, and none."""
    return None if value is None else a_column_list(name, value) or None


def a_path(name: str, value: Any) -> Path:
    """Accept a path, as text or as an object of `pathlib`."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name} is {shown(value)}", "a path, as text or pathlib.Path", f'write {name}="PATH"')
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InputError(f"{name} is {text!r}", "a path that a file or folder can have", f'write {name}="PATH"')
    return Path(text)


def paths(name: str, value: Any) -> list[Path]:
    """Accept one path, or several in a list or a tuple."""
    if isinstance(value, str | os.PathLike):
        return [a_path(name, value)]
    if not _is_listed(value):
        raise InputError(f"{name} is {shown(value)}", "a path, or a list of paths", f'write {name}=["PATH"]')
    return [a_path(name, entry) for entry in value]


def by_name(convert: Converter, *, accepted: str, fix: str) -> Converter:
    """Accept a mapping from names, each entry as `convert` does."""

    def converted(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise InputError(f"{name} is {shown(value)}", accepted, fix)
        return {key: convert(f"{name}[{key!r}]", entry) for key, entry in value.items()}

    return converted


def check_fields(instance: Any, **converters: Converter) -> None:
    """Convert or refuse the fields of a frozen dataclass that is being made.

    Parameters
    ----------
    instance
        The instance.
    **converters
        A converter for each field to look at.

    Raises
    ------
    InputError
        If a field holds what is not accepted.
    """
    for name, convert in converters.items():
        object.__setattr__(instance, name, convert(name, getattr(instance, name)))
