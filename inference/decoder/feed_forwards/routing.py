"""Which experts each token goes through, and how much each of them counts."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from inference.decoder.expert_settings import Experts

SCORES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "softmax": lambda logits: jax.nn.softmax(logits, axis=-1),
    "sigmoid": jax.nn.sigmoid,
    "logits": lambda logits: logits,
}
SHARES: dict[str, Callable[[jax.Array, Experts], jax.Array]] = {
    "scores": lambda scores, _: scores,
    "normalised": lambda scores, experts: scores / _divisor(scores.sum(-1, keepdims=True), experts),
    "softmax": lambda scores, _: jax.nn.softmax(scores, axis=-1),
    "sigmoid": lambda scores, _: jax.nn.sigmoid(scores),
    "normalised_sigmoid": lambda scores, experts: SHARES["normalised"](jax.nn.sigmoid(scores), experts),
}
SMALLEST_SUM = 1e-20
GROUP_SCORES: dict[str, int] = {"best": 1, "two_best": 2}
"""How many of its best scores a group is worth."""


def route(logits: jax.Array, experts: Experts, correction: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Choose experts for every token.

    Parameters
    ----------
    logits
        The router's output, [token, expert], float32.
    experts
        How it is read.
    correction
        What is added to scores for the choice, [expert], or None.

    Returns
    -------
    tuple of jax.Array
        Numbers of the chosen experts, int32, and their shares, float32; both [token, chosen], best first.

    Notes
    -----
    Of experts with equal scores the one of the lower number is chosen. PyTorch's ``topk``, which the reference uses,
    promises no order among equals: on a CPU it has been seen to choose others. Where it does, the two differ in all
    that follows, and neither is wrong. Scores tie exactly where a router has equal rows or weights of few bits.
    """
    return CHOICES[experts.choice](logits, experts, correction)


def _best(logits: jax.Array, experts: Experts, correction: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    scores = SCORES[experts.scores](logits)
    preferred = scores if correction is None else scores + correction
    if experts.groups > 1:
        preferred = _of_chosen_groups(preferred, experts)
    numbers = jax.lax.top_k(preferred, experts.chosen)[1]
    shares = SHARES[experts.shares](jnp.take_along_axis(scores, numbers, axis=-1), experts)
    return numbers, shares * experts.scale


def _sparse_mixer(logits: jax.Array, experts: Experts, _: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Choose two experts as PhiMoE was trained with, without its noise."""
    first, first_share = _best_of_near(logits, logits, experts.tolerance)
    left = jnp.where(jnp.arange(experts.count) == first, -jnp.inf, logits)
    second, second_share = _best_of_near(logits, left, experts.tolerance)
    return jnp.concatenate([first, second], -1), jnp.concatenate([first_share, second_share], -1)


def _best_of_near(logits: jax.Array, left: jax.Array, tolerance: float) -> tuple[jax.Array, jax.Array]:
    """Return the best of the experts that are left, and its share among those near it, [token, 1] each."""
    best = left.max(-1, keepdims=True)
    far = (best - logits) / jnp.maximum(jnp.abs(logits), best) > 2 * tolerance
    number = left.argmax(-1, keepdims=True).astype(jnp.int32)
    shares = jax.nn.softmax(jnp.where(far, -jnp.inf, left), axis=-1)
    return number, jnp.take_along_axis(shares, number, axis=-1)


CHOICES: dict[str, Callable[[jax.Array, Experts, jax.Array | None], tuple[jax.Array, jax.Array]]] = {
    "best": _best,
    "sparse_mixer": _sparse_mixer,
}


def _divisor(total: jax.Array, experts: Experts) -> jax.Array:
    # Scores of nothing are shares of nothing.
    return jnp.maximum(total, max(experts.smallest_sum, SMALLEST_SUM)) + experts.added_sum


def _of_chosen_groups(preferred: jax.Array, experts: Experts) -> jax.Array:
    """Leave the experts of the best groups, and put the others behind all."""
    grouped = preferred.reshape(-1, experts.groups, experts.count // experts.groups)
    worth = jax.lax.top_k(grouped, GROUP_SCORES[experts.group_score])[0].sum(-1)
    chosen = jax.lax.top_k(worth, experts.chosen_groups)[1]
    kept = jax.nn.one_hot(chosen, experts.groups, dtype=bool).any(-2)
    return jnp.where(kept[..., None], grouped, -jnp.inf).reshape(preferred.shape)


class Assignment(NamedTuple):
    """Tokens in the order of the experts that they go through: one entry for each pair of a token and an expert.

    Attributes
    ----------
    tokens, experts
        Numbers of the token and the expert, [entry].
    shares
        How much the expert counts for the token, [entry].
    sizes
        Number of entries of each expert, [expert]. Entries behind them all are of experts that do nothing.
    """

    tokens: jax.Array
    experts: jax.Array
    shares: jax.Array
    sizes: jax.Array


def assign(numbers: jax.Array, shares: jax.Array, count: int) -> Assignment:
    """Sort tokens by expert.

    Parameters
    ----------
    numbers, shares
        Chosen experts and their shares, [token, chosen].
    count
        Number of experts; numbers from it on are of those that do nothing.

    Returns
    -------
    Assignment
        Entries by expert, and within an expert by token.
    """
    flat = numbers.reshape(-1)
    order = jnp.argsort(flat, stable=True)
    sizes = jnp.bincount(flat, length=count).astype(jnp.int32)
    return Assignment(order // numbers.shape[-1], flat[order], shares.reshape(-1)[order], sizes)
