"""The mixer of xLSTM: a matrix memory with exponential gates, normed by head and gated."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear, Norm
from inference.decoder.linear_attention_settings import MatrixMemory
from inference.decoder.recurrences.matrix_memory import matrix_memory


class MatrixMemoryMixer(nnx.Module):
    """The mLSTM layer of xLSTM 7B (Beck et al., xLSTM 7B, 2025, section 3).

    Parameters
    ----------
    config
        The decoder; `MatrixMemory` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(MatrixMemory)
        keys, values = part.heads * part.key_width, part.heads * part.value_width
        self.query, self.key = (Linear(config.width, keys, bias=False) for _ in range(2))
        self.value, self.gate = (Linear(config.width, values, bias=False) for _ in range(2))
        self.input_gate, self.forget_gate = (Linear(config.width, part.heads, bias=True) for _ in range(2))
        plain = replace(config, norm="layer", norm_weight=False)
        self.head_norm = Norm(plain, (part.value_width,), epsilon=part.norm_epsilon)
        self.norm_weight = nnx.Param(jnp.zeros((values,)))
        self.output = Linear(values, config.width, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part, (rows, length, _) = self.part, x.shape
        queries, keys, values = (
            one(x).astype(jnp.float32).reshape(rows, length, part.heads, -1)
            for one in (self.query, self.key, self.value)
        )
        log_inputs, forgetting = (self._capped(gate(x)) for gate in (self.input_gate, self.forget_gate))
        found = matrix_memory(
            queries * part.key_width**-0.5,
            keys,
            values,
            log_inputs=log_inputs,
            log_decays=jax.nn.log_sigmoid(forgetting),
            epsilon=part.epsilon,
        )
        normed = self.head_norm(found).reshape(rows, length, -1) * self.norm_weight[...].astype(jnp.float32)
        return self.output(jax.nn.sigmoid(self.gate(x).astype(jnp.float32)) * normed)

    def _capped(self, x: jax.Array) -> jax.Array:
        bound = self.part.gate_softcap
        return bound * jnp.tanh(x.astype(jnp.float32) / bound)
