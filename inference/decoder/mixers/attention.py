"""Causal attention in groups of heads, with rotary, learned or linear positions."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.causal_attention import attend
from inference.decoder.configuration import DecoderConfig
from inference.decoder.head_settings import Values
from inference.decoder.layers import LayerInputs, Linear, Norm
from inference.decoder.mixers.value_bias import ValueBias
from inference.decoder.query_growth import QueryGrowth
from inference.decoder.rope import rotate


class Attention(nnx.Module):
    """Causal attention with every switch of `DecoderConfig`.

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        queries, keys = config.heads * config.head_width, config.key_value_heads * config.head_width
        self.query = Linear(config.width, queries, bias=config.query_bias)
        self.key = Linear(config.width, keys, bias=config.key_value_bias)
        self.values = next((part for part in config.parts if isinstance(part, Values)), Values(config.head_width))
        value_width = self.values.width
        self.value = Linear(config.width, config.key_value_heads * value_width, bias=config.key_value_bias)
        self.output = Linear(config.heads * value_width, config.width, bias=config.output_bias)
        shapes = {
            "none": None,
            "rotated": None,
            "head": ((config.head_width,), (config.head_width,)),
            "flat": ((queries,), (keys,)),
            "per_head": ((config.heads, config.head_width), (config.key_value_heads, config.head_width)),
        }[config.query_key_norm]
        norms = [Norm(config, shape, bias=config.query_key_norm_bias) for shape in shapes or ()]
        self.query_norm, self.key_norm = norms or (None, None)
        self.sinks = nnx.Param(jnp.zeros(config.heads)) if config.attention_sinks else None
        self.value_bias = ValueBias(config) if config.value_bias else None
        self.growth = next((part for part in config.parts if isinstance(part, QueryGrowth)), None)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        return self.output(self.attended(x, inputs))

    def attended(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return the mixed values of all heads, [row, position, heads x width of a head]."""
        config, (rows, length, _) = self.config, x.shape
        q, k, v = self.query(x), self.key(x), self.value(x)
        kind = v.dtype
        key_bias = inputs.key_bias if self.value_bias is None else self.value_bias(v)
        if config.query_key_norm == "flat":
            q, k = self._normed(q, k)
        if config.qkv_clip is not None:
            q, k, v = (jnp.clip(one, -config.qkv_clip, config.qkv_clip) for one in (q, k, v))
        q, k = (one.reshape(rows, length, -1, config.head_width) for one in (q, k))
        v = (v * self.values.scale).astype(kind).reshape(rows, length, config.key_value_heads, self.values.width)
        by_head, late = config.query_key_norm in ("head", "per_head"), config.query_key_norm_late
        if by_head and not late:
            q, k = self._normed(q, k)
        if inputs.cosines is not None and inputs.sines is not None:
            q, k = (
                rotate(one, inputs.cosines, inputs.sines, interleaved=config.rope_interleaved).astype(kind)
                for one in (q, k)
            )
        if by_head and late:
            q, k = self._normed(q, k)
        if config.query_key_norm == "rotated":
            q, k = (self._of_size_one(one, inputs).astype(kind) for one in (q, k))
        if self.growth is not None:
            q = q * self._growth(self.growth, inputs, length)
        q = q.astype(kind).reshape(rows, length, config.key_value_heads, config.heads_per_group, config.head_width)
        mixed = attend(
            q,
            k.astype(kind),
            v,
            scale=inputs.scale,
            window=inputs.window,
            key_bias=key_bias,
            softcap=config.attention_softcap,
            sinks=self._sinks(),
            chunk=inputs.chunk,
        )
        return mixed.reshape(rows, length, -1)

    def _of_size_one(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Divide heads by their root mean square, in layers that rotate them."""
        x = x.astype(jnp.float32)
        normed = x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + self.config.norm_epsilon)
        return jnp.where(inputs.rotated, normed, x)

    def _growth(self, growth: QueryGrowth, inputs: LayerInputs, length: int) -> jax.Array:
        """Return the factors on queries of a layer, [position, 1, 1]."""
        factors = jnp.asarray(growth.factors(length))[:, None, None]
        return jnp.where(inputs.rotated, 1.0, factors) if growth.unrotated else factors

    def _sinks(self) -> jax.Array | None:
        """Return the scores of sinks, [group, head], float32."""
        if self.sinks is None:
            return None
        return self.sinks[...].astype(jnp.float32).reshape(self.config.key_value_heads, self.config.heads_per_group)

    def _normed(self, q: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
        assert self.query_norm is not None
        assert self.key_norm is not None
        return self.query_norm(q), self.key_norm(k)
