"""The parts of a block: linear maps, norms, attention, the MLP, and the block itself."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.attention import attend
from inference.decoder.configuration import DecoderConfig, NormKind
from inference.decoder.rope import rotate

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": jax.nn.silu,
    "relu": jax.nn.relu,
    "squared_relu": lambda x: jnp.square(jax.nn.relu(x)),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_sigmoid": lambda x: x * jax.nn.sigmoid(1.702 * x),
}


class LayerInputs(NamedTuple):
    """What a block needs beside the hidden states.

    Attributes
    ----------
    cosines, sines
        Rotation of this layer, [row or 1, position, 1, pair]; empty without rotary positions.
    window
        How many positions are attended to, scalar; at least the length where all are.
    key_bias
        Bias on attention scores by the key's position, [group, head, position], or None.
    scale
        Factor on attention scores, scalar.
    """

    cosines: jax.Array | None
    sines: jax.Array | None
    window: jax.Array
    key_bias: jax.Array | None
    scale: jax.Array


class Linear(nnx.Module):
    """A linear map whose weight lies as checkpoints store it, [out, in], so that loading copies nothing.

    Parameters
    ----------
    inputs, outputs
        Widths.
    bias
        Whether there is a bias.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        self.weight = nnx.Param(jnp.zeros((outputs, inputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,))) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [..., in] to [..., out] in the weight's type; products are added up in float32."""
        weight = self.weight[...]
        contracted = (((x.ndim - 1,), (1,)), ((), ()))
        y = jax.lax.dot_general(x.astype(weight.dtype), weight, contracted, preferred_element_type=jnp.float32)
        if self.bias is not None:
            y = y + self.bias[...].astype(jnp.float32)
        return y.astype(weight.dtype)


class Norm(nnx.Module):
    """Root-mean-square or layer norm over the last dimensions, in float32.

    Parameters
    ----------
    config
        The decoder.
    shape
        Shape of the weight.
    bias
        Whether there is a bias; as the decoder's other norms by default.
    """

    def __init__(self, config: DecoderConfig, shape: tuple[int, ...], *, bias: bool | None = None) -> None:
        self.kind: NormKind = config.norm
        self.epsilon, self.offset = config.norm_epsilon, config.norm_offset
        biased = config.norm_bias if bias is None else bias
        self.weight = nnx.Param(jnp.zeros(shape)) if config.norm_weight else None
        self.bias = nnx.Param(jnp.zeros(shape)) if biased and config.norm_weight else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise [..., width]; the result is float32."""
        y = x.astype(jnp.float32)
        if self.kind == "layer":
            # The variance is taken of centred values: E[x^2] - E[x]^2 loses all digits at a large mean.
            y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        if self.weight is not None:
            y = y * (self.weight[...].astype(jnp.float32) + self.offset)
        return y if self.bias is None else y + self.bias[...].astype(jnp.float32)


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
        self.value = Linear(config.width, keys, bias=config.key_value_bias)
        self.output = Linear(queries, config.width, bias=config.output_bias)
        shapes = {
            "none": None,
            "head": ((config.head_width,), (config.head_width,)),
            "flat": ((queries,), (keys,)),
            "per_head": ((config.heads, config.head_width), (config.key_value_heads, config.head_width)),
        }[config.query_key_norm]
        norms = [Norm(config, shape, bias=config.query_key_norm_bias) for shape in shapes or ()]
        self.query_norm, self.key_norm = norms or (None, None)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        config, (rows, length, _) = self.config, x.shape
        q, k, v = self.query(x), self.key(x), self.value(x)
        kind = v.dtype
        if config.qkv_clip is not None:
            q, k, v = (jnp.clip(one, -config.qkv_clip, config.qkv_clip) for one in (q, k, v))
        if config.query_key_norm == "flat":
            q, k = self._normed(q, k)
        q, k, v = (one.reshape(rows, length, -1, config.head_width) for one in (q, k, v))
        if config.query_key_norm in ("head", "per_head"):
            q, k = self._normed(q, k)
        if inputs.cosines is not None and inputs.sines is not None:
            q, k = (
                rotate(one, inputs.cosines, inputs.sines, interleaved=config.rope_interleaved).astype(kind)
                for one in (q, k)
            )
        q = q.astype(kind).reshape(rows, length, config.key_value_heads, config.heads_per_group, config.head_width)
        mixed = attend(
            q,
            k.astype(kind),
            v,
            scale=inputs.scale,
            window=inputs.window,
            key_bias=inputs.key_bias,
            softcap=config.attention_softcap,
        )
        return self.output(mixed.reshape(rows, length, -1))

    def _normed(self, q: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
        assert self.query_norm is not None
        assert self.key_norm is not None
        return self.query_norm(q), self.key_norm(k)


class MLP(nnx.Module):
    """The feed-forward part of a block.

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.activation = config.activation
        self.gate = Linear(config.width, config.mlp_width, bias=config.mlp_bias) if config.gated else None
        self.up = Linear(config.width, config.mlp_width, bias=config.mlp_bias)
        self.down = Linear(config.mlp_width, config.width, bias=config.mlp_bias)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, width] to the same."""
        activation = ACTIVATIONS[self.activation]
        up = self.up(x)
        if self.gate is None:
            return self.down(activation(up.astype(jnp.float32)))
        return self.down(activation(self.gate(x).astype(jnp.float32)) * up.astype(jnp.float32))


class Block(nnx.Module):
    """Attention and MLP with their norms and residual additions; the residual stream is float32.

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self.attention, self.mlp = Attention(config), MLP(config)
        before, after = config.placement != "branch", config.placement in ("sandwich", "branch")

        def norm(wanted: bool) -> Norm | None:
            return Norm(config, (config.width,)) if wanted else None

        self.attention_norm = norm(before)
        self.mlp_norm = norm(before and config.residual != "parallel_shared")
        self.attention_output_norm = norm(after)
        self.mlp_output_norm = norm(after)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Transform hidden states [row, position, width], float32."""
        scale = self.config.residual_scale
        if self.config.placement == "post":
            x = _through(self.attention_norm, x + scale * self.attention(x, inputs).astype(jnp.float32))
            return _through(self.mlp_norm, x + scale * self.mlp(x).astype(jnp.float32))
        normed = _through(self.attention_norm, x)
        attended = _through(self.attention_output_norm, self.attention(normed, inputs)).astype(jnp.float32)
        if self.config.residual == "sequential":
            x = x + scale * attended
            changed = self.mlp(_through(self.mlp_norm, x))
            return x + scale * _through(self.mlp_output_norm, changed).astype(jnp.float32)
        changed = self.mlp(normed if self.config.residual == "parallel_shared" else _through(self.mlp_norm, x))
        return x + scale * (attended + _through(self.mlp_output_norm, changed).astype(jnp.float32))


def _through(norm: Norm | None, x: jax.Array) -> jax.Array:
    return x if norm is None else norm(x)
