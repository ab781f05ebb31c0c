"""The delta rule with a decay of each channel of the keys, by chunks."""

import jax
import jax.numpy as jnp

from inference.decoder.recurrences.delta_rule import unit_lower_inverse
from inference.decoder.recurrences.position_chunks import scan_chunks
from inference.decoder.recurrences.state_space_duality import EXACT, decays_within

# Decays from each position to each later one are held by channel, so that a chunk's numbers grow with its square.
CHUNK = 16


def channel_delta_rule(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    log_decays: jax.Array,
    strengths: jax.Array,
    chunk: int = CHUNK,
) -> jax.Array:
    """Compute the delta rule of Kimi delta attention (Kimi Team, Kimi Linear, 2025, section 3).

    The memory of a head is S[t] = D S[t - 1] + k b (v - (D S[t - 1])' k)', with the decays D = diag(exp(log_decays[t]))
    and the strength b, and the result S[t]' q.

    Parameters
    ----------
    queries, keys
        [row, position, head, key width], float32; normed and scaled already.
    values
        [row, position, head, value width].
    log_decays
        [row, position, head, key width].
    strengths
        [row, position, head].
    chunk
        Positions of a chunk.

    Returns
    -------
    jax.Array
        [row, position, head, value width].

    Notes
    -----
    Within a chunk decays are the exponentials of differences, none above one. Products of exponentials of sums, as they
    are written to be matrix products, overflow where a channel forgets within a few positions.
    """
    rows, _, heads, key_width = keys.shape

    def body(state: jax.Array, piece: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        # b row, l and s later and earlier position, h head, k key width, v value width.
        queries, keys, values, log_decays, strengths = piece
        cumulative = jnp.cumsum(log_decays, 1)
        since = jnp.exp(cumulative)
        # Of each channel of the earlier keys, what is left of it at a later position, [b, h, k, l, s].
        left = decays_within(cumulative) * jnp.moveaxis(keys, 1, -1)[..., None, :]
        overlaps, scores = ((left * jnp.moveaxis(later, 1, -1)[..., None]).sum(2) for later in (keys, queries))
        known = jnp.einsum("bshk,bhkv->bhsv", keys * since, state, precision=EXACT)
        by_head = jnp.moveaxis(strengths, 1, -1)[..., None]
        # What a position writes depends on what the earlier ones of its chunk wrote: a system of one triangle.
        wanted = by_head * (jnp.moveaxis(values, 1, 2) - known)
        written = jnp.matmul(unit_lower_inverse(overlaps * by_head), wanted, precision=EXACT)
        within = jnp.matmul(scores, written, precision=EXACT)
        before = jnp.einsum("blhk,bhkv->bhlv", queries * since, state, precision=EXACT)
        whole = cumulative[:, -1]
        taken = jnp.einsum("bshk,bhsv->bhkv", keys * jnp.exp(whole[:, None] - cumulative), written, precision=EXACT)
        return jnp.exp(whole)[..., None] * state + taken, jnp.moveaxis(within + before, 1, 2)

    state = jnp.zeros((rows, heads, key_width, values.shape[-1]), jnp.float32)
    return scan_chunks(body, state, (queries, keys, values, log_decays, strengths), chunk)
