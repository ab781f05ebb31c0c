"""Free coordinates of many positions at once, with slopes, in NumPy: as `bayeslaw.posterior.coordinates` has them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from scipy import special

from bayeslaw.laws.prior_densities import Density, density_of
from bayeslaw.laws.priors import Prior

SMALLEST, LARGEST = np.finfo(float).tiny, 1 - np.finfo(float).eps
Map = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
"""From free values to values, their derivatives, and the log of these with its derivative."""


def map_into(support: tuple[float, float]) -> Map:
    """Return the map of free coordinates into an interval: that of `bayeslaw.posterior.coordinates.constrain`.

    Parameters
    ----------
    support
        Lowest and highest value, infinite where there is none.

    Returns
    -------
    Callable
        From free values, any shape, to four arrays of that shape: values, derivatives of these, the logarithm of the
        derivatives, and the derivative of that logarithm.
    """
    low, high = support
    if low == -inf and high == inf:
        return lambda free: (free, np.ones_like(free), np.zeros_like(free), np.zeros_like(free))
    if high == inf:
        return lambda free: _exponential(free, low)
    if low == -inf:
        return lambda free: _mirrored(free, high)
    return lambda free: _logistic(free, low, high - low)


def _exponential(free: np.ndarray, low: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    growth = np.exp(free)
    return low + growth, growth, free, np.ones_like(free)


def _mirrored(free: np.ndarray, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    growth = np.exp(free)
    return high - growth, -growth, free, np.ones_like(free)


def _logistic(free: np.ndarray, low: float, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    share = np.clip(special.expit(free), SMALLEST, LARGEST)
    log_slope = special.log_expit(free) + special.log_expit(-free) + np.log(width)
    return low + width * share, width * share * (1 - share), log_slope, 1 - 2 * share


@dataclass(frozen=True)
class SiteCoordinates:
    """Free coordinates of one site: where they are in a position, their map and their prior.

    Parameters
    ----------
    name
        Name of the site.
    shape
        Its shape: none, or one dimension.
    first
        Its first coordinate.
    into
        From free coordinates to values.
    density
        Its log prior density by value.
    """

    name: str
    shape: tuple[int, ...]
    first: int
    into: Map
    density: Density

    @property
    def place(self) -> slice:
        """Where its coordinates are."""
        return slice(self.first, self.first + prod(self.shape))

    def free(self, positions: np.ndarray) -> np.ndarray:
        """Take its free values out of positions, [position, coordinate]; shape ``[position, ...]``."""
        return positions[:, self.place] if self.shape else positions[:, self.first]


def site_coordinates(
    priors: Mapping[str, Prior], shapes: Sequence[tuple[str, tuple[int, ...]]]
) -> tuple[SiteCoordinates, ...]:
    """Lay sites out along a position.

    Parameters
    ----------
    priors
        Prior of each site.
    shapes
        Name and shape of each, in the order of the position.

    Returns
    -------
    tuple of SiteCoordinates
        One a site, in the order of the position.
    """
    found, first = [], 0
    for name, shape in shapes:
        prior = priors[name]
        found.append(SiteCoordinates(name, shape, first, map_into(prior.support), density_of(prior)))
        first += prod(shape)
    return tuple(found)


Likelihood = Callable[[Mapping[str, np.ndarray], Any], tuple[np.ndarray, Mapping[str, np.ndarray], Any]]
"""From the values of every site, each ``[position, ...]``, and a hint to log likelihoods, slopes and a hint."""


@dataclass(frozen=True)
class ManyPositions:
    """A log posterior density of many positions at once, with its gradient.

    Parameters
    ----------
    sites
        The sites, in the order of a position.
    likelihood
        The log likelihood by the values of all sites, with its slope by each of them. What it returns last it is given
        again at the next positions of the same chains: where a search within it may begin. None to begin with.
    """

    sites: tuple[SiteCoordinates, ...]
    likelihood: Likelihood

    def values(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Map positions, [position, coordinate], to the value of every site, each ``[position, ...]``."""
        return {site.name: site.into(site.free(positions))[0] for site in self.sites}

    def log_prior(self, positions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Log prior density of every site, by element, and the log determinant of the map, [position]."""
        densities, total = {}, np.zeros(len(positions))
        for site in self.sites:
            value, _, log_slope, _ = site.into(site.free(positions))
            densities[site.name] = site.density(value)[0]
            total += _summed(log_slope)
        return densities, total

    def evaluate(self, positions: np.ndarray, hint: Any = None) -> tuple[np.ndarray, np.ndarray, Any]:
        """Evaluate log density and gradient.

        Parameters
        ----------
        positions
            Shape ``[position, coordinate]``.
        hint
            What the last evaluation of the same chains returned, or None.

        Returns
        -------
        log_density : np.ndarray
            Shape ``[position]``; minus infinity where there is no density.
        gradient : np.ndarray
            Shape ``[position, coordinate]``; zero there.
        hint
            For the next evaluation.
        """
        total, gradient = np.zeros(len(positions)), np.empty(positions.shape)
        values, chained = {}, []
        with np.errstate(all="ignore"):
            for site in self.sites:
                value, slope, log_slope, bend = site.into(site.free(positions))
                height, tilt = site.density(value)
                total += _summed(height + log_slope)
                values[site.name] = value
                chained.append((slope, tilt * slope + bend))
            height, slopes, hint = self.likelihood(values, hint)
            total += height
            for site, (slope, prior) in zip(self.sites, chained, strict=True):
                part = slopes[site.name] * slope + prior
                gradient[:, site.place] = part if site.shape else part[:, None]
        finite = np.isfinite(total) & np.isfinite(gradient).all(axis=1)
        return np.where(finite, total, -np.inf), np.where(finite[:, None], gradient, 0.0), hint


def _summed(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 1 else array.sum(axis=1)
