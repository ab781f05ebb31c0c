"""The matrix memory of mLSTM by chunks, with gates that are exponentials."""

import jax
import jax.numpy as jnp

from inference.decoder.recurrences.position_chunks import scan_chunks
from inference.decoder.recurrences.state_space_duality import CHUNK, EXACT

# Memory of values under keys, sum of the keys, and the logarithm of what both are divided by.
Memory = tuple[jax.Array, jax.Array, jax.Array]


def matrix_memory(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    log_inputs: jax.Array,
    log_decays: jax.Array,
    epsilon: float,
    chunk: int = CHUNK,
) -> jax.Array:
    """Compute the mLSTM (Beck et al., xLSTM, 2024, equations 19 to 27).

    A head has a memory C[t] = d C[t - 1] + i k v' and a sum of keys n[t] = d n[t - 1] + i k, with the decay
    d = exp(log_decays[t]) and the input gate i = exp(log_inputs[t]). Both are held over exp(m[t]), with
    m[t] = max(log_decays[t] + m[t - 1], log_inputs[t]) and m[0] = 0, and the result is C[t]' q over the larger of
    |n[t]' q| and 1, as they are held, `epsilon` added.

    Parameters
    ----------
    queries, keys
        [row, position, head, key width], float32; queries scaled already.
    values
        [row, position, head, value width].
    log_inputs, log_decays
        [row, position, head].
    epsilon
        What is added to the divisor.
    chunk
        Positions of a chunk.

    Returns
    -------
    jax.Array
        [row, position, head, value width].
    """
    rows, _, heads, key_width = keys.shape

    def body(state: Memory, piece: tuple[jax.Array, ...]) -> tuple[Memory, jax.Array]:
        # b row, l and s later and earlier position, h head, k key width, v value width.
        memory, summed, largest = state
        queries, keys, values, log_inputs, log_decays = (jnp.moveaxis(one, 2, 1) for one in piece)
        cumulative = jnp.cumsum(log_decays, -1)
        causal = jnp.tril(jnp.ones((cumulative.shape[-1],) * 2, bool))
        # Logarithms of what is left at a later position of what an earlier one, and the state before, put in.
        left = cumulative[..., :, None] - cumulative[..., None, :] + log_inputs[..., None, :]
        left = jnp.where(causal, left, -jnp.inf)
        before = cumulative + largest[..., None]
        bound = jnp.maximum(before, left.max(-1))
        scores = jnp.einsum("bhlk,bhsk->bhls", queries, keys, precision=EXACT) * jnp.exp(left - bound[..., None])
        queries = queries * jnp.exp(before - bound)[..., None]
        mixed = jnp.matmul(scores, values, precision=EXACT) + jnp.matmul(queries, memory, precision=EXACT)
        weight = scores.sum(-1) + jnp.einsum("bhlk,bhk->bhl", queries, summed, precision=EXACT)
        result = mixed / (jnp.maximum(jnp.abs(weight), jnp.exp(-bound)) + epsilon)[..., None]
        # The last row says what is left at the end, where the state is held over the bound of its position.
        kept = jnp.exp(left[..., -1, :] - bound[..., -1:])[..., None] * keys
        whole = jnp.exp(before[..., -1] - bound[..., -1])
        memory = whole[..., None, None] * memory + jnp.einsum("bhsk,bhsv->bhkv", kept, values, precision=EXACT)
        summed = whole[..., None] * summed + kept.sum(2)
        return (memory, summed, bound[..., -1]), jnp.moveaxis(result, 1, 2)

    none = jnp.zeros((rows, heads, key_width), jnp.float32)
    state = jnp.zeros((rows, heads, key_width, values.shape[-1]), jnp.float32), none, none[..., 0]
    return scan_chunks(body, state, (queries, keys, values, log_inputs, log_decays), chunk)
