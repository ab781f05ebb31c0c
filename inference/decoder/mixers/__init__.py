"""What moves information between positions: a kind a file, and the table of them.

A mixer is made of a `inference.decoder.configuration.DecoderConfig` and called with hidden states
[row, position, width] and a `inference.decoder.layers.LayerInputs`. It is causal, and texts are padded on the right, so
that padding reaches nothing. Its name is that of its module in a block, with which the names of its parameters begin.
"""

from collections.abc import Callable
from typing import Any

from inference.decoder.configuration import DecoderConfig
from inference.decoder.mixers.attention import Attention

MIXERS: dict[str, Callable[[DecoderConfig], Any]] = {"attention": Attention}
