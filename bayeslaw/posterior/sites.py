"""Posteriors over sites that have independent priors, each in its own free coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.laws.priors import Prior
from bayeslaw.posterior.coordinates import all_with_numbers, constrain, outline, unconstrained_centre, unravel


@dataclass(frozen=True)
class Sites:
    """Sites by name, with the outlines of their priors and their shapes; the numbers of the priors are data.

    Parameters
    ----------
    priors
        Name and outline of the prior of each site, in the order of the numbers.
    shapes
        Name and shape of each site, in the order of a flat position.
    """

    priors: tuple[tuple[str, Prior], ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def values(self, position: Array, numbers: Array) -> tuple[dict[str, Array], Array]:
        """Map a flat position to the value of every site and the log determinant of the map."""
        free, values, total = unravel(position, self.shapes), {}, jnp.zeros(())
        for name, prior in all_with_numbers(dict(self.priors), numbers).items():
            values[name], term = constrain(prior, free[name])
            total = total + term
        return values, total

    def negative_log_prior(self, values: Mapping[str, Array], log_determinant: Array, numbers: Array) -> Array:
        """Minus the log prior density of the value of every site, in free coordinates, scalar."""
        priors = all_with_numbers(dict(self.priors), numbers)
        densities = [
            jnp.sum(jnp.asarray(prior.distribution().log_prob(values[name]))) for name, prior in priors.items()
        ]
        return -(jnp.stack(densities).sum() + log_determinant)

    @property
    def size(self) -> int:
        """Length of a flat position."""
        return sum(int(np.prod(shape)) for _, shape in self.shapes)


def sites_of(priors: Mapping[str, Prior], shapes: Mapping[str, tuple[int, ...]]) -> Sites:
    """Take from sites what does not depend on the numbers of their priors."""
    outlines = tuple((name, outline(prior)) for name, prior in priors.items())
    return Sites(outlines, tuple((name, shapes[name]) for name in sorted(priors)))


def centres(priors: Mapping[str, Prior], sites: Sites) -> np.ndarray:
    """Flat position at the centres of the priors, shape ``[coordinate]``."""
    return np.concatenate(
        [np.full(int(np.prod(shape)), unconstrained_centre(priors[name])) for name, shape in sites.shapes]
    )
