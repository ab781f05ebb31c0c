"""What may still be called by the name that it had before."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any


class FormerNameWarning(FutureWarning):
    """Something was called by the name that it had before, which a later version will not know."""


def say_former(former: str, name: str, *, stacklevel: int = 2) -> None:
    """Warn that something was called by a former name.

    Parameters
    ----------
    former, name
        The name that it had, and the name that it has.
    stacklevel
        As of `warnings.warn`, counted from the caller.
    """
    warnings.warn(f"{former} is called {name}; the former name will go", FormerNameWarning, stacklevel=stacklevel + 1)


def former_field[T](former: str, field: str) -> Callable[[type[T]], type[T]]:
    """Let a frozen dataclass take and give one of its fields by a former name too, and say so.

    Parameters
    ----------
    former
        The name that it had.
    field
        The name that it has.

    Returns
    -------
    Callable
        The decorator of the class. Whoever uses the former name sees a `FormerNameWarning`; an instance
        that is given both is a TypeError.
    """

    def decorate(cls: type[T]) -> type[T]:
        made = cls.__init__

        @wraps(made)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            if former in kwargs:
                say_former(f"{cls.__name__}: {former}", field)
                if field in kwargs:
                    raise TypeError(f"{cls.__name__}: {field} is given twice, the second time as {former}")
                kwargs[field] = kwargs.pop(former)
            made(self, *args, **kwargs)

        def read(self: Any) -> Any:
            say_former(f"{cls.__name__}: {former}", field)
            return getattr(self, field)

        # Through setattr, since a type checker takes the method of a class for a constant.
        setattr(cls, "__init__", init)  # noqa: B010
        setattr(cls, former, property(read, doc=f"Former name of `{field}`."))
        return cls

    return decorate
