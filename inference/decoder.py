"""A decoder-only transformer: one module for every family."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from inference.attention import alibi_bias
from inference.config import DecoderConfig
from inference.layers import Block, LayerInputs, Linear, Norm
from inference.rope import rotation_tables


class Embedding(nnx.Module):
    """Rows looked up by number.

    Parameters
    ----------
    rows, width
        Shape of the table.
    """

    def __init__(self, rows: int, width: int) -> None:
        self.weight = nnx.Param(jnp.zeros((rows, width)))

    def __call__(self, numbers: jax.Array) -> jax.Array:
        """Return rows [..., width]."""
        return self.weight[...].at[numbers].get(mode="clip")


class Decoder(nnx.Module):
    """Token ids to hidden states, and hidden states to logits.

    A new decoder holds zeros: `inference.weights.load_decoder` fills it from a checkpoint.

    Parameters
    ----------
    config
        What the decoder is made of.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        inner = config.embedding_width or config.width
        learned = config.position == "learned"
        self.embedding = Embedding(config.vocabulary, inner)
        self.positions = Embedding(config.max_length + config.position_offset, config.width) if learned else None
        self.embedding_norm = Norm(config, (config.width,)) if config.embedding_norm else None
        self.project_in = Linear(inner, config.width, bias=False) if inner != config.width else None
        self.project_out = Linear(config.width, inner, bias=False) if inner != config.width else None
        # All blocks lie stacked in one, so that one compiled body serves any depth.
        self.blocks = nnx.vmap(lambda _: Block(config), in_axes=0, out_axes=0)(jnp.arange(config.depth))
        self.final_norm = Norm(config, (config.width,)) if config.final_norm else None
        self.head = None if config.tied else Linear(inner, config.vocabulary, bias=config.head_bias)

    def __call__(self, tokens: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
        """Compute hidden states.

        Parameters
        ----------
        tokens
            Token ids, [row, position], padded on the right with any id.
        lengths
            Number of ids of each row that are text, [row]; all by default. Only rope scaling that depends on a text's
            length reads it: attention is causal, so padding on the right reaches nothing.

        Returns
        -------
        jax.Array
            Hidden states before the head, [row, position, width], in the type of the weights.
        """
        config = self.config
        rows, length = tokens.shape
        lengths = jnp.full((rows,), length) if lengths is None else lengths
        kind = self.embedding.weight[...].dtype
        # The reference rounds the scale to the type of the weights.
        x = self.embedding(tokens) * jnp.asarray(config.embedding_scale, kind)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x.astype(jnp.float32)
        if self.positions is not None:
            x = x + self.positions(jnp.arange(length) + config.position_offset).astype(jnp.float32)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        x = self._through_blocks(x, lengths)
        x = x if self.final_norm is None else self.final_norm(x)
        x = x.astype(kind)
        return x if self.project_out is None else self.project_out(x)

    def _through_blocks(self, x: jax.Array, lengths: jax.Array) -> jax.Array:
        config, length = self.config, x.shape[1]
        cosines = sines = key_bias = None
        if config.position == "rope":
            tables = rotation_tables(config.ropes, length, lengths, unrotated=-1 in config.layer_rope)
            cosines, sines = tables
        if config.position == "alibi":
            bias = alibi_bias(config.heads, length, rounded=config.alibi_rounded)
            shape = (config.key_value_heads, config.heads_per_group, length)
            key_bias = jnp.asarray(bias.reshape(shape) * np.float32(config.scale if config.alibi_scaled else 1.0))
        graph, weights = nnx.split(self.blocks)

        def through(x: jax.Array, layer: tuple) -> tuple[jax.Array, None]:
            own, window, rope, scale = layer
            turns = (None, None) if cosines is None or sines is None else (cosines[rope], sines[rope])
            return nnx.merge(graph, own)(x, LayerInputs(*turns, window, key_bias, scale)), None

        return jax.lax.scan(through, x, (weights, *self._layer_numbers(length)))[0]

    def _layer_numbers(self, length: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return each layer's window, rotary table and attention scale."""
        config = self.config
        windows = np.asarray(config.layer_window or (0,) * config.depth)
        # The last table is the one that rotates nothing, which is what -1 names.
        ropes = np.asarray(config.layer_rope or (0,) * config.depth) % (
            len(config.ropes) + (-1 in config.layer_rope) or 1
        )
        scales = np.full(config.depth, config.scale, np.float32)
        if config.inverse_layer_scale:
            scales /= np.arange(1, config.depth + 1, dtype=np.float32)
        return jnp.asarray(np.where(windows == 0, length, windows)), jnp.asarray(ropes), jnp.asarray(scales)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Compute logits.

        Parameters
        ----------
        hidden
            Hidden states, [..., width], as `__call__` returns them.

        Returns
        -------
        jax.Array
            Unnormalised log-probabilities of the next token, [..., vocabulary], float32.
        """
        config = self.config
        weight = (self.embedding if self.head is None else self.head).weight[...]
        contracted = (((hidden.ndim - 1,), (1,)), ((), ()))
        y = jax.lax.dot_general(hidden, weight, contracted, preferred_element_type=jnp.float32)
        if self.head is not None and self.head.bias is not None:
            y = y + self.head.bias[...].astype(jnp.float32)
        if config.logit_scale != 1.0:
            y = y * config.logit_scale
        return y if config.logit_softcap is None else config.logit_softcap * jnp.tanh(y / config.logit_softcap)
