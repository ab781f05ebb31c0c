"""What of a checkpoint's tensors fills a parameter of a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from inference.decoder.configuration import DecoderConfig

    Take = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Source:
    """What fills a parameter, or an entry of it.

    Attributes
    ----------
    name
        The tensor to read.
    shape
        Its whole shape.
    entry
        Which entry of its first dimension to read; None for all.
    take
        Makes the values of what is read; None where they are these.
    rows
        Which entries of its first dimension to read where these are several; None for all.
    """

    name: str
    shape: tuple[int, ...]
    entry: int | None = None
    take: Take | None = None
    rows: range | None = None


@dataclass(frozen=True)
class Piece:
    """What fills one parameter, or one layer of it.

    Attributes
    ----------
    sources
        One source, or one for each entry of the parameter's first dimension, or several whose rows follow each other;
        none where all is zero.
    spread
        Whether there is one for each entry.
    joined
        Whether their rows follow each other.
    """

    sources: tuple[Source, ...]
    spread: bool = False
    joined: bool = False


@dataclass(frozen=True)
class Wanted:
    """A parameter, or one layer of it, that tensors are to fill.

    Attributes
    ----------
    shape
        Its shape.
    suffix
        What the names of its tensors end with, such as ``.weight``; empty where they are whole.
    layer
        Number of its layer, from 0; None outside of blocks.
    config
        The decoder.
    turned
        Whether the matrices of blocks lie as [in, out] in this family.
    tensors
        How many tensors the checkpoint has.
    stored_rows
        Gives the first dimension of a tensor of that name as stored, 0 where there is none.
    """

    shape: tuple[int, ...]
    suffix: str
    layer: int | None
    config: DecoderConfig
    turned: bool
    tensors: int
    stored_rows: Callable[[str], int]

    @property
    def entries(self) -> range:
        """Numbers of the entries of its first dimension."""
        # Where there cannot be as many, one that is missing says it.
        return range(min((*self.shape, 1)[0], self.tensors + 1))

    def named(self, name: str) -> str:
        """Return the whole name of a tensor; in it ``{first}`` and ``{use}`` are as `sharing` says."""
        places = self.sharing() if "{first}" in name else {}
        return name.format(self.layer, **places) + self.suffix

    def sharing(self) -> dict[str, int]:
        """Return the first layer that shares weights with this one, and how many layers with any came before it."""
        memories, layer = self.config.layer_memory, self.layer
        assert layer is not None
        return {"first": memories.index(memories[layer]), "use": sum(one >= 0 for one in memories[:layer])}
