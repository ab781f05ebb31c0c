"""The mode of a posterior, the curvature there, and modes under flat priors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import log_density
from scipy import optimize

from bayeslaw.model import LawModel
from bayeslaw.noise import MEMBER_SCALE, combined_scale
from bayeslaw.noise_distributions import DISTRIBUTIONS
from bayeslaw.sampling.compiled import compile_for, compiled_gradient
from bayeslaw.sampling.coordinates import Coordinates

START_SPREAD = 0.3
SMALLEST_CURVATURE = 0.05


@dataclass(frozen=True)
class Target:
    """A log posterior density over flat positions.

    Parameters
    ----------
    model
        The model.
    start
        A position near the data, shape ``[coordinate]``.
    values
        Maps a flat position to the value of every site and the log determinant of the map.
    potential
        Minus the log posterior density of a flat position, up to a constant.
    log_prior
        Log prior density of a flat position, with the map's log determinant.
    """

    model: LawModel
    start: np.ndarray
    values: Callable[[Array], tuple[dict[str, Array], Array]]
    potential: Callable[[Array], Array]
    log_prior: Callable[[Array], Array]


def make_target(model: LawModel) -> Target:
    """Write a model's posterior in the coordinates it is sampled in.

    Parameters
    ----------
    model
        The model. Call under float64.

    Returns
    -------
    Target
        Pure functions, ready to be compiled.
    """
    coordinates = Coordinates(model)
    flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, coordinates.start()))
    log_likelihood = model.fast_log_likelihood()

    def values(position: Array) -> tuple[dict[str, Array], Array]:
        return coordinates.values(unravel(position))

    def log_prior_of(constrained: dict[str, Array], log_determinant: Array) -> Array:
        return log_density(model.prior_model, (), {}, constrained)[0] + log_determinant

    def potential(position: Array) -> Array:
        constrained, log_determinant = values(position)
        return -(log_prior_of(constrained, log_determinant) + log_likelihood(constrained))

    return Target(model, np.asarray(flat), values, potential, lambda position: log_prior_of(*values(position)))


@runtime_checkable
class Start(Protocol):
    """A density over flat positions, and a position near its mode."""

    @property
    def start(self) -> np.ndarray:
        """Flat position, shape ``[coordinate]``."""
        ...

    @property
    def potential(self) -> Callable[[Array], Array]:
        """From a flat position to minus its log density."""
        ...


def find_mode(target: Start, *, starts: int, seed: int) -> np.ndarray:
    """Find the highest of the modes reached from several starts.

    Parameters
    ----------
    target
        The posterior.
    starts
        How many starts; the first is the target's own, the others are scattered around it.
    seed
        Seed of the scatter.

    Returns
    -------
    np.ndarray
        Flat position of the mode, shape ``[coordinate]``.
    """
    return minimize(target.potential, scattered_starts(target.start, starts, seed))


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


def minimize(function: Callable[..., Array], starts: np.ndarray, *scalars: float) -> np.ndarray:
    """Minimise a smooth function from several starts and keep the lowest end.

    Parameters
    ----------
    function
        From a flat position, and the scalars, to a scalar.
    starts
        Shape ``[start, coordinate]``.
    *scalars
        What the function takes after the position.

    Returns
    -------
    np.ndarray
        Position of the lowest value found, shape ``[coordinate]``.
    """
    compiled = compiled_gradient(function, starts.shape[1], len(scalars))

    def value_and_gradient(position: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = map(np.asarray, compiled(position, *scalars))
        finite = np.isfinite(value) and np.isfinite(gradient).all()
        return (float(value), gradient) if finite else (1e300, np.zeros_like(position))

    ends = [
        optimize.minimize(value_and_gradient, start, jac=True, method="BFGS", options={"maxiter": 1000})
        for start in starts
    ]
    return min(ends, key=lambda end: end.fun).x


def preconditioner(target: Target, mode: np.ndarray) -> np.ndarray:
    """Factor the posterior's covariance as the curvature at the mode tells it.

    The curvature of the likelihood is its Fisher information, ``J' I J`` with the Jacobian ``J`` of the rows' means and
    covariances: positive whatever the residuals, and defined for Laplace noise, whose second derivative vanishes. That
    of the prior is its Hessian. Directions of little or negative curvature get the width of `SMALLEST_CURVATURE`.

    Parameters
    ----------
    target
        The posterior.
    mode
        Its mode, shape ``[coordinate]``.

    Returns
    -------
    np.ndarray
        A factor ``F`` with ``F F'`` the covariance, shape ``[coordinate, coordinate]``.
    """
    model = target.model

    def curvature(position: Array) -> Array:
        likelihood = _shared_information if model.dependence is not None else _independent_information
        return likelihood(target, position) - jax.hessian(target.log_prior)(position)

    position = jnp.asarray(mode)
    return covariance_factor(np.asarray(compile_for(curvature, position)(position)))


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


def _shared_information(target: Target, position: Array) -> Array:
    """Fisher information of rows that share errors, by coordinate."""
    model = target.model
    assert model.dependence is not None

    def covariance(position: Array) -> Array:
        values, _ = target.values(position)
        return jnp.append(model.variance(values), values[MEMBER_SCALE])

    by_location = jax.jacfwd(lambda position: model.location(target.values(position)[0]))(position)
    variance = covariance(position)
    of_location, of_covariance = model.dependence.information(by_location, variance[:-1], variance[-1])
    by_covariance = jax.jacfwd(covariance)(position)
    return of_location + by_covariance.T @ of_covariance @ by_covariance


def _independent_information(target: Target, position: Array) -> Array:
    """Fisher information of independent rows, by coordinate."""
    model = target.model
    distribution = DISTRIBUTIONS[model.noise.distribution]

    def location_and_log_scale(position: Array) -> tuple[Array, Array]:
        values, _ = target.values(position)
        scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
        location = model.location(values)
        return location, jnp.broadcast_to(jnp.log(scale), location.shape)

    location, log_scale = jax.jacfwd(location_and_log_scale)(position)
    scale = jnp.exp(location_and_log_scale(position)[1])
    values = target.values(position)[0]
    weight = distribution.location_information(values) / scale**2
    return location.T @ (weight[:, None] * location) + distribution.scale_information(values) * log_scale.T @ log_scale


def flat_prior_mode(model: LawModel, *, starts: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """Maximise the likelihood alone: what published point fits report.

    Parameters
    ----------
    model
        The model; its pooling must not be partial, since flat priors say nothing of spreads. Call under float64.
    starts
        How many starts.
    seed
        Seed of the scatter of the starts.

    Returns
    -------
    dict
        Value of every parameter and noise site.
    """
    target = make_target(model)
    log_likelihood, rounded = model.fast_log_likelihood(), DISTRIBUTIONS[model.noise.distribution].rounded_cost

    def negative(position: Array, smoothing: Array) -> Array:
        values, _ = target.values(position)
        if rounded is not None:
            return _rounded_cost(model, rounded, values, smoothing)
        return -log_likelihood(values)

    position = minimize(negative, scattered_starts(target.start, starts, seed), 1e-1)
    for smoothing in (0.0,) if rounded is None else (1e-2, 1e-3, 1e-4):
        position = minimize(negative, position[None], smoothing)
    return {name: np.asarray(value) for name, value in target.values(jnp.asarray(position))[0].items()}


def _rounded_cost(
    model: LawModel, cost: Callable[[Any, Any, Any], Array], values: dict[str, Any], smoothing: Array
) -> Array:
    """Negative log likelihood with its kink rounded over `smoothing` scales, so that gradients lead to the mode."""
    location = model.location(values)
    scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
    scale = jnp.broadcast_to(scale, location.shape)
    residual = (model.response - location) / scale
    return cost(residual, scale, smoothing).sum()
