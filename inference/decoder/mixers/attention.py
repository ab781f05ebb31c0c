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


class AttentionParts(nnx.Module):
    """What causal attention is made of, with every switch of `DecoderConfig`.

    Parameters
    ----------
    config
        The decoder.
    """

    between_positions = "window"

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        queries = config.heads * config.head_width
        self.query = Linear(config.width, queries, bias=config.query_bias)
        self.values = config.optional_part(Values) or Values(config.head_width)
        self.output = Linear(config.heads * self.values.width, config.width, bias=config.output_bias)
        self.query_norm = self._norm(config.heads)
        self._add_keys()
        self.sinks = nnx.Param(jnp.zeros(config.heads)) if config.attention_sinks else None
        self.value_bias = ValueBias(config) if config.value_bias else None
        self.growth = config.optional_part(QueryGrowth)

    def _add_keys(self) -> None:
        """Make what keys and values are made with."""
        config, keys = self.config, self.config.key_value_heads * self.config.head_width
        self.key = Linear(config.width, keys, bias=config.key_value_bias)
        values = config.key_value_heads * self.values.width
        self.value = None if config.values_from_keys else Linear(config.width, values, bias=config.key_value_bias)
        self.key_norm = self._norm(config.key_value_heads)
        self.value_norm = Norm(config, (config.head_width,), bias=False, weight=False) if config.value_norm else None

    def _norm(self, heads: int) -> Norm | None:
        config, width = self.config, self.config.head_width
        shapes = {"none": None, "rotated": None, "head": (width,), "flat": (heads * width,), "per_head": (heads, width)}
        shape = shapes[config.query_key_norm]
        return None if shape is None else Norm(config, shape, bias=config.query_key_norm_bias)

    def attended(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Return the mixed values of all heads, [row, position, heads x width of a head]."""
        return self.mixed(x, *self.keys_and_values(x, inputs), inputs)

    def keys_and_values(self, x: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, jax.Array]:
        """Return what is attended to, [row, position, group, width of a head] both, in the type of the weights."""
        k = self.key(x)
        return self.placed_keys(k, k if self.value is None else self.value(x), inputs)

    def placed_keys(self, k: jax.Array, v: jax.Array, inputs: LayerInputs) -> tuple[jax.Array, jax.Array]:
        """Return what is attended to, of keys and values [row, position, width of all heads]."""
        kind = v.dtype
        v = (self._clipped(v) * self.values.scale).astype(kind).reshape(*k.shape[:2], -1, self.values.width)
        v = v if self.value_norm is None else self.value_norm(v).astype(kind)
        return self._placed(k, self.key_norm, inputs).astype(kind), v

    def mixed(self, x: jax.Array, k: jax.Array, v: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend to keys and values: the mixed values of all heads, [row, position, heads x width of a value]."""
        return self.mixed_by(self.query(x), k, v, inputs)

    def mixed_by(self, q: jax.Array, k: jax.Array, v: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend to keys and values by queries, [row, position, width of all heads]: the same as `mixed`."""
        config, (rows, length, _), kind = self.config, q.shape, v.dtype
        q = self._placed(q, self.query_norm, inputs)
        if self.growth is not None:
            q = q * self._growth(self.growth, inputs, length)
        q = q.astype(kind).reshape(rows, length, config.key_value_heads, config.heads_per_group, config.head_width)
        mixed = attend(
            q,
            k,
            v,
            scale=inputs.scale,
            window=inputs.window,
            key_bias=inputs.key_bias if self.value_bias is None else self.value_bias(v.reshape(rows, length, -1)),
            softcap=config.attention_softcap,
            sinks=self._sinks(),
        )
        return mixed.reshape(rows, length, -1)

    def _placed(self, x: jax.Array, norm: Norm | None, inputs: LayerInputs) -> jax.Array:
        """Norm and rotate what queries or keys are made of, [row, position, head, width of a head]."""
        config, kind = self.config, x.dtype
        late = norm if config.query_key_norm_late else None
        x = norm(x) if norm is not None and config.query_key_norm == "flat" else x
        x = self._clipped(x).reshape(*x.shape[:2], -1, config.head_width)
        x = norm(x) if norm is not None and config.query_key_norm in ("head", "per_head") and late is None else x
        if inputs.cosines is not None and inputs.sines is not None:
            pairs = slice(config.rotated_width // 2 or None)
            turns = inputs.cosines[..., pairs], inputs.sines[..., pairs]
            x = rotate(x, *turns, interleaved=config.rope_interleaved).astype(kind)
        x = x if late is None else late(x)
        return self._of_size_one(x, inputs).astype(kind) if config.query_key_norm == "rotated" else x

    def _clipped(self, x: jax.Array) -> jax.Array:
        bound = self.config.qkv_clip
        return x if bound is None else jnp.clip(x, -bound, bound)

    def _of_size_one(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Divide heads by their root mean square, in layers that rotate them."""
        x = x.astype(jnp.float32)
        normed = x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + self.config.norm_epsilon)
        return jnp.where(inputs.rotated, normed, x)

    def _growth(self, growth: QueryGrowth, inputs: LayerInputs, length: int) -> jax.Array:
        """Return the factors on queries of a layer, [position, 1, 1], by row where rows hold several texts."""
        factors = jnp.asarray(growth.factors(length))
        factors = (factors if inputs.positions is None else factors[inputs.positions])[..., None, None]
        return jnp.where(inputs.rotated, 1.0, factors) if growth.unrotated else factors

    def _sinks(self) -> jax.Array | None:
        """Return the scores of sinks, [group, head], float32."""
        if self.sinks is None:
            return None
        return self.sinks[...].astype(jnp.float32).reshape(self.config.key_value_heads, self.config.heads_per_group)


class Attention(AttentionParts):
    """Causal attention with every switch of `DecoderConfig`.

    Parameters
    ----------
    config
        The decoder.
    """

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        return self.output(self.attended(x, inputs))
