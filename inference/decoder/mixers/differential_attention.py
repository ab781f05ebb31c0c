"""Attention whose second half of heads is taken away from the first (Ye et al., Differential Transformer, 2024)."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.causal_attention import attend
from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.rope import rotate


class DifferentialAttention(nnx.Module):
    """Differential attention with rotary positions.

    Parameters
    ----------
    config
        The decoder, whose key and value heads are pairs.

    Notes
    -----
    Every head mixes the values of a pair of groups, one of each half, side by side. Of the heads' results the second
    half, times a learnt factor, is taken from the first, and what remains is normed. That factor begins at
    ``0.8 - 0.6 exp(-0.3 layer)``, layers from 0.
    """

    between_positions = "window"

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        width = config.head_width
        queries, keys = config.heads * width, config.key_value_heads * width
        self.query = Linear(config.width, queries, bias=config.query_bias)
        self.key = Linear(config.width, keys, bias=config.key_value_bias)
        self.value = Linear(config.width, keys, bias=config.key_value_bias)
        self.output = Linear(queries, config.width, bias=config.output_bias)
        self.query_1, self.key_1 = nnx.Param(jnp.zeros((width,))), nnx.Param(jnp.zeros((width,)))
        self.query_2, self.key_2 = nnx.Param(jnp.zeros((width,))), nnx.Param(jnp.zeros((width,)))

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        config, (rows, length, _) = self.config, x.shape
        q, k, v = (part(x).reshape(rows, length, -1, config.head_width) for part in (self.query, self.key, self.value))
        kind = v.dtype
        if inputs.cosines is not None and inputs.sines is not None:
            q, k = (
                rotate(one, inputs.cosines, inputs.sines, interleaved=config.rope_interleaved).astype(kind)
                for one in (q, k)
            )
        q = q.reshape(rows, length, config.key_value_heads, config.heads_per_group, config.head_width)
        first, second = jnp.split(v, 2, axis=2)
        pairs = jnp.concatenate([first, second], -1)
        values = jnp.concatenate([pairs, pairs], 2)
        mixed = attend(q, k, values, scale=inputs.scale, window=inputs.window).astype(jnp.float32)
        kept, taken = jnp.split(mixed.reshape(rows, length, config.heads, -1), 2, axis=2)
        start = 0.8 - 0.6 * jnp.exp(-0.3 * inputs.layer)
        rest = kept - (self._factor() + start) * taken
        rest = rest * jax.lax.rsqrt(jnp.mean(rest * rest, -1, keepdims=True) + config.norm_epsilon)
        return self.output(((1 - start) * rest).astype(kind).reshape(rows, length, -1))

    def _factor(self) -> jax.Array:
        """Return what was learnt of the factor, scalar float32."""
        pairs = (self.query_1, self.key_1), (self.query_2, self.key_2)
        first, second = (
            jnp.exp(jnp.sum(query[...].astype(jnp.float32) * key[...].astype(jnp.float32))) for query, key in pairs
        )
        return first - second
