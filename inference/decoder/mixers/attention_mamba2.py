"""The mixer of Falcon-H1: attention and a Mamba 2 side by side on the same hidden states."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs
from inference.decoder.mixer_settings import SideBySide
from inference.decoder.mixers.attention import Attention
from inference.decoder.mixers.mamba2 import Mamba2Mixer


class AttentionMamba2Mixer(nnx.Module):
    """The sum of both parts, each with its factors.

    Parameters
    ----------
    config
        The decoder; `SideBySide` and `inference.decoder.mixer_settings.Mamba2` are among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = config.part(SideBySide)
        self.attention, self.mamba2 = Attention(config), Mamba2Mixer(config)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part = self.part
        attended = self.attention(x * part.attention_in, inputs).astype(jnp.float32) * part.attention_out
        return self.mamba2(x * part.mamba2_in, inputs).astype(jnp.float32) * part.mamba2_out + attended
