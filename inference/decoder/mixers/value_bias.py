"""Biases on attention scores that are read from the values attended to."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import Linear


class ValueBias(nnx.Module):
    """The bias that each key has by its value: ``exp(rate softplus(step))``, a step of each group of heads.

    Parameters
    ----------
    config
        The decoder.

    Notes
    -----
    That of Doge (Shi et al., Wonderful Matrices, 2024), which beyond a number of keys attends to those with the largest
    biases alone: a family that uses it must keep texts within that number.
    """

    def __init__(self, config: DecoderConfig) -> None:
        groups = config.key_value_heads
        self.rate = nnx.Param(jnp.zeros((groups,)))
        self.step = Linear(groups * config.head_width, groups, bias=config.key_value_bias)

    def __call__(self, values: jax.Array) -> jax.Array:
        """Return the biases, [row, group, 1, position], float32, of values [row, position, group * dimension]."""
        steps = jax.nn.softplus(self.step(values).astype(jnp.float32))
        biases = jnp.exp(self.rate[...].astype(jnp.float32) * steps)
        return jnp.moveaxis(biases, 1, 2)[:, :, None]
