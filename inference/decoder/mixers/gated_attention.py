"""Attention whose heads' results are gated before they are joined."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.head_settings import OutputGate
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.mixers.attention import Attention

GATES: dict[str, Callable[[jax.Array], jax.Array]] = {"sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus}


class GatedAttention(Attention):
    """Attention with a gate on every number of its heads (Qiu et al., Gated Attention, 2025, section 2.2).

    Parameters
    ----------
    config
        The decoder. Without an `inference.decoder.head_settings.OutputGate` among its parts the gate is logistic, with
        a bias where queries have one.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        stated = config.optional_part(OutputGate)
        self.opening = stated or OutputGate()
        width = config.heads * (1 if self.opening.by_head else config.head_width)
        self.gate = Linear(config.width, width, bias=config.query_bias and stated is None)
        self.gate_bias = nnx.Param(jnp.zeros(config.heads)) if self.opening.head_bias else None

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        mixed = self.attended(x, inputs).astype(jnp.float32)
        gate = self.gate(x).astype(jnp.float32).reshape(*x.shape[:2], self.config.heads, -1)
        if self.gate_bias is not None:
            gate = gate + self.gate_bias[...].astype(jnp.float32)[:, None]
        opened = GATES[self.opening.activation](gate)
        return self.output((mixed.reshape(*x.shape[:2], self.config.heads, -1) * opened).reshape(mixed.shape))
