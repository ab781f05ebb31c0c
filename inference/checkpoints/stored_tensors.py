"""What a checkpoint asks of a tensor on disk, and how numbers that lie in another form are made a tile at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol, Self

import numpy as np

# Numbers decoded at once: some megabytes beside the tensor that they fill.
TILE = 1 << 20


class StoredTensor(Protocol):
    """A tensor on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def dtype(self) -> str:
        """The type of its numbers, as NumPy names it."""
        ...

    @property
    def size(self) -> int:
        """Bytes that it takes on disk."""
        ...

    def entry(self, number: int) -> "StoredTensor":
        """Return one entry of its first dimension."""
        ...

    def read(self, name: str, decoded: Any = np.float32) -> np.ndarray:
        """Read it into memory of its own: in the type it is stored in, or `decoded` where it is decoded."""
        ...

    def read_into(self, values: np.ndarray, name: str) -> None:
        """Read it into an array that is there."""
        ...

    def read_rows_into(self, values: np.ndarray, name: str, first: int) -> None:
        """Read as many entries of its first dimension as an array has, from one on, into it."""
        ...


class DecodedTensor(ABC):
    """A tensor whose numbers are made of what is stored: never more than a tile of them beside the array they fill."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes that it takes on disk."""

    @abstractmethod
    def entry(self, number: int) -> Self:
        """Return one entry of its first dimension."""

    @abstractmethod
    def decode(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return entries of the first dimension, float32 [stop - start, ...]; `name` is for messages."""

    @property
    def dtype(self) -> str:
        """The type of its numbers: float32, whatever they are stored as."""
        return "float32"

    def read(self, name: str, decoded: Any = np.float32) -> np.ndarray:
        """Return all numbers in memory of their own, in the type `decoded`."""
        values = np.empty(self.shape, decoded)
        self.read_into(values, name)
        return values

    def read_into(self, values: np.ndarray, name: str) -> None:
        """Fill an array of the tensor's shape with its numbers, rounded once, to the array's type."""
        with np.errstate(over="ignore", invalid="ignore"):
            for where, tensor, start, stop in self._tiles():
                values[(*where, slice(start, stop))] = tensor.decode(name, start, stop)

    def read_rows_into(self, values: np.ndarray, name: str, first: int) -> None:
        """Fill an array with as many entries of the first dimension as it has, from one on."""
        step = max(1, TILE // max(1, int(np.prod(self.shape[1:]))))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(values), step):
                stop = min(len(values), start + step)
                values[start:stop] = self.decode(name, first + start, first + stop)

    def _tiles(self, where: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Self, int, int]]:
        """Yield tiles: their place, the entry at it, and which of that entry's rows they are."""
        count, *rest = self.shape
        row = int(np.prod(rest))
        if row > TILE and rest:
            for number in range(count):
                yield from self.entry(number)._tiles((*where, number))
            return
        step = max(1, TILE // max(1, row))
        for start in range(0, count, step):
            yield where, self, start, min(count, start + step)
