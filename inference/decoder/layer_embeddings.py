"""Embeddings that each layer has besides: a table for all layers, and the gate through which a layer adds its own."""

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layers import ACTIVATIONS, Embedding, Linear, Norm
from inference.decoder.stream_settings import LayerEmbeddings


class LayerTable(nnx.Module):
    """What the layers are given of a token: rows of a table, and a map of its hidden states.

    Parameters
    ----------
    config
        The decoder; `LayerEmbeddings` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.part = part = config.part(LayerEmbeddings)
        self.table = Embedding(part.vocabulary, config.depth * part.width)
        self.project = Linear(config.width, config.depth * part.width, bias=False)
        self.norm = Norm(config, (part.width,))

    def numbers(self, tokens: jax.Array) -> jax.Array:
        """Return which rows token ids have."""
        return jnp.where((tokens >= 0) & (tokens < self.part.vocabulary), tokens, 0)

    def __call__(self, x: jax.Array, rows: jax.Array) -> jax.Array:
        """Return the embeddings of all layers side by side, float32.

        Parameters
        ----------
        x
            What the first block is given, [row, position, width].
        rows
            Rows of the table, [row, position, width of all layers].
        """
        shape = (*x.shape[:2], -1, self.part.width)
        # The reference rounds the scale to the type of the weights.
        scale = jnp.asarray(self.part.width**0.5, self.project.weight[...].dtype)
        projected = self.norm((self.project(x).astype(jnp.float32) * x.shape[-1] ** -0.5).reshape(shape))
        found = (rows * scale.astype(jnp.float32)).reshape(shape)
        return ((projected + found) * 2**-0.5).reshape(rows.shape)


class LayerGate(nnx.Module):
    """What a block adds of the embedding of its layer.

    Parameters
    ----------
    config
        The decoder; `LayerEmbeddings` is among its parts.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.width, self.activation = config.part(LayerEmbeddings).width, config.activation
        self.gate = Linear(config.width, self.width, bias=False)
        self.project = Linear(self.width, config.width, bias=False)
        self.norm = Norm(config, (config.width,))

    def __call__(self, x: jax.Array, embeddings: jax.Array, layer: jax.Array | int) -> jax.Array:
        """Return what is added, float32.

        Parameters
        ----------
        x
            What the gate is computed from, [row, position, width].
        embeddings
            Those of all layers, [row, position, width of all layers].
        layer
            Number of the layer, from 0.
        """
        embedding = jax.lax.dynamic_slice_in_dim(embeddings, layer * self.width, self.width, axis=-1)
        opened = ACTIVATIONS[self.activation](self.gate(x).astype(jnp.float32))
        return self.norm(self.project(opened * embedding))
