"""The gated delta rule by chunks: a memory that replaces what it holds under a key."""

import jax
import jax.numpy as jnp
import numpy as np

from inference.decoder.recurrences.position_chunks import scan_chunks
from inference.decoder.recurrences.state_space_duality import CHUNK, EXACT, decays_within


def unit_lower_inverse(below: jax.Array) -> jax.Array:
    """Invert matrices with ones on the diagonal and zeros above it.

    Parameters
    ----------
    below
        What lies below the diagonal, [..., n, n]; the diagonal and what lies above are passed over.

    Returns
    -------
    jax.Array
        The inverses, [..., n, n]: blocks of 1, 2, 4, ... are joined, as products of whole matrices. A series of powers
        would take as many products, but its terms cancel: they grow like binomials where keys resemble each other.
    """
    size = below.shape[-1]
    row, column = np.indices((size, size))
    inverse = jnp.broadcast_to(jnp.eye(size, dtype=below.dtype), below.shape)
    block = 1
    while block < size:
        joins = ((row // block) % 2 == 1) & (column // block == row // block - 1)
        across = jnp.where(joins, below, 0)
        inverse = inverse - jnp.matmul(jnp.matmul(inverse, across, precision=EXACT), inverse, precision=EXACT)
        block *= 2
    return inverse


def gated_delta_rule(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    log_decays: jax.Array,
    strengths: jax.Array,
    chunk: int = CHUNK,
) -> jax.Array:
    """Compute the gated delta rule (Yang, Kautz and Hatamizadeh, Gated Delta Networks, 2024, section 3.3).

    The memory of a head is S[t] = d S[t - 1] + k b (v - d S[t - 1]' k)', with the decay d = exp(log_decays[t]) and the
    strength b, and the result S[t]' q.

    Parameters
    ----------
    queries, keys
        [row, position, group, key width], float32; normed and scaled already.
    values
        [row, position, head, value width]; heads share queries and keys by group, those of a group side by side.
    log_decays, strengths
        [row, position, head].
    chunk
        Positions of a chunk.

    Returns
    -------
    jax.Array
        [row, position, head, value width].
    """
    rows, length, groups, key_width = keys.shape
    heads, value_width = values.shape[2:]
    values, log_decays, strengths = (
        x.reshape(rows, length, groups, heads // groups, *x.shape[3:]) for x in (values, log_decays, strengths)
    )

    def body(state: jax.Array, piece: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        # b row, l and s later and earlier position, g group, h head of it, k key width, v value width.
        queries, keys, values, log_decays, strengths = piece
        cumulative = jnp.cumsum(log_decays, 1)
        decays, since = decays_within(cumulative), jnp.exp(cumulative)[..., None]
        known = jnp.einsum("bsgk,bghkv->bsghv", keys, state, precision=EXACT) * since
        wanted = strengths[..., None] * (values - known)
        # What a position writes depends on what the earlier ones of its chunk wrote: a system of one triangle.
        overlaps = jnp.einsum("blgk,bsgk->bgls", keys, keys, precision=EXACT)[:, :, None]
        system = overlaps * decays * jnp.moveaxis(strengths, 1, -1)[..., None]
        written = jnp.matmul(unit_lower_inverse(system), jnp.moveaxis(wanted, 1, 3), precision=EXACT)
        scores = jnp.einsum("blgk,bsgk->bgls", queries, keys, precision=EXACT)[:, :, None] * decays
        within = jnp.einsum("bghls,bghsv->blghv", scores, written, precision=EXACT)
        before = jnp.einsum("blgk,bghkv->blghv", queries, state, precision=EXACT) * since
        whole = cumulative[:, -1]
        kept = written * jnp.moveaxis(jnp.exp(whole[:, None] - cumulative), 1, 3)[..., None]
        taken = jnp.einsum("bsgk,bghsv->bghkv", keys, kept, precision=EXACT)
        return jnp.exp(whole)[..., None, None] * state + taken, within + before

    state = jnp.zeros((rows, groups, heads // groups, key_width, value_width), jnp.float32)
    mixed = scan_chunks(body, state, (queries, keys, values, log_decays, strengths), chunk)
    return mixed.reshape(rows, length, heads, value_width)
