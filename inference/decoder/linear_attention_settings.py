"""Settings of mixers with a memory of keys and values, or averages; free of JAX, so that families may name them."""

from dataclasses import dataclass

from inference.decoder.configuration import Activation
from inference.decoder.part_checks import check_positive, check_sizes


@dataclass(frozen=True)
class KimiDelta:
    """Settings of the mixer.

    Attributes
    ----------
    heads, head_width
        Heads, and width of a head's queries, keys and values.
    taps
        Positions that a convolution reaches, its own included.
    norm_epsilon
        Of the norm of each head's result.
    activation
        After the convolution.
    """

    heads: int
    head_width: int
    taps: int
    norm_epsilon: float = 1e-5
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        check_sizes(self, "heads", "head_width", "taps")
        check_positive(self, "norm_epsilon")

    @property
    def inner_width(self) -> int:
        """Width of all heads."""
        return self.heads * self.head_width


@dataclass(frozen=True)
class TimeMixing:
    """Settings of the mixer.

    Attributes
    ----------
    inner_width
        Channels, each of which has an average of its values.
    """

    inner_width: int

    def __post_init__(self) -> None:
        check_sizes(self, "inner_width")


@dataclass(frozen=True)
class MatrixMemory:
    """Settings of the mixer.

    Attributes
    ----------
    heads, key_width, value_width
        Heads, and widths of a head's queries and keys, and of its values.
    gate_softcap
        Bound c of ``c tanh(x / c)`` on what the gates of input and forgetting are made of.
    epsilon
        Added to what results are divided by.
    norm_epsilon
        Of the norm of each head's result.
    """

    heads: int
    key_width: int
    value_width: int
    gate_softcap: float = 15.0
    epsilon: float = 1e-6
    norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        check_sizes(self, "heads", "key_width", "value_width")
        check_positive(self, "gate_softcap", "epsilon", "norm_epsilon")
