"""What can be sampled: a density over flat positions, whose data are an argument."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.likelihood.compiled import hessian_one_by_one
from bayeslaw.posterior.free_coordinates import ManyPositions

Potential = Callable[[Array, Any], Array]


@dataclass(frozen=True)
class Posterior:
    """A log posterior density over flat positions.

    What is compiled for a posterior is kept and used again for every other whose functions are equal and whose data are
    arrays of the same shapes: functions that hold no data, such as frozen dataclasses with ``__call__``, make a fit,
    its refits and simulated tables share one program.

    Parameters
    ----------
    potential
        From a flat position, shape ``[coordinate]``, and the data, arrays in any container, to minus the log posterior
        density, up to a constant.
    start
        A position to search the mode from, shape ``[coordinate]``.
    curvature
        From the same arguments to about the Hessian of the potential, shape ``[coordinate, coordinate]``; the Hessian
        itself where None.
    prior
        The part of the potential that does not depend on the data's density: a search that gets stuck begins with it
        alone. None where the potential has no such part.
    blocks
        Parts of the position that are independent given the data, and together all of it; none where it is sampled as a
        whole.
    by_hand
        From the data to the log density of many positions at once with its gradient, worked out by hand, in NumPy; None
        where there is none.
    funnel
        Coordinate of a scale of which offsets among the others are standard deviations: where the density by hand is
        searched, this coordinate is placed by the mass that lies around it, not by height; None where there is none.
    """

    potential: Potential
    start: np.ndarray
    curvature: Potential | None = None
    prior: Potential | None = None
    blocks: "tuple[Block, ...]" = ()
    by_hand: Callable[[Any], ManyPositions] | None = None
    funnel: int | None = None


@dataclass(frozen=True)
class Block:
    """Coordinates of a posterior that share nothing with its others but the data.

    Parameters
    ----------
    name
        Name of the block, of letters.
    coordinates
        Which coordinates of the whole position are those of the block, in its order.
    posterior
        The posterior of these alone, given the same data.
    """

    name: str
    coordinates: tuple[int, ...]
    posterior: Posterior


@dataclass(frozen=True)
class _Sum:
    """A function of the whole position that is a sum over its blocks."""

    parts: tuple[tuple[tuple[int, ...], Potential], ...]

    def __call__(self, position: Array, data: Any) -> Array:
        parts = [part(position[np.array(coordinates)], data) for coordinates, part in self.parts]
        return jnp.stack(parts).sum()


def joined(blocks: tuple[Block, ...]) -> Posterior:
    """Put independent blocks together.

    Parameters
    ----------
    blocks
        The blocks; each coordinate belongs to one.

    Returns
    -------
    Posterior
        The posterior of the whole position; it is sampled block by block.

    Raises
    ------
    ValueError
        If a coordinate belongs to no block, or to several.
    """
    if sorted(index for block in blocks for index in block.coordinates) != list(
        range(sum(len(block.posterior.start) for block in blocks))
    ):
        raise ValueError(f"each coordinate belongs to one of the blocks {', '.join(block.name for block in blocks)}")
    start = np.empty(sum(len(block.coordinates) for block in blocks))
    for block in blocks:
        start[list(block.coordinates)] = block.posterior.start
    potential = _Sum(tuple((block.coordinates, block.posterior.potential) for block in blocks))
    return Posterior(potential, start, blocks=blocks)


@dataclass(frozen=True)
class Gradient:
    """Value and gradient of a function of a position and data."""

    function: Potential

    def __call__(self, position: Array, data: Any) -> tuple[Array, Array]:
        """Evaluate at a flat position."""
        return jax.value_and_grad(self.function)(position, data)


@dataclass(frozen=True)
class TemperedGradient:
    """Value and gradient of a potential whose likelihood is raised to a power."""

    potential: Potential
    prior: Potential

    def __call__(self, position: Array, data: Any, power: Array) -> tuple[Array, Array]:
        """Evaluate at a flat position."""

        def tempered(position: Array) -> Array:
            return power * self.potential(position, data) + (1 - power) * self.prior(position, data)

        return jax.value_and_grad(tempered)(position)


@dataclass(frozen=True)
class Hessian:
    """Second derivatives of a function of a position and data, one direction after the other."""

    function: Potential

    def __call__(self, position: Array, data: Any) -> Array:
        """Evaluate at a flat position."""
        return hessian_one_by_one(self.function)(position, data)
