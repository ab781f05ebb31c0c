"""The state space of Mamba 2 by chunks: like attention within one, through the state from one to the next."""

import jax
import jax.numpy as jnp

from inference.decoder.recurrences.position_chunks import scan_chunks

CHUNK = 64
# States are float32, and so is what makes them: a GPU would otherwise round the factors of products to 10 bits.
EXACT = jax.lax.Precision.HIGHEST


def decays_within(cumulative: jax.Array) -> jax.Array:
    """Return the decay from each position of a chunk to each later one.

    Parameters
    ----------
    cumulative
        Sums of the logarithms of decays up to and with each position, [row, chunk, ...].

    Returns
    -------
    jax.Array
        [row, ..., later position, earlier position]; 1 from a position to itself, 0 backwards.
    """
    cumulative = jnp.moveaxis(cumulative, 1, -1)
    causal = jnp.tril(jnp.ones((cumulative.shape[-1],) * 2, bool))
    return jnp.exp(jnp.where(causal, cumulative[..., :, None] - cumulative[..., None, :], -jnp.inf))


def state_space(
    values: jax.Array, log_decays: jax.Array, *, inputs: jax.Array, outputs: jax.Array, chunk: int = CHUNK
) -> jax.Array:
    """Compute the state space of Mamba 2 (Dao and Gu, Transformers are SSMs, 2024, section 6).

    The state of a head is H[t] = exp(log_decays[t]) H[t - 1] + inputs[t] values[t]', and the result outputs[t]' H[t].

    Parameters
    ----------
    values
        [row, position, head, width], float32; multiplied by the length of the step already.
    log_decays
        Logarithms of the decays, [row, position, head].
    inputs, outputs
        How the state takes in and gives out, [row, position, group, state]; heads share them by group.
    chunk
        Positions of a chunk.

    Returns
    -------
    jax.Array
        [row, position, head, width].
    """
    rows, length, heads, width = values.shape
    groups, states = inputs.shape[2:]
    values = values.reshape(rows, length, groups, -1, width)
    log_decays = log_decays.reshape(rows, length, groups, -1)

    def body(state: jax.Array, piece: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        # b row, l and s later and earlier position, g group, h head of it, n state, p width.
        values, log_decays, inputs, outputs = piece
        cumulative = jnp.cumsum(log_decays, 1)
        scores = jnp.einsum("blgn,bsgn->bgls", outputs, inputs, precision=EXACT)
        weights = scores[:, :, None] * decays_within(cumulative)
        within = jnp.einsum("bghls,bsghp->blghp", weights, values, precision=EXACT)
        before = jnp.einsum("blgn,bghnp->blghp", outputs, state, precision=EXACT) * jnp.exp(cumulative)[..., None]
        whole = cumulative[:, -1]
        kept = values * jnp.exp(whole[:, None] - cumulative)[..., None]
        taken = jnp.einsum("bsgn,bsghp->bghnp", inputs, kept, precision=EXACT)
        return jnp.exp(whole)[..., None, None] * state + taken, within + before

    state = jnp.zeros((rows, groups, heads // groups, states, width), jnp.float32)
    mixed = scan_chunks(body, state, (values, log_decays, inputs, outputs), chunk)
    return mixed.reshape(rows, length, heads, width)
