"""The mixer of RecurrentGemma: a convolution and a real-gated linear recurrent unit, gated."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear
from inference.decoder.mixer_settings import GatedLinearUnit
from inference.decoder.recurrences.causal_convolution import CausalConvolution
from inference.decoder.recurrences.diagonal_recurrence import diagonal_recurrence

# The constant c of the paper.
SHARPNESS = 8.0


class BlockLinear(nnx.Module):
    """A linear map of every block of channels for itself.

    Parameters
    ----------
    blocks, width
        Number of blocks, and width of each.
    """

    def __init__(self, blocks: int, width: int) -> None:
        # Unlike other maps these lie as [block, in, out].
        self.weight = nnx.Param(jnp.zeros((blocks, width, width)))
        self.bias = nnx.Param(jnp.zeros((blocks, width)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [row, position, channel] to the same; the result is float32."""
        weight = self.weight[...]
        x = x.astype(weight.dtype).reshape(*x.shape[:-1], *weight.shape[:2])
        y = jnp.einsum("bthi,hio->btho", x, weight, preferred_element_type=jnp.float32)
        return (y + self.bias[...].astype(jnp.float32)).reshape(*y.shape[:2], -1)


class GatedLinearUnitMixer(nnx.Module):
    """Real-gated linear recurrent unit (De et al., Griffin, 2024, section 2.4).

    Parameters
    ----------
    config
        The decoder; `GatedLinearUnit` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        part = config.part(GatedLinearUnit)
        self.activation = config.activation
        self.gate = Linear(config.width, part.inner_width, bias=True)
        self.input = Linear(config.width, part.inner_width, bias=True)
        self.convolution = CausalConvolution(part.inner_width, part.taps, bias=True)
        self.input_gate = BlockLinear(part.blocks, part.inner_width // part.blocks)
        self.decay_gate = BlockLinear(part.blocks, part.inner_width // part.blocks)
        self.decay = nnx.Param(jnp.zeros((part.inner_width,)))
        self.output = Linear(part.inner_width, config.width, bias=True)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        opened = ACTIVATIONS[self.activation](self.gate(x).astype(jnp.float32))
        convolved = self.convolution(self.input(x))
        rate = jax.nn.softplus(self.decay[...].astype(jnp.float32))
        log_decays = -SHARPNESS * jax.nn.sigmoid(self.decay_gate(convolved)) * rate
        # 1 - a^2, which is lost in rounding where a is close to one.
        kept = jnp.sqrt(-jnp.expm1(2 * log_decays))
        # The first position has no state before it, so that it enters whole.
        kept = kept.at[:, 0].set(1.0)
        states = diagonal_recurrence(jnp.exp(log_decays), convolved * jax.nn.sigmoid(self.input_gate(convolved)) * kept)
        return self.output(states * opened)
