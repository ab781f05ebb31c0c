"""Several streams of hidden states, of which each block computes with the first and corrects the others."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.handed_on import STREAMS, Handed
from inference.decoder.layers import Linear, Norm
from inference.decoder.stream_settings import AlternatingUpdates

SMALLEST_SQUARE = 1e-5


def as_streams(config: DecoderConfig, handed: Handed) -> jax.Array:
    """Return all streams of what is handed on, [row, position, stream, width], the first one first."""
    others = handed.beside[STREAMS].reshape(*handed.x.shape[:2], -1, config.width)
    return jnp.concatenate([handed.x[..., None, :], others], -2)


def _handed(handed: Handed, streams: jax.Array) -> Handed:
    others = streams[..., 1:, :].reshape(*streams.shape[:2], -1)
    return Handed(streams[..., 0, :], {**handed.beside, STREAMS: others})


class StreamUpdates(nnx.Module):
    """What a block does with streams: it predicts each, computes with the first, and corrects all by what came of it.

    Parameters
    ----------
    config
        The decoder; `AlternatingUpdates` is among its parts.

    Notes
    -----
    Baykal et al., Alternating Updates for Efficient Transformers, 2023, with coefficients by position as Gemma 3n has
    them.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config, part = config, config.part(AlternatingUpdates)
        streams, self.scaled = part.streams, part.scaled
        self.router_norm = Norm(config, (config.width,))
        self.router = Linear(config.width, streams, bias=False)
        self.prediction = Linear(streams, streams * streams, bias=False)
        self.correction = Linear(streams, streams, bias=False)
        # Checkpoints hold it whether or not it is used.
        self.output_scale = nnx.Param(jnp.zeros((config.width,)))

    def _routed(self, x: jax.Array) -> jax.Array:
        return jnp.tanh(self.router(self.router_norm(x) / self.config.width).astype(jnp.float32))

    def predicted(self, handed: Handed) -> Handed:
        """Predict every stream from all of them."""
        streams = as_streams(self.config, handed)
        coefficients = self.prediction(self._routed(handed.x)).astype(jnp.float32)
        coefficients = coefficients.reshape(*streams.shape[:3], -1)
        return _handed(handed, streams + jnp.einsum("btij,btjd->btid", coefficients, streams))

    def corrected(self, predicted: Handed, x: jax.Array) -> Handed:
        """Correct all streams by how far what came of the first, `x`, is from its prediction."""
        gains = self.correction(self._routed(x)).astype(jnp.float32) + 1
        change = gains[..., None] * (x - predicted.x)[..., None, :]
        return _handed(predicted, as_streams(self.config, predicted) + change)

    def gating(self, handed: Handed) -> jax.Array:
        """Return what gates the embeddings of the layer, [row, position, width]."""
        return handed.x * self.output_scale[...].astype(jnp.float32) if self.scaled else handed.x

    def added(self, handed: Handed, change: jax.Array) -> Handed:
        """Add to every stream but the first."""
        others = as_streams(self.config, handed)[..., 1:, :] + change[..., None, :]
        return Handed(handed.x, {**handed.beside, STREAMS: others.reshape(*change.shape[:2], -1)})


class StreamMaps(nnx.Module):
    """The linear maps between the first stream and the others.

    Parameters
    ----------
    config
        The decoder; `AlternatingUpdates` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.weight = nnx.Param(jnp.zeros((config.part(AlternatingUpdates).streams - 1, config.width, config.width)))

    def split(self, x: jax.Array) -> jax.Array:
        """Return the other streams that begin with hidden states [row, position, width], side by side."""
        return self._as_large(jnp.broadcast_to(x[..., None, :], self._shape(x)), x).reshape(*x.shape[:2], -1)

    def joined(self, handed: Handed) -> jax.Array:
        """Return the mean of all streams, the others mapped back, [row, position, width]."""
        others = self._as_large(handed.beside[STREAMS].reshape(self._shape(handed.x)), handed.x)
        return jnp.concatenate([handed.x[..., None, :], others], -2).mean(-2)

    def _shape(self, x: jax.Array) -> tuple[int, ...]:
        return (*x.shape[:2], self.weight.shape[0], x.shape[-1])

    def _as_large(self, streams: jax.Array, x: jax.Array) -> jax.Array:
        """Map streams [row, position, stream, width], and make each as large as hidden states at its position."""
        weight = self.weight[...]
        mapped = jnp.einsum("btsi,soi->btso", streams.astype(weight.dtype), weight, preferred_element_type=jnp.float32)
        mapped = mapped.astype(weight.dtype).astype(jnp.float32)
        wanted = jnp.sqrt(jnp.mean(x * x, -1, keepdims=True))[..., None, :]
        found = jnp.sqrt(jnp.maximum(jnp.mean(mapped * mapped, -1, keepdims=True), SMALLEST_SQUARE))
        return mapped * wanted / found
