"""One compiled program for each kind of a decoder's parts, so that a decoder need not be in memory as a whole."""

from functools import partial
from typing import Any

import jax
from flax import nnx

from inference.decoder.block import Block
from inference.decoder.configuration import DecoderConfig
from inference.decoder.head import target_log_probabilities
from inference.decoder.layer_inputs import layer_inputs
from inference.decoder.layer_plan import BlockKind
from inference.decoder.transformer import Decoder


def _filled(module: Any, state: nnx.State) -> Any:
    """Return a module of shapes with the parameters that are there; what is lacking cannot be computed with."""
    nnx.update(module, state)
    return module


@partial(jax.jit, static_argnames="config")
def embed(config: DecoderConfig, state: nnx.State, tokens: jax.Array, positions: jax.Array | None = None) -> jax.Array:
    """Compute what the first block is given.

    Parameters
    ----------
    config
        The decoder.
    state
        The parameters that come before its blocks.
    tokens
        Token ids, [row, position].
    positions
        Number of each position within its text, [row, position], where rows hold several.

    Returns
    -------
    jax.Array
        Hidden states, [row, position, width], float32.
    """
    return _filled(nnx.eval_shape(lambda: Decoder(config)), state).embed(tokens, positions)


@partial(jax.jit, static_argnames=("config", "kind"))
def through_block(
    config: DecoderConfig,
    kind: BlockKind,
    state: nnx.State,
    x: jax.Array,
    *,
    lengths: jax.Array,
    layer: jax.Array,
    positions: jax.Array | None = None,
) -> jax.Array:
    """Pass hidden states through one block.

    Parameters
    ----------
    config
        The decoder.
    kind
        What the block is made of.
    state
        Its parameters.
    x
        Hidden states, [row, position, width], float32.
    lengths
        Number of ids of each row that are text, [row], or of each position's text, [row, position].
    layer
        Number of the block, from 0: data, so that blocks of one kind share a program.
    positions
        As in `embed`.

    Returns
    -------
    jax.Array
        Hidden states, [row, position, width], float32.
    """
    inputs = layer_inputs(config, lengths, x.shape[1], positions=positions)
    return _filled(nnx.eval_shape(lambda: Block(config, kind)), state)(x, inputs(layer))


@partial(jax.jit, static_argnames="config")
def log_probabilities(config: DecoderConfig, state: nnx.State, x: jax.Array, targets: jax.Array) -> jax.Array:
    """Compute log-probabilities of what the last block gives.

    Parameters
    ----------
    config
        The decoder.
    state
        The parameters that come after its blocks.
    x
        Hidden states, [row, position, width], float32.
    targets
        Token ids, [row, position].

    Returns
    -------
    jax.Array
        Nats, [row, position], float32.
    """
    decoder = _filled(nnx.eval_shape(lambda: Decoder(config)), state)
    return target_log_probabilities(decoder, decoder.finish(x), targets, split=False)
