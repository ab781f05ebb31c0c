"""A root-mean-square norm together with a gate, as recurrent mixers end with."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.layers import ACTIVATIONS
from inference.decoder.mixer_settings import GateOrder


class GatedNorm(nnx.Module):
    """Norm over groups of the last dimension, and a gate before or after it.

    Parameters
    ----------
    width
        Number of weights.
    groups
        Parts of equal width that are normed apart.
    epsilon
        What is added to the mean square.
    order
        Whether the gate multiplies before the norm, or after it.
    gate
        Activation of the gate, a name in `inference.decoder.layers.ACTIVATIONS`.
    """

    def __init__(
        self, width: int, *, epsilon: float, groups: int = 1, order: GateOrder = "before", gate: str = "silu"
    ) -> None:
        self.weight = nnx.Param(jnp.zeros((width,)))
        self.epsilon, self.groups, self.order, self.gate = epsilon, groups, order, gate

    def __call__(self, x: jax.Array, gate: jax.Array) -> jax.Array:
        """Norm and gate [..., width]; the result is float32."""
        x, opened = x.astype(jnp.float32), ACTIVATIONS[self.gate](gate.astype(jnp.float32))
        if self.order == "before":
            x = x * opened
        y = x.reshape(*x.shape[:-1], self.groups, -1)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        y = y.reshape(x.shape) * self.weight[...].astype(jnp.float32)
        return y * opened if self.order == "after" else y
