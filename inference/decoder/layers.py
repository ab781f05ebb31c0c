"""What the parts of a block are made of: linear maps, norms, activations, and what a layer is given."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig, NormKind

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": jax.nn.silu,
    "relu": jax.nn.relu,
    "squared_relu": lambda x: jnp.square(jax.nn.relu(x)),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_sigmoid": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "sigmoid": jax.nn.sigmoid,
}


# What `LayerInputs.kept` has of the hidden states that the first layer was given.
FIRST_STATES = "first states"


def held_in_place(weights: Any) -> Any:
    """Keep the compiler from converting weights of 16 bits to float32 ahead of a loop, all at once.

    Parameters
    ----------
    weights
        Arrays that each turn of a loop takes over from the one before.

    Returns
    -------
    Any
        The same. On a CPU the conversion is part of the matrix product as long as it stays inside the loop; outside of
        it, it would take twice the memory of the model.
    """
    short = any(leaf.dtype.itemsize == 2 for leaf in jax.tree.leaves(weights))
    return jax.lax.optimization_barrier(weights) if short and jax.default_backend() == "cpu" else weights


class LayerInputs(NamedTuple):
    """What a block needs beside the hidden states.

    Attributes
    ----------
    cosines, sines
        Rotation of this layer, [row or 1, position, 1, pair]; empty without rotary positions.
    window
        How many positions are attended to, scalar, at least the length where all are; or [row, position], where it ends
        with the text that a position belongs to.
    key_bias
        Bias on attention scores by the key's position, [group, head, position], by row where a dimension more stands in
        front, or None.
    scale
        Factor on attention scores, scalar.
    layer
        Number of the layer, from 0, scalar.
    rotated
        Whether the layer has rotary positions, scalar.
    positions
        Number of each position within its text, from 0, [row, position]; None where texts begin with their rows.
    kept
        What an earlier layer handed on to this one, by name, each [row, position, width], float32; empty for nothing.
    shared
        The module whose weights this layer shares with others; None for none.
    """

    cosines: jax.Array | None
    sines: jax.Array | None
    window: jax.Array
    key_bias: jax.Array | None
    scale: jax.Array
    layer: jax.Array | int = 0
    rotated: jax.Array | bool = True
    positions: jax.Array | None = None
    kept: Mapping[str, jax.Array] = MappingProxyType({})
    shared: Any = None


class Embedding(nnx.Module):
    """Rows looked up by number.

    Parameters
    ----------
    rows, width
        Shape of the table.
    """

    def __init__(self, rows: int, width: int) -> None:
        self.weight = nnx.Param(jnp.zeros((rows, width)))

    def __call__(self, numbers: jax.Array) -> jax.Array:
        """Return rows [..., width]."""
        return self.weight[...].at[numbers].get(mode="clip")


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
    epsilon
        What is added to the variance; as the decoder's other norms by default.
    weight
        Whether there is a weight; as the decoder's other norms by default.
    """

    def __init__(
        self,
        config: DecoderConfig,
        shape: tuple[int, ...],
        *,
        bias: bool | None = None,
        epsilon: float | None = None,
        weight: bool | None = None,
    ) -> None:
        self.kind: NormKind = config.norm
        self.epsilon, self.offset = config.norm_epsilon if epsilon is None else epsilon, config.norm_offset
        biased = config.norm_bias if bias is None else bias
        weighted = config.norm_weight if weight is None else weight
        self.weight = nnx.Param(jnp.zeros(shape)) if weighted else None
        self.bias = nnx.Param(jnp.zeros(shape)) if biased and weighted else None

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
