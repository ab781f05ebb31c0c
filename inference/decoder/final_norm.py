"""The norm before the head, where it is not as those of blocks; free of JAX, so that families may name it."""

from dataclasses import dataclass

from inference.decoder.part_checks import check_positive


@dataclass(frozen=True)
class FinalNorm:
    """What is special about the norm that hidden states go through before the head.

    Attributes
    ----------
    epsilon
        What it adds to the variance.

    Raises
    ------
    InputError
        If that is no finite number above zero.
    """

    epsilon: float

    def __post_init__(self) -> None:
        check_positive(self, "epsilon")
