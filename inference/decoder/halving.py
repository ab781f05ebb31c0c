"""The residual stream of RWKV, which is halved every few layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.decoder.part_checks import check_sizes

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class Halving:
    """How often the residual stream is halved, as RWKV does to stay within numbers of 16 bits.

    Halves are exact and branches add as much less, so that only norms see it, by what they add to the variance: here
    the stream stays as it is, and norms are given the halved one.

    Attributes
    ----------
    every
        After how many layers each.
    """

    every: int

    def __post_init__(self) -> None:
        check_sizes(self, "every")

    def after(self, x: jax.Array, layers: jax.Array | int) -> jax.Array:
        """Halve the stream as often as a number of layers does; exact."""
        import jax.numpy as jnp

        return jnp.ldexp(x, -(layers // self.every))
