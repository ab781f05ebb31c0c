"""Factors of the MLP of Falcon-H1; free of JAX, so that families may name them."""

from dataclasses import dataclass

from inference.decoder.part_checks import check_positive


@dataclass(frozen=True)
class MLPScales:
    """Settings of the part.

    Attributes
    ----------
    gate, down
        Factors on what the activation is taken of, and on the result.
    """

    gate: float = 1.0
    down: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "gate", "down")
