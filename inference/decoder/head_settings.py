"""What attention heads have that is not as in most; free of JAX, so that families may name it."""

from dataclasses import dataclass
from typing import Literal, get_args

from bayeslaw.errors import check_choice
from inference.decoder.part_checks import check_positive, check_sizes

GateActivation = Literal["sigmoid", "softplus"]


@dataclass(frozen=True)
class Values:
    """Values that are not as wide as keys.

    Attributes
    ----------
    width
        Dimensions of a head's value.
    scale
        Factor on values.

    Raises
    ------
    InputError
        If the width is no whole number of at least 1, or the scale no finite number above zero.
    """

    width: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self, "width")
        check_positive(self, "scale")


@dataclass(frozen=True)
class WindowedHeads:
    """Layers with a window whose heads are not those of the others.

    Attributes
    ----------
    key_value_heads
        Key and value heads.
    sinks
        Whether each head has a learnt score beside those of the keys.

    Raises
    ------
    InputError
        If the number is no whole number of at least 1.
    """

    key_value_heads: int
    sinks: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, "key_value_heads")


@dataclass(frozen=True)
class OutputGate:
    """How what heads give is gated by the hidden state.

    Attributes
    ----------
    activation
        What the gate goes through.
    by_head
        Whether there is one number for each head rather than for each of its dimensions.
    head_bias
        Whether a bias of each head is added to the gate first.

    Raises
    ------
    InputError
        If there is no such activation.
    """

    activation: GateActivation = "sigmoid"
    by_head: bool = False
    head_bias: bool = False

    def __post_init__(self) -> None:
        check_choice("activation of a gate", self.activation, get_args(GateActivation))
