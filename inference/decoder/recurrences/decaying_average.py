"""The average of RWKV: values weighted by exponentials of keys, which fade with the distance."""

import jax
import jax.numpy as jnp

from inference.decoder.recurrences.diagonal_recurrence import positions_at_once
from inference.decoder.recurrences.position_chunks import scan_chunks

# The logarithm of no weight at all: below any sum of keys and decays, and finite, so that differences are numbers.
NO_WEIGHT = -1e38
# Sums of weighted values and of weights, over the exponential of a number that keeps both finite: that number first.
Sums = tuple[jax.Array, jax.Array, jax.Array]


def _add(first: Sums, second: Sums) -> Sums:
    largest = jnp.maximum(first[0], second[0])
    shares = jnp.exp(first[0] - largest), jnp.exp(second[0] - largest)
    values, weights = (shares[0] * one + shares[1] * other for one, other in zip(first[1:], second[1:], strict=True))
    return largest, values, weights


def _after(sums: Sums, log_decay: jax.Array) -> Sums:
    return sums[0] + log_decay, *sums[1:]


def _combine(earlier: tuple[jax.Array, Sums], later: tuple[jax.Array, Sums]) -> tuple[jax.Array, Sums]:
    """Join the sums of two stretches of positions, each with the decay over it."""
    return earlier[0] + later[0], _add(_after(earlier[1], later[0]), later[1])


def decaying_average(
    keys: jax.Array, values: jax.Array, *, log_decays: jax.Array, bonus: jax.Array, chunk: int | None = None
) -> jax.Array:
    """Compute the averages of RWKV (Peng et al., RWKV, 2023, equation 14).

    The result of a channel is the average of its values up to a position t, weighted by exp(keys[s] + (t - 1 - s)
    log_decays) at the positions s before it and by exp(keys[t] + bonus) there.

    Parameters
    ----------
    keys, values
        [row, position, channel], float32.
    log_decays
        Logarithm of each channel's decay by one position, below zero, [channel].
    bonus
        Added to the key of the position itself, [channel].
    chunk
        Positions at once; what suits the device by default.

    Returns
    -------
    jax.Array
        [row, position, channel].
    """
    ones = jnp.ones_like(keys)

    def body(state: Sums, piece: Sums) -> tuple[Sums, jax.Array]:
        decays = jnp.broadcast_to(log_decays, piece[0].shape)
        over, within = jax.lax.associative_scan(_combine, (decays, piece), axis=1)
        states = _add(_after(_with_positions(state), over), within)
        before = jax.tree.map(lambda first, rest: jnp.concatenate([first[:, None], rest[:, :-1]], 1), state, states)
        _, summed, weight = _add(before, (piece[0] + bonus, *piece[1:]))
        return jax.tree.map(lambda each: each[:, -1], states), summed / weight

    none = jnp.zeros_like(keys[:, 0])
    state = jnp.full_like(none, NO_WEIGHT), none, none
    return scan_chunks(body, state, (keys, values, ones), chunk or positions_at_once())


def _with_positions(sums: Sums) -> Sums:
    largest, values, weights = sums
    return largest[:, None], values[:, None], weights[:, None]
