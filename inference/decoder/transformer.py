"""A decoder-only transformer: one module for every family."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.block import Block
from inference.decoder.configuration import DecoderConfig
from inference.decoder.final_norm import FinalNorm
from inference.decoder.halving import Halving
from inference.decoder.head_transform import HeadTransform
from inference.decoder.layer_inputs import layer_inputs
from inference.decoder.layer_plan import BlockKind, LayerRun
from inference.decoder.layers import ACTIVATIONS, LayerInputs, Linear, Norm, held_in_place
from inference.decoder.sinusoids import sinusoids


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


def _stacked(config: DecoderConfig, run: LayerRun) -> Any:
    """Make the blocks of a run, one for each place of its unit, stacked over repeats."""

    def one(kind: BlockKind) -> Block:
        return nnx.vmap(lambda _: Block(config, kind), in_axes=0, out_axes=0)(jnp.arange(run.repeats))

    return nnx.List([one(kind) for kind in run.unit])


def _through_run(run: LayerRun, unit: Any, x: jax.Array, inputs: Callable[[jax.Array], LayerInputs]) -> jax.Array:
    """Pass hidden states through the layers of a run; `inputs` are those of a layer by its number."""
    graph, weights = nnx.split(unit)

    def through(state: tuple[jax.Array, Any], repeat: jax.Array) -> tuple[tuple[jax.Array, Any], None]:
        x, weights = state
        weights = held_in_place(weights)
        of_repeat = jax.tree.map(lambda stacked: jax.lax.dynamic_index_in_dim(stacked, repeat, keepdims=False), weights)
        for place, block in enumerate(nnx.merge(graph, of_repeat)):
            x = block(x, inputs(run.first + repeat * len(run.unit) + place))
        return (x, weights), None

    return jax.lax.scan(through, (x, weights), jnp.arange(run.repeats))[0][0]


class Decoder(nnx.Module):
    """Token ids to hidden states, and hidden states to logits.

    A new decoder holds zeros: `inference.checkpoints.weights.load_decoder` fills it from a checkpoint.

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
        # The blocks of a run lie stacked in one, so that one compiled body serves any depth.
        self.blocks = nnx.List([_stacked(config, run) for run in config.layer_plan])
        self.halving = next((part for part in config.parts if isinstance(part, Halving)), None)
        final = next((part for part in config.parts if isinstance(part, FinalNorm)), None)
        epsilon = None if final is None else final.epsilon
        self.final_norm = Norm(config, (config.width,), epsilon=epsilon) if config.final_norm else None
        transform = next((part for part in config.parts if isinstance(part, HeadTransform)), None)
        self.head_activation = None if transform is None else ACTIVATIONS[transform.activation]
        self.head_map = None if transform is None else Linear(config.width, config.width, bias=transform.bias)
        self.head_norm = None if transform is None else Norm(config, (config.width,))
        self.head = None if config.tied else Linear(inner, config.vocabulary, bias=False)
        # Some families keep the head's bias when its weight is the embedding.
        self.head_bias = nnx.Param(jnp.zeros((config.vocabulary,))) if config.head_bias else None

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
        rows, length = tokens.shape
        lengths = jnp.full((rows,), length) if lengths is None else lengths
        x, inputs = self.embed(tokens), layer_inputs(self.config, lengths, length)
        for run, unit in zip(self.config.layer_plan, self.blocks, strict=True):
            x = _through_run(run, unit, x, inputs)
        return self.finish(x)

    def embed(self, tokens: jax.Array) -> jax.Array:
        """Return what the first block is given of token ids [row, position]: [row, position, width], float32."""
        config = self.config
        # The reference rounds the scale to the type of the weights.
        x = self.embedding(tokens) * jnp.asarray(config.embedding_scale, self.embedding.weight[...].dtype)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x.astype(jnp.float32)
        if self.positions is not None:
            x = x + self.positions(jnp.arange(tokens.shape[1]) + config.position_offset).astype(jnp.float32)
        if config.position == "sinusoidal":
            steps = config.sinusoid_steps
            x = x + sinusoids(tokens.shape[1], config.width, first=config.position_offset, steps=steps)
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def finish(self, x: jax.Array) -> jax.Array:
        """Return the hidden states before the head of what the last block gives, [row, position, width] both."""
        kind = self.head_part().weight[...].dtype
        x = x if self.halving is None else self.halving.after(x, self.config.depth)
        x = x if self.final_norm is None else self.final_norm(x)
        x = x.astype(kind)
        if self.head_map is not None and self.head_norm is not None and self.head_activation is not None:
            x = self.head_norm(self.head_activation(self.head_map(x).astype(jnp.float32))).astype(kind)
        return x if self.project_out is None else self.project_out(x)

    def head_part(self) -> "Head":
        """Return the part that turns hidden states into logits."""
        return Head(self.config, (self.embedding if self.head is None else self.head).weight, self.head_bias)

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
        return self.head_part()(hidden)


class Head(nnx.Module):
    """Hidden states to logits; shares the decoder's weights.

    Parameters
    ----------
    config
        The decoder.
    weight, bias
        Its weight, [vocabulary, width], and bias, [vocabulary].
    """

    def __init__(self, config: DecoderConfig, weight: nnx.Param, bias: nnx.Param | None) -> None:
        self.scale, self.softcap = config.logit_scale, config.logit_softcap
        self.weight, self.bias = weight, bias

    def __call__(self, hidden: jax.Array, *, begin: jax.Array | int = 0, count: int | None = None) -> jax.Array:
        """Compute logits of `count` tokens of the vocabulary from `begin` on, [..., count]; all by default."""
        weight, bias = self.weight[...], None if self.bias is None else self.bias[...]
        if count is not None:
            weight = jax.lax.dynamic_slice_in_dim(weight, begin, count)
            bias = None if bias is None else jax.lax.dynamic_slice_in_dim(bias, begin, count)
        contracted = (((hidden.ndim - 1,), (1,)), ((), ()))
        y = jax.lax.dot_general(hidden, weight, contracted, preferred_element_type=jnp.float32)
        if bias is not None:
            y = y + bias.astype(jnp.float32)
        if self.scale != 1.0:
            y = y * self.scale
        return y if self.softcap is None else self.softcap * jnp.tanh(y / self.softcap)
