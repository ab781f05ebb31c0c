"""The activation xIELU, whose shape is learnt."""

import jax
import jax.numpy as jnp
from flax import nnx


class Xielu(nnx.Module):
    """A square above zero, an exponential below, and a line added to both (Huang et al., xIELU, 2024)."""

    def __init__(self) -> None:
        self.positive = nnx.Param(jnp.zeros((1,)))
        self.negative = nnx.Param(jnp.zeros((1,)))
        # Checkpoints hold these two as well, though they are not learnt.
        self.slope = nnx.Param(jnp.zeros(()))
        self.largest = nnx.Param(jnp.zeros(()))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map values of any shape, float32."""
        positive, negative, slope, largest = (
            part[...].astype(jnp.float32) for part in (self.positive, self.negative, self.slope, self.largest)
        )
        above = jax.nn.softplus(positive) * x * x
        # Above `largest`, which is just below zero, the other branch holds.
        below = (jnp.expm1(jnp.minimum(x, largest)) - x) * (slope + jax.nn.softplus(negative))
        return jnp.where(x > 0, above, below) + slope * x
