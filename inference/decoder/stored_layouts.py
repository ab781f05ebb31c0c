"""How a parameter lies in the tensors of a checkpoint: each layout says what fills it.

In names ``{}`` is the number of the layer, and ``*`` that of an entry of the parameter's first dimension, such as a
head or an expert.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.decoder.stored_pieces import Piece, Source, Wanted

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class WholeTensor:
    """A tensor that is a parameter, or one for each entry of its first dimension where the name has a ``*``.

    Attributes
    ----------
    name
        Its name.
    """

    name: str

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        name, shape = wanted.named(self.name), wanted.shape
        if "*" in name:
            sources = (Source(name.replace("*", str(entry)), shape[1:]) for entry in wanted.entries)
            return Piece(tuple(sources), spread=True)
        if wanted.turned and wanted.layer is not None and len(shape) == 2:
            return Piece((Source(name, shape[::-1], take=lambda x: x.T),))
        return Piece((Source(name, shape),))


@dataclass(frozen=True)
class StackedTensor:
    """A tensor that holds one linear map, or several, of every expert.

    Attributes
    ----------
    name
        Its name.
    part, parts
        Which of how many maps, whose rows share the tensor, from 0.
    interleaved
        Whether the rows of the maps alternate rather than follow each other.
    transposed
        Whether each expert's matrix lies as [in, out].
    idle
        How many entries no expert reads, behind those of experts, by a decoder's configuration; none by default.
    """

    name: str
    part: int = 0
    parts: int = 1
    interleaved: bool = False
    transposed: bool = False
    idle: Callable[[Any], int] | None = None

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape where a map's parameter is [expert, out, ...]."""
        experts, rows, *rest = shape
        stored = (experts, rows * self.parts, *rest)
        return (stored[0], *stored[:0:-1]) if self.transposed else stored

    def take(self, stored: np.ndarray) -> np.ndarray:
        """Return one expert's part of the map, [out, ...], of its entry of the tensor."""
        rows = stored.T if self.transposed else stored
        if self.interleaved:
            return rows[self.part :: self.parts]
        count = len(rows) // self.parts
        return rows[self.part * count : (self.part + 1) * count]

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter, [expert, out, ...], entry by entry."""
        first, *rest = self.stored_shape(wanted.shape)
        stored = (first + (self.idle(wanted.config) if self.idle else 0), *rest)
        name = wanted.named(self.name)
        return Piece(tuple(Source(name, stored, entry, self.take) for entry in wanted.entries), spread=True)


@dataclass(frozen=True)
class HeadRows:
    """A tensor that holds rows of several maps, for each head of queries after the other or once for all heads.

    Attributes
    ----------
    name
        Its name.
    part, parts
        Which of how many maps, from 0.
    by_head
        Whether each head has its rows of all maps together.
    """

    name: str
    part: int
    parts: int
    by_head: bool = True

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape where a map's parameter is [out, ...]."""
        return (shape[0] * self.parts, *shape[1:])

    def take(self, stored: np.ndarray, heads: int) -> np.ndarray:
        """Return the part of the map, [out, ...], of the tensor."""
        rest = stored.shape[1:]
        groups = heads if self.by_head else 1
        return stored.reshape(groups, self.parts, -1, *rest)[:, self.part].reshape(-1, *rest)

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        take, heads = self.take, wanted.config.heads
        return Piece((Source(wanted.named(self.name), self.stored_shape(wanted.shape), take=lambda x: take(x, heads)),))


@dataclass(frozen=True)
class ExpertRows:
    """A tensor that holds one linear map of all experts as rows that follow each other, [experts x inner width, width].

    Attributes
    ----------
    name
        Its name.
    transposed
        Whether each expert's matrix lies as [in, out].
    """

    name: str
    transposed: bool = False

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape where the map's parameter is [expert, out, in]."""
        experts, outputs, inputs = shape
        return (experts * inputs, outputs) if self.transposed else (experts * outputs, inputs)

    def take(self, stored: np.ndarray, experts: int) -> np.ndarray:
        """Return the map, [expert, out, in], of the tensor."""
        whole = stored.reshape(experts, -1, stored.shape[-1])
        return whole.swapaxes(1, 2) if self.transposed else whole

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        take, experts = self.take, wanted.shape[0]
        stored = self.stored_shape(wanted.shape)
        return Piece((Source(wanted.named(self.name), stored, take=lambda x: take(x, experts)),))


@dataclass(frozen=True)
class FirstRows:
    """A tensor whose first rows are a parameter; it may have more.

    Attributes
    ----------
    name
        Its name.
    """

    name: str

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        name, (count, *rest) = wanted.named(self.name), wanted.shape
        stored = max(wanted.stored_rows(name), count)
        return Piece((Source(name, (stored, *rest), rows=range(count) if stored > count else None),))


@dataclass(frozen=True)
class FirstEntry:
    """A tensor of one entry, [1, ...], that holds a parameter.

    Attributes
    ----------
    name
        Its name.
    """

    name: str

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        return Piece((Source(wanted.named(self.name), (1, *wanted.shape), 0),))


@dataclass(frozen=True)
class PaddedShape:
    """A tensor whose shape has ones around that of a parameter.

    Attributes
    ----------
    name
        Its name.
    before, after
        How many ones.
    """

    name: str
    before: int
    after: int

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape."""
        return (1,) * self.before + tuple(shape) + (1,) * self.after

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter."""
        stored = self.stored_shape(wanted.shape)
        return Piece((Source(wanted.named(self.name), stored, take=lambda x: x.reshape(wanted.shape)),))


@dataclass(frozen=True)
class JoinedTensors:
    """Tensors whose rows, one tensor after the other, are those of a parameter.

    Attributes
    ----------
    names
        Their names.
    rows
        How many rows each has, of a decoder's configuration; by default as many as are stored, if they add up.
    """

    names: tuple[str, ...]
    rows: Callable[[Any], tuple[int, ...]] | None = None

    def piece(self, wanted: Wanted) -> Piece:
        """Return what fills a parameter, one tensor's rows after the other's."""
        names = [wanted.named(name) for name in self.names]
        counts = [wanted.stored_rows(name) for name in names] if self.rows is None else self.rows(wanted.config)
        sources = (Source(name, (count, *wanted.shape[1:])) for name, count in zip(names, counts, strict=True))
        return Piece(tuple(sources), joined=True)


TensorName = str | StackedTensor | HeadRows | ExpertRows | FirstRows | FirstEntry | PaddedShape | JoinedTensors
