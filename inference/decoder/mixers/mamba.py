"""The mixer of Mamba: a convolution and a selective scan, gated."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear, Norm
from inference.decoder.mixer_settings import Mamba
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.diagonal_recurrence import selective_scan


class MambaMixer(nnx.Module):
    """Selective state space (Gu and Dao, Mamba, 2023, section 3).

    Parameters
    ----------
    config
        The decoder; `Mamba` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(Mamba)
        self.input = Linear(config.width, 2 * part.inner_width, bias=part.bias)
        self.convolution = CausalConvolution(part.inner_width, part.taps, bias=part.convolution_bias)
        self.selection = Linear(part.inner_width, part.step_rank + 2 * part.state_width, bias=False)
        self.step = Linear(part.step_rank, part.inner_width, bias=True)
        self.log_rates = nnx.Param(jnp.zeros((part.inner_width, part.state_width)))
        self.skip = nnx.Param(jnp.zeros((part.inner_width,)))
        self.output = Linear(part.inner_width, config.width, bias=part.bias)
        plain = replace(config, norm="rms", norm_offset=0.0, norm_bias=False, norm_weight=part.selection_norm_weight)

        def norm(width: int) -> Norm | None:
            epsilon = part.selection_norm
            return None if epsilon is None else Norm(replace(plain, norm_epsilon=epsilon), (width,))

        self.step_norm, self.in_norm, self.out_norm = map(norm, (part.step_rank, *(part.state_width,) * 2))

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        part = self.part
        inner, gate = jnp.split(self.input(x), 2, -1)
        kind = inner.dtype
        inner = ACTIVATIONS[part.activation](self.convolution(inner)).astype(kind)
        chosen = jnp.split(self.selection(inner), (part.step_rank, part.step_rank + part.state_width), -1)
        norms = (self.step_norm, self.in_norm, self.out_norm)
        step, taken, given = (one if norm is None else norm(one) for one, norm in zip(chosen, norms, strict=True))
        values = inner.astype(jnp.float32)
        scanned = selective_scan(
            values,
            jax.nn.softplus(self.step(step).astype(jnp.float32)),
            -jnp.exp(self.log_rates[...].astype(jnp.float32)),
            inputs=taken.astype(jnp.float32),
            outputs=given.astype(jnp.float32),
        )
        scanned = scanned + values * self.skip[...].astype(jnp.float32)
        return self.output(scanned * jax.nn.silu(gate.astype(jnp.float32)))
