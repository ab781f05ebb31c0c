"""Recurrences whose state decays element by element: h[t] = a[t] h[t - 1] + b[t]."""

import jax
import jax.numpy as jnp

from inference.decoder.recurrences.position_chunks import scan_chunks

ACCELERATOR_CHUNK = 64


def positions_at_once() -> int:
    """Return how many positions a recurrence of single elements takes at once.

    Returns
    -------
    int
        One on a CPU, whose caches hold the state from one position to the next: combining positions in parallel reads
        and writes it once for every doubling instead, which took 1.4 to 4 times as long for 8 to 64 positions.
    """
    return 1 if jax.default_backend() == "cpu" else ACCELERATOR_CHUNK


def _combine(earlier: tuple[jax.Array, jax.Array], later: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    return earlier[0] * later[0], later[0] * earlier[1] + later[1]


def _states(decays: jax.Array, inputs: jax.Array, before: jax.Array) -> jax.Array:
    """Return the states of a chunk, [row, chunk, ...], from the one before it."""
    products, states = jax.lax.associative_scan(_combine, (decays, inputs), axis=1)
    return products * before[:, None] + states


def diagonal_recurrence(decays: jax.Array, inputs: jax.Array, *, chunk: int | None = None) -> jax.Array:
    """Compute h[t] = decays[t] h[t - 1] + inputs[t] from a state of zero.

    Parameters
    ----------
    decays, inputs
        [row, position, channel], float32.
    chunk
        Positions at once; what suits the device by default.

    Returns
    -------
    jax.Array
        The states, [row, position, channel].
    """

    def body(state: jax.Array, piece: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        states = _states(*piece, state)
        return states[:, -1], states

    return scan_chunks(body, jnp.zeros_like(inputs[:, 0]), (decays, inputs), chunk or positions_at_once())


def selective_scan(
    x: jax.Array, steps: jax.Array, rates: jax.Array, *, inputs: jax.Array, outputs: jax.Array, chunk: int | None = None
) -> jax.Array:
    """Compute the selective state space of Mamba (Gu and Dao, 2023, equation 2 and algorithm 2).

    The state of channel c and number n is h[t] = exp(steps[t, c] rates[c, n]) h[t - 1] + steps[t, c] inputs[t, n]
    x[t, c], and the result is the sum over n of outputs[t, n] h[t].

    Parameters
    ----------
    x, steps
        What comes in, and the length of a step, [row, position, channel], float32.
    rates
        Rates of growth, below zero, [channel, state].
    inputs, outputs
        How the state takes in and gives out, [row, position, state].
    chunk
        Positions at once; what suits the device by default.

    Returns
    -------
    jax.Array
        [row, position, channel]. The states of all positions never exist at once.
    """
    rates = rates.T

    def body(state: jax.Array, piece: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        x, steps, inputs, outputs = piece
        decays = jnp.exp(steps[:, :, None] * rates)
        states = _states(decays, (steps * x)[:, :, None] * inputs[..., None], state)
        return states[:, -1], (states * outputs[..., None]).sum(2)

    state = jnp.zeros((x.shape[0], *rates.shape), jnp.float32)
    return scan_chunks(body, state, (x, steps, inputs, outputs), chunk or positions_at_once())
