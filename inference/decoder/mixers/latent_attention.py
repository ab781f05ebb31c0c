"""Causal attention whose keys and values are made of one short vector per position."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.causal_attention import attend
from inference.decoder.configuration import DecoderConfig
from inference.decoder.latent_attention_settings import LatentAttention
from inference.decoder.layers import LayerInputs, Linear, Norm
from inference.decoder.rope import rotate
from inference.decoder.setting_checks import refuse_setting


class LatentAttentionMixer(nnx.Module):
    """Multi-head latent attention (DeepSeek-AI, DeepSeek-V2, 2024, section 2.1).

    Parameters
    ----------
    config
        The decoder, with a `inference.decoder.latent_attention_settings.LatentAttention` among its parts. Its heads are
        as wide as a query, and its ropes as the rotated part.
    """

    between_positions = "window"

    def __init__(self, config: DecoderConfig) -> None:
        self.config, self.sizes = config, config.part(LatentAttention)
        sizes, heads, width = self.sizes, config.heads, config.width
        queries = heads * (sizes.plain_width + sizes.rotated_width)
        if widths := {rope.width for rope in config.ropes} - {sizes.rotated_width}:
            raise refuse_setting("the rotated dimensions of latent attention", sorted(widths), f"{sizes.rotated_width}")
        if sizes.query_rank:
            self.query_down = Linear(width, sizes.query_rank, bias=config.query_bias)
            self.query_norm = Norm(config, (sizes.query_rank,), epsilon=sizes.norm_epsilon)
            self.query_up = Linear(sizes.query_rank, queries, bias=False)
        else:
            self.query = Linear(width, queries, bias=False)
        self.key_value_down = Linear(width, sizes.key_value_rank + sizes.rotated_width, bias=config.key_value_bias)
        self.key_value_norm = Norm(config, (sizes.key_value_rank,), epsilon=sizes.norm_epsilon)
        keys_and_values = heads * (sizes.plain_width + sizes.value_width)
        self.key_value_up = Linear(sizes.key_value_rank, keys_and_values, bias=False)
        self.output = Linear(heads * sizes.value_width, width, bias=config.output_bias)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        return self.output(self.attended(x, inputs))

    def attended(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return the mixed values of all heads, [row, position, heads x width of a value]."""
        config, sizes, (rows, length, _) = self.config, self.sizes, x.shape
        q = self._queries(x).reshape(rows, length, config.heads, -1)
        latent, rotated = jnp.split(self.key_value_down(x), [sizes.key_value_rank], axis=-1)
        kind = latent.dtype
        both = self.key_value_up(sizes.key_value_scale * self.key_value_norm(latent))
        plain, v = jnp.split(both.reshape(rows, length, config.heads, -1), [sizes.plain_width], axis=-1)
        q_plain, q_rotated = jnp.split(q, [sizes.plain_width], axis=-1)
        q_rotated, rotated = (self._rotated(one, inputs) for one in (q_rotated, rotated[:, :, None]))
        rotated = jnp.broadcast_to(rotated, (rows, length, config.heads, sizes.rotated_width))
        q, k = jnp.concatenate([q_plain, q_rotated], -1), jnp.concatenate([plain, rotated], -1)
        mixed = attend(
            q.astype(kind)[:, :, :, None], k.astype(kind), v.astype(kind), scale=inputs.scale, window=inputs.window
        )
        return mixed.reshape(rows, length, -1)

    def _queries(self, x: jax.Array) -> jax.Array:
        if not self.sizes.query_rank:
            return self.query(x)
        return self.query_up(self.sizes.query_scale * self.query_norm(self.query_down(x)))

    def _rotated(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        if inputs.cosines is None or inputs.sines is None:
            return x
        return rotate(x, inputs.cosines, inputs.sines, interleaved=self.config.rope_interleaved)
