"""Experts applied to the tokens that are given to them, without room to spare for any of them.

Measured on two busy cores, 128 experts of 256 x 512 of which 8 are active, 2,048 tokens: 0.23 CPU seconds in tiles of
64 tokens, of which the products alone take 0.16, and 0.25 in tiles of 32 or 128. `jax.lax.ragged_dot`, which a CPU
computes for all experts at once, was stopped after 200 seconds. On accelerators, where it is one kernel, its
results have been tested and not its speed.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from inference.decoder.feed_forwards.routing import Assignment
from inference.decoder.layers import held_in_place

LARGEST_TILE, SMALLEST_TILE = 64, 8
CONTRACTED = (((1,), (1,)), ((), ()))
GROUPED = jax.lax.RaggedDotDimensionNumbers((((1,), (2,)), ((), ())), [0], [0])


class StackedWeight(NamedTuple):
    """One linear map of every expert.

    Attributes
    ----------
    weight
        [expert, out, in].
    bias
        [expert, out], or None.
    """

    weight: jax.Array
    bias: jax.Array | None


Multiply = Callable[[str, jax.Array], jax.Array]
"""Apply the map of a name to [token, in]; the result is of the weight's type."""
Expert = Callable[[jax.Array, jax.Array, Multiply], jax.Array]
"""From tokens [token, width], their shares [token] and a `Multiply` to what is added to the tokens, float32."""


class Apply(Protocol):
    """A way to apply experts, as `in_tiles`."""

    def __call__(
        self,
        x: jax.Array,
        assignment: Assignment,
        weights: Mapping[str, StackedWeight],
        expert: Expert,
        width: int | None = None,
    ) -> jax.Array:
        """Return sums over each token's experts."""
        ...


def _sum(y: jax.Array, bias: jax.Array | None, kind: jnp.dtype) -> jax.Array:
    return (y if bias is None else y + bias.astype(jnp.float32)).astype(kind)


def in_tiles(
    x: jax.Array, assignment: Assignment, weights: Mapping[str, StackedWeight], expert: Expert, width: int | None = None
) -> jax.Array:
    """Go through the experts one after the other, a few tokens at a time.

    Parameters
    ----------
    x
        Tokens, [token, width].
    assignment
        Which token goes through which expert.
    weights
        The maps of the experts by name.
    expert
        What an expert computes.
    width
        Width of what it computes; by default that of tokens.

    Returns
    -------
    jax.Array
        Sums over each token's experts, [token, width], float32.
    """
    entries, count = len(assignment.tokens), len(assignment.sizes)
    tile = _tile(entries, count)
    # The last tile of the last expert may reach beyond the entries.
    tokens, shares = (jnp.pad(one, (0, tile)) for one in (assignment.tokens, assignment.shares))
    starts = jnp.cumsum(assignment.sizes) - assignment.sizes

    def through(state: tuple, number: jax.Array) -> tuple[tuple, None]:
        summed, held = state[0], held_in_place(state[1])
        of_expert = jax.tree.map(lambda one: jax.lax.dynamic_index_in_dim(one, number, keepdims=False), held)

        def multiply(name: str, of: jax.Array) -> jax.Array:
            weight, bias = of_expert[name]
            y = jax.lax.dot_general(of.astype(weight.dtype), weight, CONTRACTED, preferred_element_type=jnp.float32)
            return _sum(y, bias, weight.dtype)

        def add(turn: jax.Array, summed: jax.Array) -> jax.Array:
            begin = starts[number] + turn * tile
            of, share = (jax.lax.dynamic_slice_in_dim(one, begin, tile) for one in (tokens, shares))
            # Behind an expert's entries lie those of the next one.
            ours = (turn * tile + jnp.arange(tile) < assignment.sizes[number])[:, None]
            return summed.at[of].add(jnp.where(ours, expert(x[of], share, multiply), 0))

        turns = -(-assignment.sizes[number] // tile)
        return (jax.lax.fori_loop(0, turns, add, summed), held), None

    start = jnp.zeros((len(x), width or x.shape[-1]), jnp.float32), dict(weights)
    return jax.lax.scan(through, start, jnp.arange(count))[0][0]


def _tile(entries: int, count: int) -> int:
    """Return how many tokens to take at a time: a quarter of what an expert has on average, a power of two."""
    tile = LARGEST_TILE
    while tile > SMALLEST_TILE and 4 * tile * count > entries:
        tile //= 2
    return tile


def in_groups(
    x: jax.Array, assignment: Assignment, weights: Mapping[str, StackedWeight], expert: Expert, width: int | None = None
) -> jax.Array:
    """Multiply the tokens of all experts at once, in groups of rows; as `in_tiles` otherwise."""

    def multiply(name: str, of: jax.Array) -> jax.Array:
        weight, bias = weights[name]
        y = jax.lax.ragged_dot_general(
            of.astype(weight.dtype), weight, assignment.sizes, GROUPED, preferred_element_type=jnp.float32
        )
        return _sum(y, None if bias is None else bias.at[assignment.experts].get(mode="clip"), weight.dtype)

    added = expert(x[assignment.tokens], assignment.shares, multiply)
    # Rows behind the last group are of experts that do nothing.
    done = (jnp.arange(len(added)) < assignment.sizes.sum())[:, None]
    start = jnp.zeros((len(x), width or x.shape[-1]), jnp.float32)
    return start.at[assignment.tokens].add(jnp.where(done, added, 0))


APPLY: dict[str, Apply] = {"cpu": in_tiles}
APPLY_ELSEWHERE: Apply = in_groups
"""How experts are applied, by JAX's name of the kind of device."""
