"""The mixer of Kimi delta attention: a convolution and a memory whose channels decay apart, normed and gated."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear
from inference.decoder.linear_attention_settings import KimiDelta
from inference.decoder.mixers.gated_delta import unit_length
from inference.decoder.mixers.gated_norm import GatedNorm
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.channel_delta_rule import channel_delta_rule


class KimiDeltaMixer(nnx.Module):
    """Kimi delta attention (Kimi Team, Kimi Linear, 2025, section 3).

    Parameters
    ----------
    config
        The decoder; `KimiDelta` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(KimiDelta)
        self.mixed = Linear(config.width, 3 * part.inner_width, bias=False)
        self.convolution = CausalConvolution(3 * part.inner_width, part.taps, bias=False)
        self.decay_down, self.gate_down = (
            Linear(config.width, part.head_width, bias=False) if part.narrow else None for _ in range(2)
        )
        narrow = part.head_width if part.narrow else config.width
        self.decay_up, self.gate_up = (Linear(narrow, part.inner_width, bias=False) for _ in range(2))
        self.step_bias = nnx.Param(jnp.zeros((part.inner_width,)))
        self.log_rates = nnx.Param(jnp.zeros((part.heads,)))
        self.strength = Linear(config.width, part.heads, bias=False)
        self.norm = GatedNorm(part.head_width, epsilon=part.norm_epsilon, order="after", gate="sigmoid")
        self.output = Linear(part.inner_width, config.width, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part, (rows, length, _) = self.part, x.shape
        projected = self.mixed(x)
        mixed = ACTIVATIONS[part.activation](self.convolution(projected)).astype(projected.dtype).astype(jnp.float32)
        by_head = (rows, length, part.heads, part.head_width)
        queries, keys, values = (one.reshape(by_head) for one in jnp.split(mixed, 3, -1))
        decays = self.decay_up(x if self.decay_down is None else self.decay_down(x))
        decays = decays.astype(jnp.float32) + self.step_bias[...].astype(jnp.float32)
        found = channel_delta_rule(
            unit_length(queries) * part.head_width**-0.5,
            unit_length(keys),
            values,
            log_decays=self._log_decays(decays.reshape(by_head)),
            strengths=jax.nn.sigmoid(self.strength(x).astype(jnp.float32)),
        )
        gate = self.gate_up(x if self.gate_down is None else self.gate_down(x)).reshape(by_head)
        return self.output(self.norm(found, gate).reshape(rows, length, -1))

    def _log_decays(self, x: jax.Array) -> jax.Array:
        rates = jnp.exp(self.log_rates[...].astype(jnp.float32))[:, None]
        lowest = self.part.lowest
        return -rates * jax.nn.softplus(x) if lowest is None else lowest * jax.nn.sigmoid(rates * x)
