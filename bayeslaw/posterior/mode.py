"""The mode of a posterior, and the covariance that the curvature there tells."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import Array
from scipy import optimize

from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.posterior.density import Gradient, Hessian, Posterior, TemperedGradient

START_SPREAD = 0.3
SMALLEST_CURVATURE = 0.05
LONGEST_SEARCH = 1000
STEEPEST_MODE = 1.0
POWERS = (1e-6, 1e-4, 1e-2, 1.0)
"""Powers to which a likelihood is raised, one after another, where a search with all of it gets stuck."""


@dataclass(frozen=True)
class Mode:
    """Where a search of a mode ended.

    Parameters
    ----------
    position
        Flat position, shape ``[coordinate]``.
    height
        Minus the log density there, up to a constant.
    level
        Whether the density has hardly a slope there; otherwise every search stopped where it could not go on.
    """

    position: np.ndarray
    height: float
    level: bool


def find_mode(posterior: Posterior, data: Any, *, starts: int, seed: int) -> Mode:
    """Find the highest of the modes reached from several starts.

    Where the highest end is on a slope, as from a start that fits the data badly, searches that ended so are made again
    with the likelihood brought in by degrees.

    Parameters
    ----------
    posterior, data
        The posterior, and its data. Call under float64.
    starts
        How many starts; the first is the posterior's own, the others are scattered around it.
    seed
        Seed of the scatter.

    Returns
    -------
    Mode
        The highest mode; the highest end of a search where none is level.
    """
    gradient = compile_once(Gradient(posterior.potential), posterior.start, data)
    places = scattered_starts(posterior.start, starts, seed)
    ends = [_descend(lambda position: gradient(position, data), place) for place in places]
    best = min(ends, key=lambda end: end.height)
    if best.level or posterior.prior is None:
        return best
    tempered = compile_once(
        TemperedGradient(posterior.potential, posterior.prior), posterior.start, data, np.asarray(1.0)
    )
    slopes = [place for place, end in zip(places, ends, strict=True) if not end.level]
    ends += [_by_degrees(lambda *given: tempered(given[0], data, np.asarray(given[1])), place) for place in slopes]
    return min([end for end in ends if end.level] or ends, key=lambda end: end.height)


def scattered_starts(start: np.ndarray, starts: int, seed: int) -> np.ndarray:
    """Scatter starts of a search around a position, which is the first of them.

    Parameters
    ----------
    start
        Flat position, shape ``[coordinate]``.
    starts
        How many.
    seed
        Seed of the scatter.

    Returns
    -------
    np.ndarray
        Flat positions, shape ``[start, coordinate]``.
    """
    scatter = np.random.default_rng(seed).normal(0, START_SPREAD, (starts, len(start)))
    scatter[0] = 0
    return start + scatter


def minimize(function: Callable[[Array, Any], Array], starts: np.ndarray, data: Any = ()) -> np.ndarray:
    """Minimise a smooth function from several starts and keep the lowest end.

    Parameters
    ----------
    function
        From a flat position and the data to a scalar. Call under float64.
    starts
        Shape ``[start, coordinate]``.
    data
        What the function takes after the position.

    Returns
    -------
    np.ndarray
        Position of the lowest value found, shape ``[coordinate]``.
    """
    gradient = compile_once(Gradient(function), starts[0], data)
    ends = [_descend(lambda position: gradient(position, data), start) for start in starts]
    return min(ends, key=lambda end: end.height).position


def _descend(gradient: Callable[[np.ndarray], tuple[Any, Any]], start: np.ndarray) -> Mode:
    """Search a minimum from one position, given value and gradient."""

    def value_and_gradient(position: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = map(np.asarray, gradient(position))
        finite = np.isfinite(value) and np.isfinite(slope).all()
        return (float(value), slope) if finite else (1e300, np.zeros_like(position))

    options = {"maxiter": LONGEST_SEARCH}
    found = optimize.minimize(value_and_gradient, start, jac=True, method="BFGS", options=options)
    level = found.fun < 1e300 and bool(np.abs(found.jac).max() < STEEPEST_MODE)
    return Mode(found.x, float(found.fun), level)


def _by_degrees(gradient: Callable[..., tuple[Any, Any]], start: np.ndarray) -> Mode:
    """Search a minimum from one position, given value and gradient for any power of the likelihood."""
    end = Mode(start, np.inf, level=False)
    for power in POWERS:
        end = _descend(lambda position, power=power: gradient(position, power), end.position)
    return end


def factor_at(posterior: Posterior, data: Any, mode: np.ndarray) -> np.ndarray:
    """Factor a posterior's covariance as the curvature at its mode tells it.

    Parameters
    ----------
    posterior, data
        The posterior, and its data. Call under float64.
    mode
        Its mode, shape ``[coordinate]``.

    Returns
    -------
    np.ndarray
        A factor ``F`` with ``F F'`` the covariance, shape ``[coordinate, coordinate]``; the identity where the
        curvature is not finite.
    """
    curvature = posterior.curvature or Hessian(posterior.potential)
    found = np.asarray(compile_once(curvature, mode, data)(mode, data))
    return covariance_factor(found) if np.isfinite(found).all() else np.eye(len(mode))


def covariance_factor(curvature: np.ndarray) -> np.ndarray:
    """Factor the covariance of a normal distribution by the curvature of minus its log density.

    Parameters
    ----------
    curvature
        Symmetric, shape ``[coordinate, coordinate]``.

    Returns
    -------
    np.ndarray
        A factor ``F`` with ``F F'`` the covariance, shape ``[coordinate, coordinate]``; directions of little or
        negative curvature get the width of `SMALLEST_CURVATURE`.
    """
    eigenvalues, vectors = np.linalg.eigh(curvature)
    return vectors / np.sqrt(np.maximum(eigenvalues, SMALLEST_CURVATURE))
