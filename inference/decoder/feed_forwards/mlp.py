"""The feed-forward part that every token goes through whole."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.xielu import Xielu
from inference.decoder.layers import ACTIVATIONS, Linear


class MLP(nnx.Module):
    """The feed-forward part of a block.

    Parameters
    ----------
    config
        The decoder.
    width
        Width inside; the decoder's by default.
    """

    def __init__(self, config: DecoderConfig, width: int | None = None) -> None:
        self.activation, width = config.activation, config.mlp_width if width is None else width
        self.xielu = Xielu() if config.activation == "xielu" else None
        self.gate = Linear(config.width, width, bias=config.mlp_bias) if config.gated else None
        self.up = Linear(config.width, width, bias=config.mlp_bias)
        self.down = Linear(width, config.width, bias=config.mlp_bias)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same."""
        activation = ACTIVATIONS[self.activation] if self.xielu is None else self.xielu
        up = self.up(x)
        if self.gate is None:
            return self.down(activation(up.astype(jnp.float32)))
        return self.down(activation(self.gate(x).astype(jnp.float32)) * up.astype(jnp.float32))
