"""Going through the positions of texts chunk by chunk, with a state that one chunk hands on to the next."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def scan_chunks(body: Callable[[Any, Any], tuple[Any, jax.Array]], state: Any, sequences: Any, chunk: int) -> jax.Array:
    """Run a recurrence over chunks of positions; what is compiled depends on the chunk alone, not on the length.

    Parameters
    ----------
    body
        From the state and one chunk of each sequence, [row, chunk, ...], to the next state and to the chunk's results,
        [row, chunk, ...].
    state
        The state before the first position.
    sequences
        Arrays [row, position, ...]. Zeros fill up the last chunk; a causal recurrence does not see them.
    chunk
        Positions of a chunk.

    Returns
    -------
    jax.Array
        The results, [row, position, ...].
    """
    rows, length = jax.tree.leaves(sequences)[0].shape[:2]
    chunk = min(chunk, length)
    padding = -length % chunk

    def cut(x: jax.Array) -> jax.Array:
        x = jnp.pad(x, ((0, 0), (0, padding), *((0, 0),) * (x.ndim - 2)))
        return jnp.moveaxis(x.reshape(rows, -1, chunk, *x.shape[2:]), 1, 0)

    _, results = jax.lax.scan(body, state, jax.tree.map(cut, sequences))
    return jnp.moveaxis(results, 0, 1).reshape(rows, length + padding, *results.shape[3:])[:, :length]
