"""The feed-forward part of RWKV: an MLP of a position and the one before it, gated."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, Linear
from inference.decoder.token_shift import TokenShift


class ChannelMixing(nnx.Module):
    """The channel mixing of RWKV 4 (Peng et al., RWKV, 2023, section 3.1.2).

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        width, self.activation = config.width, config.activation
        self.up_shift, self.gate_shift = (TokenShift(width) for _ in range(2))
        self.up = Linear(width, config.mlp_width, bias=False)
        self.gate = Linear(width, width, bias=False)
        self.down = Linear(config.mlp_width, width, bias=False)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same, float32."""
        inner = ACTIVATIONS[self.activation](self.up(self.up_shift(x)).astype(jnp.float32))
        opened = jax.nn.sigmoid(self.gate(self.gate_shift(x)).astype(jnp.float32))
        return opened * self.down(inner).astype(jnp.float32)
