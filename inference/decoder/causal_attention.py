"""Causal attention in blocks of queries, so that scores of all pairs of positions never exist at once."""

import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

QUERY_BLOCK = 128
MOST_STAGES = 8


def alibi_bias(heads: int, length: int, *, rounded: bool = False) -> np.ndarray:
    """Return what scores rise by towards later keys.

    Parameters
    ----------
    heads
        Number of heads.
    length
        Number of positions.
    largest
        Bound of the exponents of slopes.
    rounded
        Whether slopes, positions and their product are rounded to bfloat16, as Falcon was trained with.

    Returns
    -------
    numpy.ndarray
        Bias by head and position of the key, [heads, length], float32: slopes are powers of two, with those of twice
        the heads interleaved where the number of heads is no power of two (Press et al., Train Short, Test Long, 2022).
        It differs from minus the slope times the distance by a constant per query, which the softmax does not see.
    """
    whole = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / whole) for i in range(whole)]
    slopes += [2 ** (-8 * (i + 1) / (2 * whole)) for i in range(0, 2 * (heads - whole), 2)]
    kind = np.dtype(ml_dtypes.bfloat16 if rounded else np.float32)
    return np.multiply.outer(np.asarray(slopes, kind), np.arange(length).astype(kind)).astype(np.float32)


def attend(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    scale: jax.Array | float,
    window: jax.Array | int,
    key_bias: jax.Array | None = None,
    softcap: float | None = None,
    sinks: jax.Array | None = None,
    chunk: jax.Array | None = None,
) -> jax.Array:
    """Mix values by causal attention.

    Parameters
    ----------
    queries
        [row, position, group, head, dimension].
    keys, values
        [row, position, group, dimension]; a value may have another number of dimensions than a key.
    scale
        Factor on scores.
    window
        Number of positions attended to, the query's own included.
    key_bias
        What is added to scores by the key's position, [group, head or 1, position], of each row where a dimension more
        stands in front.
    softcap
        Bound c of ``c tanh(score / c)``.
    sinks
        A score of each head that takes part in the softmax beside those of keys and has no value, [group, head].
    chunk
        Positions of a chunk, counted from the first on, within which attention stays; None for all positions.

    Returns
    -------
    jax.Array
        [row, position, group, head, dimension], in the type of `values`. Scores and their softmax are float32.
    """
    length = queries.shape[1]
    block = min(QUERY_BLOCK, length)
    blocks = -(-length // block)
    # Every stage has its own number of keys, so that about half of the pairs, those in the future, are never computed.
    # A stage compiles once; within it blocks of queries share a loop.
    per_stage = -(-blocks // MOST_STAGES)
    mixed = []
    for first in range(0, blocks, per_stage):
        start, stop = first * block, min((first + per_stage) * block, length)
        seen = keys[:, :stop], values[:, :stop]
        bias = None if key_bias is None else key_bias[..., None, :stop]
        mixed.append(_stage(queries[:, start:stop], *seen, start, block, (scale, window, bias, softcap, sinks, chunk)))
    return mixed[0] if len(mixed) == 1 else jnp.concatenate(mixed, 1)


def _stage(queries: jax.Array, keys: jax.Array, values: jax.Array, start: int, block: int, rules: tuple) -> jax.Array:
    """Attend from queries [row, position, ...] that begin at position `start` to all keys given."""
    rows, count, *rest = queries.shape
    if count <= block:
        return _attend_block(queries, keys, values, start + jnp.arange(count), rules)
    pad = -count % block
    queries = jnp.pad(queries, ((0, 0), (0, pad), *((0, 0),) * len(rest)))
    many = jnp.moveaxis(queries.reshape(rows, -1, block, *rest), 1, 0)
    positions = start + jnp.arange(count + pad).reshape(-1, block)
    mixed = jax.lax.map(lambda one: _attend_block(one[0], keys, values, one[1], rules), (many, positions))
    return jnp.moveaxis(mixed, 0, 1).reshape(rows, count + pad, *mixed.shape[3:])[:, :count]


def _attend_block(
    queries: jax.Array, keys: jax.Array, values: jax.Array, positions: jax.Array, rules: tuple
) -> jax.Array:
    scale, window, bias, softcap, sinks, chunk = rules
    scores = jnp.einsum("btghd,bsgd->bghts", queries, keys, preferred_element_type=jnp.float32) * scale
    if softcap is not None:
        scores = softcap * jnp.tanh(scores / softcap)
    distance = positions[:, None] - jnp.arange(keys.shape[1])
    if bias is not None:
        scores = scores + bias
    seen = (distance >= 0) & (distance < window)
    if chunk is not None:
        seen = seen & (distance <= (positions % chunk)[:, None])
    scores = jnp.where(seen, scores, -jnp.inf)
    shares = _shares(scores, sinks).astype(values.dtype)
    mixed = jnp.einsum("bghts,bsgd->btghd", shares, values, preferred_element_type=jnp.float32)
    return mixed.astype(values.dtype)


def _shares(scores: jax.Array, sinks: jax.Array | None) -> jax.Array:
    """Return the softmax of scores [row, group, head, query, key], of which sinks [group, head] take their part."""
    if sinks is None:
        return jax.nn.softmax(scores, axis=-1)
    sinks = sinks[:, :, None, None]
    largest = jnp.maximum(scores.max(-1, keepdims=True), sinks)
    exponentials = jnp.exp(scores - largest)
    return exponentials / (exponentials.sum(-1, keepdims=True) + jnp.exp(sinks - largest))
