"""Fields of dataclasses under the names that they had before."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any


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
        The decorator of the class. Whoever uses the former name sees a `FutureWarning` with the new one; an instance
        that is given both is a TypeError.
    """

    def decorate(cls: type[T]) -> type[T]:
        made = cls.__init__
        sentence = f"{cls.__name__}: {former} is called {field}; the former name will go"

        @wraps(made)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            if former in kwargs:
                warnings.warn(sentence, FutureWarning, stacklevel=2)
                if field in kwargs:
                    raise TypeError(f"{cls.__name__}: {field} is given twice, the second time as {former}")
                kwargs[field] = kwargs.pop(former)
            made(self, *args, **kwargs)

        def read(self: Any) -> Any:
            warnings.warn(sentence, FutureWarning, stacklevel=2)
            return getattr(self, field)

        # Through setattr, since a type checker takes the method of a class for a constant.
        setattr(cls, "__init__", init)  # noqa: B010
        setattr(cls, former, property(read, doc=f"Former name of `{field}`."))
        return cls

    return decorate
