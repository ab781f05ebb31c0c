"""Attention with one gate for each head's results."""

import jax
import jax.numpy as jnp

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.mixers.attention import Attention


class HeadGatedAttention(Attention):
    """Attention with a logistic gate on each of its heads (Qiu et al., Gated Attention, 2025, section 2.2).

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.gate = Linear(config.width, config.heads, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        mixed, (rows, length, _) = self.attended(x, inputs).astype(jnp.float32), x.shape
        opened = jax.nn.sigmoid(self.gate(x).astype(jnp.float32))[..., None]
        return self.output((mixed.reshape(rows, length, self.config.heads, -1) * opened).reshape(mixed.shape))
