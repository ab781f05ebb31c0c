"""Chunks of a text within which attention stays; free of JAX, so that families may name them."""

from dataclasses import dataclass

from bayeslaw.errors import InputError
from inference.decoder.part_checks import check_sizes


@dataclass(frozen=True)
class AttentionChunks:
    """Layers whose positions attend to those of their own chunk alone.

    Attributes
    ----------
    size
        Positions of a chunk; the first one begins with the text.
    layers
        Whether each layer is such a one.

    Raises
    ------
    InputError
        If the size is no whole number of at least 1, or no layer is told of.
    """

    size: int
    layers: tuple[bool, ...]

    def __post_init__(self) -> None:
        check_sizes(self, "size")
        if not self.layers:
            raise InputError("no layer is said to attend by chunks or not", "one entry a layer", "correct config.json")
