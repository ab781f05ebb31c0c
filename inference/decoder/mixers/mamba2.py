"""The mixer of Mamba 2: a convolution and a state space by heads, gated and normed."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear
from inference.decoder.mixer_settings import GateOrder, Mamba2
from inference.decoder.mixers.gated_norm import GatedNorm
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.state_space_duality import state_space


class Mamba2Mixer(nnx.Module):
    """State space with one decay a head (Dao and Gu, Transformers are SSMs, 2024, section 7).

    Parameters
    ----------
    config
        The decoder; `Mamba2` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(Mamba2)
        convolved = part.inner_width + 2 * part.shared_width
        self.input = Linear(config.width, sum(part.parts), bias=part.input_bias)
        self.convolution = CausalConvolution(convolved, part.taps, bias=part.convolution_bias)
        self.step_bias, self.log_rates, self.skip = (nnx.Param(jnp.zeros((part.heads,))) for _ in range(3))
        self.norm = None if part.norm_order is None else self._gated_norm(part.norm_order)
        self.output = Linear(part.inner_width, config.width, bias=part.output_bias)

    def _gated_norm(self, order: GateOrder) -> GatedNorm:
        part = self.part
        return GatedNorm(part.inner_width, epsilon=part.norm_epsilon, groups=part.norm_groups, order=order)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part, (rows, length, _) = self.part, x.shape
        projected = self.input(x)
        if set(part.scales) != {1.0}:
            scales = np.repeat(np.asarray(part.scales, np.float32), part.parts)
            projected = projected * jnp.asarray(scales, projected.dtype)
        gate, inner, steps = jnp.split(projected, (part.inner_width, -part.heads), -1)
        inner = ACTIVATIONS[part.activation](self.convolution(inner)).astype(projected.dtype).astype(jnp.float32)
        values, taken, given = jnp.split(inner, np.cumsum(part.parts[1:3]), -1)
        values = values.reshape(rows, length, part.heads, part.head_width)
        taken, given = (one.reshape(rows, length, part.groups, part.state_width) for one in (taken, given))
        biased = steps.astype(jnp.float32) + self.step_bias[...].astype(jnp.float32)
        steps = jnp.clip(jax.nn.softplus(biased), part.shortest_step, part.longest_step)
        log_decays = -jnp.exp(self.log_rates[...].astype(jnp.float32)) * steps
        mixed = state_space(values * steps[..., None], log_decays, inputs=taken, outputs=given)
        mixed = mixed + values * self.skip[...].astype(jnp.float32)[:, None]
        mixed = mixed.reshape(rows, length, part.inner_width)
        if self.norm is None:
            return self.output(mixed * jax.nn.silu(gate.astype(jnp.float32)))
        return self.output(self.norm(mixed, gate))
