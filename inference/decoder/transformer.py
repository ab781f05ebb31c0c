"""A decoder-only transformer: one module for every family."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.alternating_updates import StreamMaps
from inference.decoder.block import Block
from inference.decoder.configuration import DecoderConfig
from inference.decoder.final_norm import FinalNorm
from inference.decoder.halving import Halving
from inference.decoder.handed_on import EMBEDDINGS, STREAMS, Handed, widths_beside
from inference.decoder.head_transform import HeadTransform
from inference.decoder.layer_embeddings import LayerTable
from inference.decoder.layer_inputs import layer_inputs
from inference.decoder.layer_plan import BlockKind, LayerRun
from inference.decoder.layers import (
    ACTIVATIONS,
    FIRST_STATES,
    Embedding,
    LayerInputs,
    Linear,
    Norm,
    held_in_place,
)
from inference.decoder.shared_parts import shared_parts
from inference.decoder.sinusoids import sinusoids
from inference.decoder.stream_settings import LayerEmbeddings


def _stacked(config: DecoderConfig, run: LayerRun) -> Any:
    """Make the blocks of a run, one for each place of its unit, stacked over repeats."""

    def one(kind: BlockKind) -> Block:
        return nnx.vmap(lambda _: Block(config, kind), in_axes=0, out_axes=0)(jnp.arange(run.repeats))

    return nnx.List([one(kind) for kind in run.unit])


def _through_run(
    run: LayerRun, unit: Any, handed: Handed, inputs: Callable[[jax.Array], LayerInputs], *, shared: Any
) -> Handed:
    """Pass what is handed on through the layers of a run; `inputs` are those of a layer by its number."""
    (graph, stacks), (shared_graph, common) = nnx.split(unit), nnx.split(shared)

    def through(state: tuple[Handed, Any], repeat: jax.Array) -> tuple[tuple[Handed, Any], None]:
        handed, weights = state
        weights = stacks, common = held_in_place(weights)
        of_repeat = jax.tree.map(lambda stacked: jax.lax.dynamic_index_in_dim(stacked, repeat, keepdims=False), stacks)
        parts = dict(enumerate(nnx.merge(shared_graph, common)))
        for place, block in enumerate(nnx.merge(graph, of_repeat)):
            of_layer = inputs(run.first + repeat * len(run.unit) + place)
            handed = block(handed, of_layer._replace(shared=parts.get(run.unit[place].memory)))
        return (handed, weights), None

    return jax.lax.scan(through, (handed, (stacks, common)), jnp.arange(run.repeats))[0][0]


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
        self.layer_table = LayerTable(config) if config.optional_part(LayerEmbeddings) else None
        self.streams = StreamMaps(config) if STREAMS in widths_beside(config) else None
        # The blocks of a run lie stacked in one, so that one compiled body serves any depth.
        self.blocks = nnx.List([_stacked(config, run) for run in config.layer_plan])
        self.shared = nnx.List(shared_parts(config))
        self.streams_back = StreamMaps(config) if self.streams is not None else None
        self.halving = config.optional_part(Halving)
        final = config.optional_part(FinalNorm)
        epsilon = None if final is None else final.epsilon
        self.final_norm = Norm(config, (config.width,), epsilon=epsilon) if config.final_norm else None
        transform = config.optional_part(HeadTransform)
        self.head_activation = None if transform is None else ACTIVATIONS[transform.activation]
        self.head_map = None if transform is None else Linear(config.width, config.width, bias=transform.bias)
        self.head_norm = None if transform is None else Norm(config, (config.width,))
        self.head = None if config.tied else Linear(inner, config.vocabulary, bias=False)
        # Some families keep the head's bias when its weight is the embedding.
        self.head_bias = nnx.Param(jnp.zeros((config.vocabulary,))) if config.head_bias else None

    def __call__(
        self, tokens: jax.Array, lengths: jax.Array | None = None, positions: jax.Array | None = None
    ) -> jax.Array:
        """Compute hidden states.

        Parameters
        ----------
        tokens
            Token ids, [row, position], padded on the right with any id.
        lengths
            Number of ids of each row that are text, [row]; all by default. Only rope scaling that depends on a text's
            length reads it: attention is causal, so padding on the right reaches nothing. Where rows hold several texts
            that of each position's text, [row, position].
        positions
            Number of each position within its text, from 0, [row, position], where rows hold several texts, which only
            decoders may be given whose mixers are all in `inference.decoder.mixers.ROW_SHARING`.

        Returns
        -------
        jax.Array
            Hidden states before the head, [row, position, width], in the type of the weights.
        """
        rows, length = tokens.shape
        lengths = jnp.full((rows,), length) if lengths is None else lengths
        handed = self.embed(tokens, positions=positions)
        inputs = layer_inputs(self.config, lengths, length, positions=positions)
        for run, unit in zip(self.config.layer_plan, self.blocks, strict=True):
            handed = _through_run(run, unit, handed, inputs, shared=self.shared)
        return self.finish(handed)

    def embed(self, tokens: jax.Array, rows: jax.Array | None = None, *, positions: jax.Array | None = None) -> Handed:
        """Compute what the first block is given.

        Parameters
        ----------
        tokens
            Token ids, [row, position].
        rows
            What `layer_rows` gives of them where the table of embeddings of layers is not at hand.
        positions
            As in `__call__`.

        Returns
        -------
        Handed
            Hidden states and what is beside them; what no layer has handed on yet is zero.
        """
        x = self._embedded(tokens, positions)
        shape, widths = x.shape[:2], widths_beside(self.config)
        beside = {name: jnp.zeros((*shape, width)) for name, width in widths.items()}
        if self.layer_table is not None:
            beside[EMBEDDINGS] = self.layer_table(x, self.layer_rows(tokens) if rows is None else rows)
        if FIRST_STATES in beside:
            beside[FIRST_STATES] = x
        if self.streams is not None:
            beside[STREAMS] = self.streams.split(x)
        return Handed(x, beside)

    def layer_rows(self, tokens: jax.Array, first: jax.Array | int = 0) -> jax.Array:
        """Return rows of the table of embeddings of layers, float32, that begins with the row `first`."""
        assert self.layer_table is not None
        return self.layer_table.table(self.layer_table.numbers(tokens) - first).astype(jnp.float32)

    def _embedded(self, tokens: jax.Array, positions: jax.Array | None) -> jax.Array:
        """Return the hidden states before the first block, [row, position, width], float32."""
        config = self.config
        # The reference rounds the scale to the type of the weights.
        x = self.embedding(tokens) * jnp.asarray(config.embedding_scale, self.embedding.weight[...].dtype)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x.astype(jnp.float32)
        if self.positions is not None:
            places = jnp.arange(tokens.shape[1]) if positions is None else positions
            x = x + self.positions(places + config.position_offset).astype(jnp.float32)
        if config.position == "sinusoidal":
            steps = config.sinusoid_steps
            table = sinusoids(tokens.shape[1], config.width, first=config.position_offset, steps=steps)
            x = x + (table if positions is None else jnp.asarray(table)[positions])
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def finish(self, handed: Handed) -> jax.Array:
        """Return the hidden states before the head, [row, position, width], of what the last block gives."""
        kind = self.head_part().weight[...].dtype
        x = handed.x if self.streams_back is None else self.streams_back.joined(handed)
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
