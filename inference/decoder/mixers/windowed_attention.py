"""Attention of layers with a window, whose heads are not those of the other layers."""

from dataclasses import replace

from inference.decoder.configuration import DecoderConfig
from inference.decoder.head_settings import WindowedHeads
from inference.decoder.mixers.attention import Attention


class WindowedAttention(Attention):
    """Attention with the heads that a `inference.decoder.head_settings.WindowedHeads` among the parts tells of.

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        part = config.part(WindowedHeads)
        super().__init__(replace(config, key_value_heads=part.key_value_heads, attention_sinks=part.sinks))
