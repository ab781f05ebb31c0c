"""The mixer of LFM2: a short convolution between two gates."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.mixer_settings import ShortConvolution
from inference.decoder.recurrences.causal_convolution import CausalConvolution


class ShortConvolutionMixer(nnx.Module):
    """Gate, convolve, gate.

    Parameters
    ----------
    config
        The decoder; `ShortConvolution` is among its parts.
    """

    between_positions = "state"

    def __init__(self, config: DecoderConfig) -> None:
        part = config.part(ShortConvolution)
        self.input = Linear(config.width, 3 * config.width, bias=part.bias)
        self.convolution = CausalConvolution(config.width, part.taps, bias=part.bias)
        self.output = Linear(config.width, config.width, bias=part.bias)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Mix [row, position, width]."""
        before, after, values = jnp.split(self.input(x), 3, -1)
        return self.output(after.astype(jnp.float32) * self.convolution(before * values))
