"""The feed-forward part that every token goes through whole."""

from statistics import NormalDist

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
        self.sparsity = config.activation_sparsity
        self.activation, width = config.activation, config.mlp_width if width is None else width
        self.xielu = Xielu() if config.activation == "xielu" else None
        self.gate = Linear(config.width, width, bias=config.mlp_bias) if config.gated else None
        self.up = Linear(config.width, width, bias=config.mlp_bias)
        self.down = Linear(width, config.width, bias=config.mlp_bias)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same."""
        return self.from_inside(None if self.gate is None else self.gate(x), self.up(x))

    def from_inside(self, gate: jax.Array | None, up: jax.Array) -> jax.Array:
        """Return what the part gives, [row, position, width], of its gates, if it has any, and what they multiply."""
        activation = ACTIVATIONS[self.activation] if self.xielu is None else self.xielu
        if gate is None:
            return self.down(activation(up.astype(jnp.float32)))
        gate = self._thinned(gate.astype(jnp.float32))
        return self.down(activation(gate) * up.astype(jnp.float32))

    def _thinned(self, gate: jax.Array) -> jax.Array:
        """Take from gates what a share of them lies below if they are normally distributed; what is below it is zero.

        That is how Spark Transformer finds the largest without sorting (You et al., 2025).
        """
        if not self.sparsity:
            return gate
        bound = gate.mean(-1, keepdims=True) + NormalDist().inv_cdf(self.sparsity) * gate.std(-1, keepdims=True)
        return jax.nn.relu(gate - bound)
