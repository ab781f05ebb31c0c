"""The posterior of a law of rows: the same functions for all tables of a shape, with the table as their data."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from bayeslaw.fitting.given_rows import GivenRows, Outline, Rows, given_rows, outline_of, rows_of
from bayeslaw.fitting.law_coordinates import start_of
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import MEMBER_SCALE, combined_scale
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.posterior.density import Posterior


@dataclass(frozen=True)
class _ManyValues:
    """From flat positions, [draw, coordinate], and `Rows` to the value of every site at each."""

    outline: Outline

    def __call__(self, positions: Array, rows: Rows) -> dict[str, Array]:
        return jax.vmap(lambda position: given_rows(self.outline, rows).values(position)[0])(positions)


@dataclass(frozen=True)
class PriorPotential:
    """From a flat position and `Rows` to minus the log prior density, with the map's log determinant."""

    outline: Outline

    def __call__(self, position: Array, rows: Rows) -> Array:
        """Evaluate at a flat position."""
        model = given_rows(self.outline, rows)
        return model.negative_log_prior(*model.values(position))


@dataclass(frozen=True)
class RowPotential:
    """From a flat position and `Rows` to minus the log posterior density, up to a constant."""

    outline: Outline

    def __call__(self, position: Array, rows: Rows) -> Array:
        """Evaluate at a flat position."""
        model = given_rows(self.outline, rows)
        values, log_determinant = model.values(position)
        return model.negative_log_prior(values, log_determinant) - model.fast_log_likelihood()(values)


@dataclass(frozen=True)
class Information:
    """From a flat position and `Rows` to the curvature of the potential, [coordinate, coordinate].

    That of the likelihood is its Fisher information, ``J' I J`` with the Jacobian ``J`` of the rows' means and
    covariances: positive whatever the residuals, and defined for Laplace noise, whose second derivative vanishes. That
    of the prior is its Hessian.
    """

    outline: Outline

    def __call__(self, position: Array, rows: Rows) -> Array:
        """Evaluate at a flat position."""
        model = given_rows(self.outline, rows)
        if model.dependence is None:
            every_row = jnp.ones(len(model.response), bool)
            likelihood = independent_information(model, position, every_row)
        else:
            likelihood = _shared_information(model, model.dependence, position)
        return likelihood + jax.hessian(PriorPotential(self.outline))(position, rows)


def row_posterior(model: LawModel) -> Posterior:
    """Write the posterior of a law of rows in the coordinates it is sampled in.

    Parameters
    ----------
    model
        The model. Call under float64.

    Returns
    -------
    Posterior
        Its data are what `rows_of` takes from the model.
    """
    outlined, start = outline_of(model), np.asarray(ravel_pytree(start_of(model))[0])
    return Posterior(RowPotential(outlined), start, Information(outlined), PriorPotential(outlined))


def values_at(model: LawModel, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Value of every site at many flat positions, [draw, coordinate]; each of shape ``[draw, ...]``."""
    rows = rows_of(model)
    found = compile_once(_ManyValues(outline_of(model)), positions, rows)(positions, rows)
    return {name: np.asarray(array) for name, array in found.items()}


def _shared_information(model: GivenRows, shared: Dependence, position: Array) -> Array:
    """Fisher information of rows that share errors, by coordinate."""

    def covariance(position: Array) -> Array:
        values, _ = model.values(position)
        return jnp.append(model.variance(values), values[MEMBER_SCALE])

    by_location = jax.jacfwd(lambda position: model.location(model.values(position)[0]))(position)
    variance = covariance(position)
    of_location, of_covariance = shared.information(by_location, variance[:-1], variance[-1])
    by_covariance = jax.jacfwd(covariance)(position)
    return of_location + by_covariance.T @ of_covariance @ by_covariance


def independent_information(model: GivenRows, position: Array, rows: Array) -> Array:
    """Fisher information of some rows as if they were independent, by coordinate; `rows` says which, [row]."""
    distribution = DISTRIBUTIONS[model.noise.distribution]

    def location_and_log_scale(position: Array) -> tuple[Array, Array]:
        values, _ = model.values(position)
        location = model.location(values)
        scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
        return location, jnp.broadcast_to(jnp.log(scale), location.shape)

    location, log_scale = jax.jacfwd(location_and_log_scale)(position)
    scale = jnp.exp(location_and_log_scale(position)[1])
    values = model.values(position)[0]
    weight = jnp.where(rows, distribution.location_information(values) / scale**2, 0.0)
    of_scale = jnp.where(rows, distribution.scale_information(values), 0.0)
    return location.T @ (weight[:, None] * location) + log_scale.T @ (of_scale[:, None] * log_scale)
