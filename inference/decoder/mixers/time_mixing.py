"""The mixer of RWKV: a fading average of values, gated."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.linear_attention_settings import TimeMixing
from inference.decoder.recurrences.decaying_average import decaying_average
from inference.decoder.token_shift import TokenShift


class TimeMixer(nnx.Module):
    """The time mixing of RWKV 4 (Peng et al., RWKV, 2023, section 3.1.2).

    Parameters
    ----------
    config
        The decoder; `TimeMixing` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        width, inner = config.width, config.part(TimeMixing).inner_width
        self.key_shift, self.value_shift, self.gate_shift = (TokenShift(width) for _ in range(3))
        self.key, self.value, self.gate = (Linear(width, inner, bias=False) for _ in range(3))
        self.log_rates, self.bonus = (nnx.Param(jnp.zeros((inner,))) for _ in range(2))
        self.output = Linear(inner, width, bias=False)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        averages = decaying_average(
            self.key(self.key_shift(x)).astype(jnp.float32),
            self.value(self.value_shift(x)).astype(jnp.float32),
            log_decays=-jnp.exp(self.log_rates[...].astype(jnp.float32)),
            bonus=self.bonus[...].astype(jnp.float32),
        )
        return self.output(jax.nn.sigmoid(self.gate(self.gate_shift(x)).astype(jnp.float32)) * averages)
