"""The mixer of Mamba: a convolution and a selective scan, gated."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import Activation, DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear, Norm
from inference.decoder.part_checks import check_positive, check_sizes
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.diagonal_recurrence import selective_scan


@dataclass(frozen=True)
class Mamba:
    """Settings of the mixer.

    Attributes
    ----------
    inner_width, state_width, step_rank
        Channels that are scanned, numbers of state of each, and width that step lengths are made of.
    taps
        Positions that a convolution reaches, its own included.
    bias, convolution_bias
        Whether the maps in and out have a bias, and the convolution.
    selection_norm, selection_norm_weight
        Epsilon of root-mean-square norms on what steps, inputs and outputs of the state are made of, None for no such
        norms; whether they have weights.
    activation
        After the convolution.
    """

    inner_width: int
    state_width: int
    step_rank: int
    taps: int
    bias: bool = False
    convolution_bias: bool = True
    selection_norm: float | None = None
    selection_norm_weight: bool = False
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        check_sizes(self, "inner_width", "state_width", "step_rank", "taps")
        if self.selection_norm is not None:
            check_positive(self, "selection_norm")


class MambaMixer(nnx.Module):
    """Selective state space (Gu and Dao, Mamba, 2023, section 3).

    Parameters
    ----------
    config
        The decoder; `Mamba` is among its parts.
    """

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
