"""One compiled program for each kind of a decoder's parts, so that a decoder need not be in memory as a whole.

What parts hand on lies side by side in one array, as `inference.decoder.handed_on.pack` puts it.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.block import Block
from inference.decoder.configuration import DecoderConfig
from inference.decoder.handed_on import EMBEDDINGS, Handed, pack, unpack
from inference.decoder.head import target_log_probabilities
from inference.decoder.layer_inputs import layer_inputs
from inference.decoder.layer_plan import SHARED, BlockKind
from inference.decoder.shared_parts import shared_part
from inference.decoder.transformer import Decoder


def _filled(module: Any, state: nnx.State) -> Any:
    """Return a module of shapes with the parameters that are there; what is lacking cannot be computed with."""
    nnx.update(module, state)
    return module


@partial(jax.jit, static_argnames="config")
def take_layer_rows(
    config: DecoderConfig, state: nnx.State, packed: jax.Array, tokens: jax.Array, first: jax.Array
) -> jax.Array:
    """Look up the tokens whose rows are in a part of the table of embeddings of layers.

    Parameters
    ----------
    config
        The decoder.
    state
        Some rows of the table.
    packed
        What was handed on, with the rows that other parts of the table have, [row, position, packed width], float32.
    tokens
        Token ids, [row, position].
    first
        Number of the first of the rows.

    Returns
    -------
    jax.Array
        The same with the rows that are in this part, [row, position, packed width], float32.
    """
    decoder = _filled(nnx.eval_shape(lambda: Decoder(config)), state)
    assert decoder.layer_table is not None
    before, table = unpack(config, packed), decoder.layer_table
    numbers = table.numbers(tokens) - first
    ours = ((numbers >= 0) & (numbers < table.table.weight.shape[0]))[..., None]
    rows = jnp.where(ours, decoder.layer_rows(tokens, first), before.beside[EMBEDDINGS])
    return pack(config, Handed(before.x, {**before.beside, EMBEDDINGS: rows}))


@partial(jax.jit, static_argnames="config")
def embed(
    config: DecoderConfig,
    state: nnx.State,
    tokens: jax.Array,
    packed: jax.Array | None = None,
    *,
    positions: jax.Array | None = None,
) -> jax.Array:
    """Compute what the first block is given.

    Parameters
    ----------
    config
        The decoder.
    state
        The parameters that come before its blocks.
    tokens
        Token ids, [row, position].
    packed
        What `take_layer_rows` found of them; None where there is no such table.
    positions
        Number of each position within its text, [row, position], where rows hold several.

    Returns
    -------
    jax.Array
        What is handed on, [row, position, packed width], float32.
    """
    rows = None if packed is None else unpack(config, packed).beside[EMBEDDINGS]
    decoder = nnx.eval_shape(lambda: Decoder(config))
    return pack(config, _filled(decoder, state).embed(tokens, rows, positions=positions))


@partial(jax.jit, static_argnames=("config", "kind"))
def through_block(
    config: DecoderConfig,
    kind: BlockKind,
    state: nnx.State,
    packed: jax.Array,
    *,
    lengths: jax.Array,
    layer: jax.Array,
    positions: jax.Array | None = None,
) -> jax.Array:
    """Pass what is handed on through one block.

    Parameters
    ----------
    config
        The decoder.
    kind
        What the block is made of.
    state
        Its parameters, and behind ``"shared"`` those of what it shares with other blocks.
    packed
        What is handed on, [row, position, packed width], float32.
    lengths
        Number of ids of each row that are text, [row], or of each position's text, [row, position].
    layer
        Number of the block, from 0: data, so that blocks of one kind share a program.
    positions
        As in `embed`.

    Returns
    -------
    jax.Array
        What is handed on, [row, position, packed width], float32.
    """
    inputs = layer_inputs(config, lengths, packed.shape[1], positions=positions)
    block, shared = nnx.eval_shape(lambda: Block(config, kind)), nnx.eval_shape(lambda: shared_part(config, kind))
    flat = nnx.to_flat_state(state)
    block = _filled(block, nnx.from_flat_state({path: one for path, one in flat if path[0] != SHARED}))
    if shared is not None:
        shared = _filled(shared, nnx.from_flat_state({path[1:]: one for path, one in flat if path[0] == SHARED}))
    return pack(config, block(unpack(config, packed), inputs(layer)._replace(shared=shared)))


@partial(jax.jit, static_argnames="config")
def log_probabilities(config: DecoderConfig, state: nnx.State, packed: jax.Array, targets: jax.Array) -> jax.Array:
    """Compute log-probabilities of what the last block gives.

    Parameters
    ----------
    config
        The decoder.
    state
        The parameters that come after its blocks.
    packed
        What is handed on, [row, position, packed width], float32.
    targets
        Token ids, [row, position].

    Returns
    -------
    jax.Array
        Nats, [row, position], float32.
    """
    decoder = _filled(nnx.eval_shape(lambda: Decoder(config)), state)
    return target_log_probabilities(decoder, decoder.finish(unpack(config, packed)), targets, split=False)
