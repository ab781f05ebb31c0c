"""What some families put between the last block and the head."""

from dataclasses import dataclass
from typing import get_args

from bayeslaw.errors import check_choice
from inference.decoder.configuration import Activation


@dataclass(frozen=True)
class HeadTransform:
    """A linear map, an activation and a norm that hidden states go through before the head.

    Attributes
    ----------
    activation
        Its activation.
    bias
        Whether the map has a bias.

    Raises
    ------
    InputError
        If there is no such activation.
    """

    activation: Activation
    bias: bool = False

    def __post_init__(self) -> None:
        check_choice("activation before the head", self.activation, get_args(Activation))
