"""What a family of models states: how its ``config.json`` is read and where its tensors lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.decoder.configuration_reading import Settings
from inference.decoder.tensor_names import TensorNames


@dataclass(frozen=True)
class Family:
    """How one ``model_type`` maps onto the decoder.

    Attributes
    ----------
    settings
        What it sets in `DecoderConfig`, from its configuration.
    tensors
        Where its tensors lie.
    required
        Fields of its configuration and the values that are covered; ``a.b`` is a field of a part.
    unread
        Fields without effect that transformers refuses or warns of: they are left out before it reads a configuration.
    """

    settings: Callable[[Any], Settings]
    tensors: TensorNames
    required: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
