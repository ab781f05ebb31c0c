"""The feed-forward part of Falcon-H1: an MLP with a factor on its gate and one on its result."""

import jax
import jax.numpy as jnp

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.layers import ACTIVATIONS
from inference.decoder.mlp_scales import MLPScales


class ScaledMLP(MLP):
    """A gated MLP with factors.

    Parameters
    ----------
    config
        The decoder; `MLPScales` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.scales = config.part(MLPScales)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same."""
        assert self.gate is not None
        opened = ACTIVATIONS[self.activation](self.gate(x).astype(jnp.float32) * self.scales.gate)
        return self.down(opened * self.up(x).astype(jnp.float32)).astype(jnp.float32) * self.scales.down
