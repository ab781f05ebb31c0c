"""Chunks of a text within which attention stays; free of JAX, so that families may name them."""

from dataclasses import dataclass

from inference.decoder.part_checks import check_sizes


@dataclass(frozen=True)
class AttentionChunks:
    """Layers whose positions attend to those of their own chunk alone.

    Attributes
    ----------
    size
        Positions of a chunk; the first one begins with the text.
    layers
        Whether each layer is such a one; empty where all are.

    Raises
    ------
    InputError
        If the size is no whole number of at least 1.
    """

    size: int
    layers: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        check_sizes(self, "size")
