"""The mixer of gated delta networks: a convolution and a memory under the delta rule, normed and gated."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear
from inference.decoder.mixer_settings import GatedDelta
from inference.decoder.mixers.gated_norm import GatedNorm
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.delta_rule import gated_delta_rule

# What is added to the squared length of queries and keys; no configuration states another.
LENGTH_EPSILON = 1e-6


class Projected(NamedTuple):
    """What a mixer makes of hidden states, [row, position, ...].

    Attributes
    ----------
    mixed
        Queries, keys and values of all heads, which go through the convolution.
    gate
        Gates of all heads' results.
    strengths, decays
        One number a head of values, before their activations.
    """

    mixed: jax.Array
    gate: jax.Array
    strengths: jax.Array
    decays: jax.Array


class SplitProjection(nnx.Module):
    """Maps stored apart.

    Parameters
    ----------
    width
        Of hidden states.
    part
        Settings of the mixer.
    """

    def __init__(self, width: int, part: GatedDelta) -> None:
        self.mixed = Linear(width, sum(part.widths), bias=False)
        self.gate = Linear(width, part.widths[-1], bias=False)
        self.strength = Linear(width, part.value_heads, bias=False)
        self.decay = Linear(width, part.value_heads, bias=False)

    def __call__(self, x: jax.Array) -> Projected:
        """Map [row, position, width]."""
        return Projected(self.mixed(x), self.gate(x), self.strength(x), self.decay(x))


class GroupedProjection(nnx.Module):
    """Two maps, whose rows belong to one group of heads after the other.

    Parameters
    ----------
    width
        Of hidden states.
    part
        Settings of the mixer.
    """

    def __init__(self, width: int, part: GatedDelta) -> None:
        self.part = part
        self.mixed = Linear(width, sum(part.widths) + part.widths[-1], bias=False)
        self.scalars = Linear(width, 2 * part.value_heads, bias=False)

    def __call__(self, x: jax.Array) -> Projected:
        """Map [row, position, width]."""
        part, groups = self.part, self.part.key_heads
        values = part.widths[-1] // groups

        def parts(mapped: jax.Array, *widths: int) -> list[jax.Array]:
            grouped = mapped.reshape(*mapped.shape[:2], groups, -1)
            return [one.reshape(*mapped.shape[:2], -1) for one in jnp.split(grouped, np.cumsum(widths), -1)]

        *mixed, gate = parts(self.mixed(x), part.key_width, part.key_width, values)
        strengths, decays = parts(self.scalars(x), part.value_heads // groups)
        return Projected(jnp.concatenate(mixed, -1), gate, strengths, decays)


PROJECTIONS: Mapping[str, Callable[[int, GatedDelta], SplitProjection | GroupedProjection]] = {
    "grouped": GroupedProjection,
    "split": SplitProjection,
}


class GatedDeltaMixer(nnx.Module):
    """Gated delta network (Yang, Kautz and Hatamizadeh, 2024, section 3.4).

    Parameters
    ----------
    config
        The decoder; `GatedDelta` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(GatedDelta)
        self.projection = PROJECTIONS[part.projection](config.width, part)
        self.convolution = CausalConvolution(sum(part.widths), part.taps, bias=False)
        self.step_bias, self.log_rates = (nnx.Param(jnp.zeros((part.value_heads,))) for _ in range(2))
        self.norm = GatedNorm(part.value_width, epsilon=part.norm_epsilon, order="after")
        self.output = Linear(part.widths[-1], config.width, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part, (rows, length, _) = self.part, x.shape
        projected = self.projection(x)
        mixed = ACTIVATIONS[part.activation](self.convolution(projected.mixed))
        mixed = mixed.astype(projected.mixed.dtype).astype(jnp.float32)
        queries, keys, values = (
            one.reshape(rows, length, -1, width)
            for one, width in zip(
                jnp.split(mixed, np.cumsum(part.widths[:2]), -1),
                (part.key_width, part.key_width, part.value_width),
                strict=True,
            )
        )
        steps = jax.nn.softplus(projected.decays.astype(jnp.float32) + self.step_bias[...].astype(jnp.float32))
        found = gated_delta_rule(
            unit_length(queries) * part.key_width**-0.5,
            unit_length(keys),
            values,
            log_decays=-jnp.exp(self.log_rates[...].astype(jnp.float32)) * steps,
            strengths=part.strongest * jax.nn.sigmoid(projected.strengths.astype(jnp.float32)),
        )
        return self.output(self.norm(found, projected.gate.reshape(found.shape)).reshape(rows, length, -1))


def unit_length(x: jax.Array) -> jax.Array:
    """Scale the last dimension to a length of one, but for what is added to its square."""
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + LENGTH_EPSILON)
