"""Attention with one gate for each head's results."""

import jax
import jax.numpy as jnp

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import LayerInputs, Linear
from inference.decoder.mixers.attention import Attention
from inference.decoder.mixers.latent_attention import LatentAttentionMixer


class HeadGate(Linear):
    """A logistic gate on each head (Qiu et al., Gated Attention, 2025, section 2.2).

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config.width, config.heads, bias=False)

    def on(self, mixed: jax.Array, x: jax.Array) -> jax.Array:
        """Gate what heads attended to, [row, position, heads x width], by hidden states; the result is float32."""
        opened = jax.nn.sigmoid(self(x).astype(jnp.float32))[..., None]
        by_head = mixed.astype(jnp.float32).reshape(*opened.shape[:-1], -1)
        return (by_head * opened).reshape(mixed.shape)


class HeadGatedAttention(Attention):
    """Attention with a gate on each head.

    Parameters
    ----------
    config
        The decoder.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.gate = HeadGate(config)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        return self.output(self.gate.on(self.attended(x, inputs), x))


class HeadGatedLatentAttention(LatentAttentionMixer):
    """Multi-head latent attention with a gate on each head.

    Parameters
    ----------
    config
        The decoder, with what `inference.decoder.mixers.latent_attention.LatentAttentionMixer` needs.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.gate = HeadGate(config)

    def __call__(self, x: jax.Array, inputs: LayerInputs) -> jax.Array:
        """Attend: [row, position, width] to the same."""
        return self.output(self.gate.on(self.attended(x, inputs), x))
