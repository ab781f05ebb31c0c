"""Attention whose heads' results are gated before they are joined."""

import jax
import jax.numpy as jnp

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.mixers.attention import Attention


class GatedAttention(Attention):
    """Attention with a logistic gate on every number of its heads (Qiu et al., Gated Attention, 2025, section 2.2).

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.gate = Linear(config.width, config.heads * config.head_width, bias=config.query_bias)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        opened = jax.nn.sigmoid(self.gate(x).astype(jnp.float32))
        return self.output(self.attended(x, inputs).astype(jnp.float32) * opened)
