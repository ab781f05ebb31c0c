"""Linear attention whose heads forget at fixed rates."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear, Norm
from inference.decoder.recurrences.state_space_duality import state_space

NORM_EPSILON = 1e-6


class LightningMixer(nnx.Module):
    """Lightning attention (Qin et al., 2024), as MiniMax-01 has it (MiniMax, 2025, section 2.2).

    Queries, keys and values go through the activation. A head keeps ``exp(-rate)`` of its state from one position to
    the next; rates fall from head to head by powers of two, as the slopes of ALiBi do, and from layer to layer to
    nearly none. What heads give is normed as a whole and gated.

    Parameters
    ----------
    config
        The decoder.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.config, inner = config, config.heads * config.head_width
        self.query, self.key, self.value = (Linear(config.width, inner, bias=False) for _ in range(3))
        self.gate = Linear(config.width, inner, bias=False)
        # The family's norm adds this whatever its configuration says.
        self.norm = Norm(config, (inner,), epsilon=NORM_EPSILON)
        self.output = Linear(inner, config.width, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        config, (rows, length, _) = self.config, x.shape
        activation = ACTIVATIONS[config.activation]
        q, k, v = (
            activation(one(x).astype(jnp.float32)).reshape(rows, length, config.heads, config.head_width)
            for one in (self.query, self.key, self.value)
        )
        decays = jnp.broadcast_to(-self._rates(inputs.layer), (rows, length, config.heads))
        mixed = state_space(v, decays, inputs=k, outputs=q).reshape(rows, length, -1)
        return self.output(jax.nn.sigmoid(self.gate(x).astype(jnp.float32)) * self.norm(mixed))

    def _rates(self, layer: jax.Array | int) -> jax.Array:
        """Return the rate of each head, [head], float32."""
        config = self.config
        slopes = np.float32(2.0 ** (-8 / config.heads)) ** np.arange(1, config.heads + 1, dtype=np.float32)
        # As the reference has it, which keeps the last layer's rates above zero, and those of one layer finite.
        depth = jnp.asarray(layer, jnp.float32) / np.float32(config.depth - 1 + 1e-5)
        return jnp.asarray(slopes) * (1 - depth + 1e-5)
