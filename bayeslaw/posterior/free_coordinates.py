"""Free coordinates of many positions at once, with slopes, in NumPy: as `bayeslaw.posterior.coordinates` has them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayeslaw.laws.prior_densities import LOG_ROOT_TWO_PI, Density, density_of
from bayeslaw.laws.priors import Prior

SMALLEST, LARGEST = np.finfo(float).tiny, 1 - np.finfo(float).eps
Map = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
"""From free values to values, their derivatives, and the log of these with its derivative."""


def map_into(*supports: tuple[float, float]) -> Map:
    """Return the map of free coordinates into intervals: that of `bayeslaw.posterior.coordinates.constrain`.

    Parameters
    ----------
    *supports
        Lowest and highest value, infinite where there is none; several that are infinite alike for the last axis of
        what is mapped.

    Returns
    -------
    Callable
        From free values, any shape, to four arrays of that shape: values, derivatives of these, the logarithm of the
        derivatives, and the derivative of that logarithm.
    """
    low, high = (bounds if len(supports) > 1 else bounds[0] for bounds in map(np.array, zip(*supports, strict=True)))
    if np.all(np.isinf(low)) and np.all(np.isinf(high)):
        return lambda free: (free, np.ones_like(free), np.zeros_like(free), np.zeros_like(free))
    if np.all(np.isinf(high)):
        return lambda free: _exponential(free, low)
    if np.all(np.isinf(low)):
        return lambda free: _mirrored(free, high)
    return lambda free: _logistic(free, low, high - low)


def _exponential(free: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    growth = np.exp(free)
    return low + growth, growth, free, np.ones_like(free)


def _mirrored(free: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    growth = np.exp(free)
    return high - growth, -growth, free, np.ones_like(free)


def _logistic(
    free: np.ndarray, low: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    share = np.clip(special.expit(free), SMALLEST, LARGEST)
    log_slope = special.log_expit(free) + special.log_expit(-free) + np.log(width)
    return low + width * share, width * share * (1 - share), log_slope, 1 - 2 * share


FreeDensity = Callable[[np.ndarray], tuple[np.ndarray, Any, np.ndarray, np.ndarray]]
"""From free values to values, their derivatives, log densities over free values and the derivatives of these."""


def _normal_when_free(loc: np.ndarray, scale: np.ndarray) -> FreeDensity:
    constant = -np.log(scale) - LOG_ROOT_TWO_PI

    def density(free: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
        away = (free - loc) / scale
        return free, 1.0, constant - 0.5 * away * away, -away / scale

    return density


def _log_normal_when_free(loc: np.ndarray, scale: np.ndarray) -> FreeDensity:
    normal = _normal_when_free(loc, scale)

    def density(free: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
        value = np.exp(free)
        return value, value, *normal(free)[2:]

    return density


def _beta_when_free(concentration1: np.ndarray, concentration0: np.ndarray) -> FreeDensity:
    constant, both = -special.betaln(concentration1, concentration0), concentration1 + concentration0

    def density(free: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
        share = np.minimum(np.maximum(special.expit(free), SMALLEST), LARGEST)
        height = constant + concentration1 * free + both * special.log_expit(-free)
        return share, share * (1 - share), height, concentration1 - both * share

    return density


def _uniform_when_free(low: np.ndarray, high: np.ndarray) -> FreeDensity:
    even, width = _beta_when_free(np.asarray(1.0), np.asarray(1.0)), high - low

    def density(free: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
        share, slope, height, tilt = even(free)
        return low + width * share, width * slope, height, tilt

    return density


WHEN_FREE: Mapping[str, Callable[..., FreeDensity]] = {
    "Beta": _beta_when_free,
    "LogNormal": _log_normal_when_free,
    "Normal": _normal_when_free,
    "Uniform": _uniform_when_free,
}
"""Of priors whose density over free values is simpler than map and density after each other."""


def _composed(into: Map, density: Density) -> FreeDensity:
    """Weigh values after they are mapped."""

    def composed(free: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
        value, slope, log_slope, bend = into(free)
        height, tilt = density(value)
        return value, slope, height + log_slope, tilt * slope + bend

    return composed


class CoordinateGroup(NamedTuple):
    """Coordinates whose priors differ in nothing but numbers, which are mapped and weighed together.

    Parameters
    ----------
    place
        The coordinates, in the order of the last axis of what is mapped.
    into
        From their free values to values.
    density
        Their log prior densities by value.
    when_free
        Map and density at once.
    """

    place: np.ndarray | slice
    into: Map
    density: Density
    when_free: FreeDensity


@dataclass(frozen=True)
class FreeSites:
    """Free coordinates of sites that have independent priors.

    Parameters
    ----------
    places
        Where each site is in a position, by name: a number, or a slice for one that has a dimension.
    groups
        All coordinates, by the kind of their priors.
    """

    places: Mapping[str, int | slice]
    groups: tuple[CoordinateGroup, ...]

    def by_site(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Cut an array, [position, coordinate], into those of the sites, each ``[position, ...]``."""
        return {name: array[:, place] for name, place in self.places.items()}


def free_sites(priors: Mapping[str, Prior], shapes: Sequence[tuple[str, tuple[int, ...]]]) -> FreeSites:
    """Lay sites out along a position.

    Parameters
    ----------
    priors
        Prior of each site.
    shapes
        Name and shape of each, in the order of the position; at most one dimension.

    Returns
    -------
    FreeSites
        The sites, in the order of the position.
    """
    places, each = dict[str, int | slice](), list[Prior]()
    for name, shape in shapes:
        places[name] = slice(len(each), len(each) + prod(shape)) if shape else len(each)
        each += [priors[name]] * prod(shape)
    kinds: dict[Any, list[int]] = {}
    for place, prior in enumerate(each):
        unbounded = tuple(np.isinf(prior.support))
        kinds.setdefault((prior.name, tuple(name for name, _ in prior.arguments), unbounded), []).append(place)
    return FreeSites(places, tuple(_group(found, [each[one] for one in found]) for found in kinds.values()))


def _group(places: Sequence[int], priors: Sequence[Prior]) -> CoordinateGroup:
    """Put coordinates of one kind together."""
    into, density = map_into(*(prior.support for prior in priors)), density_of(*priors)
    simpler = WHEN_FREE.get(priors[0].name)
    if simpler is None:
        when_free = _composed(into, density)
    else:
        columns = zip(*(prior.arguments for prior in priors), strict=True)
        when_free = simpler(**{column[0][0]: np.array([number for _, number in column]) for column in columns})
    first, last = places[0], places[-1] + 1
    # Coordinates that follow each other are cut out without a copy.
    place = slice(first, last) if last - first == len(places) else np.array(places)
    return CoordinateGroup(place, into, density, when_free)


Likelihood = Callable[[Mapping[str, np.ndarray], Any], tuple[np.ndarray, Mapping[str, np.ndarray], Any]]
"""From the values of every site, each ``[position, ...]``, and a hint to log likelihoods, slopes and a hint."""


@dataclass(frozen=True)
class ManyPositions:
    """A log posterior density of many positions at once, with its gradient.

    Parameters
    ----------
    sites
        The sites.
    likelihood
        The log likelihood by the values of all sites, with its slope by each of them. What it returns last it is given
        again at the next positions of the same chains: where a search within it may begin. None to begin with.
    """

    sites: FreeSites
    likelihood: Likelihood

    def values(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Map positions, [position, coordinate], to the value of every site, each ``[position, ...]``."""
        values = np.empty(positions.shape)
        for group in self.sites.groups:
            values[:, group.place] = group.into(positions[:, group.place])[0]
        return self.sites.by_site(values)

    def log_prior(self, positions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Log prior density of every site, by element, and the log determinant of the map, [position]."""
        densities, total = np.empty(positions.shape), np.zeros(len(positions))
        for group in self.sites.groups:
            value, _, log_slope, _ = group.into(positions[:, group.place])
            densities[:, group.place] = group.density(value)[0]
            total += log_slope.sum(axis=1)
        return self.sites.by_site(densities), total

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
        values, slopes, priors = (np.empty(positions.shape) for _ in range(3))
        with np.errstate(all="ignore"):
            for group in self.sites.groups:
                value, slope, height, tilt = group.when_free(positions[:, group.place])
                total += height.sum(axis=1)
                values[:, group.place], slopes[:, group.place], priors[:, group.place] = value, slope, tilt
            height, by_value, hint = self.likelihood(self.sites.by_site(values), hint)
            total += height
            for name, place in self.sites.places.items():
                gradient[:, place] = by_value[name]
            gradient *= slopes
            gradient += priors
        if np.isfinite(total).all() and np.isfinite(gradient).all():
            return total, gradient, hint
        finite = np.isfinite(total) & np.isfinite(gradient).all(axis=1)
        return np.where(finite, total, -np.inf), np.where(finite[:, None], gradient, 0.0), hint
