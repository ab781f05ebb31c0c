"""Log-probabilities of tokens from hidden states, without ever holding logits of a whole batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from inference.decoder.layers import held_in_place
from inference.decoder.transformer import Decoder

# Logits that exist at once; few on a CPU, where they should stay near its caches.
LOGITS_AT_ONCE = {"cpu": 1 << 22}
LOGITS_ELSEWHERE = 1 << 28
FEWEST_COLUMNS = 512


def _budget() -> int:
    return LOGITS_AT_ONCE.get(jax.default_backend(), LOGITS_ELSEWHERE)


def target_log_probabilities(decoder: Decoder, hidden: jax.Array, targets: jax.Array, *, split: bool) -> jax.Array:
    """Return the log-probability of each target.

    Parameters
    ----------
    decoder
        The decoder.
    hidden
        Its hidden states, [row, position, width].
    targets
        Token ids, [row, position].
    split
        Whether the vocabulary lies on several devices: then a few positions are taken at a time rather than a part of
        the vocabulary.

    Returns
    -------
    jax.Array
        Nats, [row, position], float32, at or below zero. Softmax and its normaliser are float32.
    """
    if split or decoder.config.vocabulary <= FEWEST_COLUMNS:
        found = over_positions(lambda h, t: _of_logits(decoder.logits(h), t), decoder, hidden, targets)
    else:
        found = _over_vocabulary(decoder, hidden, targets)
    # Rounding may leave a near-certain token slightly above zero, which no log-probability is.
    return jnp.minimum(found, 0.0)


def _of_logits(logits: jax.Array, targets: jax.Array) -> jax.Array:
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def _over_vocabulary(decoder: Decoder, hidden: jax.Array, targets: jax.Array) -> jax.Array:
    """Go through the vocabulary part by part: each row of the head's weight is read once.

    The normaliser is added up as in Milakov and Gimelshein, Online normalizer calculation for softmax, 2018.
    """
    shape, vocabulary = targets.shape, decoder.config.vocabulary
    hidden, targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    columns = min(vocabulary, max(FEWEST_COLUMNS, _budget() // len(targets)))

    graph, weights = nnx.split(decoder.head_part())

    def add(number: jax.Array, state: tuple) -> tuple:
        largest, total, chosen, weights = state
        weights = held_in_place(weights)
        # The last part reaches back, so that all are of one size; what was counted before is left out.
        begin = jnp.minimum(number * columns, vocabulary - columns)
        logits = nnx.merge(graph, weights)(hidden, begin=begin, count=columns)
        logits = jnp.where(begin + jnp.arange(columns) >= number * columns, logits, -jnp.inf)
        place = targets - begin
        of_target = jnp.take_along_axis(logits, jnp.clip(place, 0, columns - 1)[:, None], axis=-1)[:, 0]
        chosen = jnp.where((targets >= number * columns) & (place < columns), of_target, chosen)
        higher = jnp.maximum(largest, logits.max(axis=-1))
        total = total * jnp.exp(largest - higher) + jnp.exp(logits - higher[:, None]).sum(axis=-1)
        return higher, total, chosen, weights

    start = jnp.full(len(targets), -jnp.inf), jnp.zeros(len(targets)), jnp.zeros(len(targets)), weights
    largest, total, chosen, _ = jax.lax.fori_loop(0, -(-vocabulary // columns), add, start)
    return (chosen - largest - jnp.log(total)).reshape(shape)


def over_positions(
    function: Callable[..., jax.Array], decoder: Decoder, *arrays: jax.Array, members: int = 1
) -> jax.Array:
    """Apply a function of logits to a few positions at a time.

    Parameters
    ----------
    function
        Takes slices of the arrays and returns [row, position of the slice].
    decoder
        The decoder, for its vocabulary.
    *arrays
        Arrays [row, position, ...].
    members
        How many times the function holds logits at once.

    Returns
    -------
    jax.Array
        What the function returns, for all positions, [row, position].
    """
    rows, length = arrays[0].shape[:2]
    step = max(1, min(length, _budget() // (rows * decoder.config.vocabulary * members)))
    pad = -length % step

    def split(array: jax.Array) -> jax.Array:
        array = jnp.pad(array, ((0, 0), (0, pad), *((0, 0),) * (array.ndim - 2)))
        return jnp.moveaxis(array.reshape(rows, -1, step, *array.shape[2:]), 1, 0)

    found = jax.lax.map(lambda one: function(*one), tuple(split(array) for array in arrays))
    return jnp.moveaxis(found, 0, 1).reshape(rows, -1)[:, :length]
