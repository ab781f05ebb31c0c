"""The posterior of a law of rows: the same functions for all tables of a shape, with the table as their data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import log_density

from bayeslaw.fitting.law_coordinates import Coordinates, start_of
from bayeslaw.laws.base import Parameter
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.compress import Compressed
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import MEMBER_SCALE, Noise, combined_scale
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.row_model import LevelScales, RowModel
from bayeslaw.posterior.coordinates import numbers_of, outline, unravel, with_numbers
from bayeslaw.posterior.density import Posterior

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class Rows(NamedTuple):
    """What the posterior of a law takes from a table, arrays all of them.

    Parameters
    ----------
    response, standard_error, group_index, dependence, compressed
        As `bayeslaw.likelihood.law_model.LawModel` has them.
    covariates
        Covariates relative to their references, in the order of the law's function, each of shape ``[row]``.
    budget_range
        As `bayeslaw.likelihood.law_model.LawModel` has it; empty where the coordinates do not need it.
    numbers
        Locations and scales of the priors, defaults scaled to the table among them, shape ``[number]``.
    highest
        As `bayeslaw.likelihood.law_model.LawModel` has it; empty where no prior needs it.
    level_scales
        As `bayeslaw.likelihood.law_model.LawModel` has it; None where the coordinates do not need it.
    """

    response: Any
    standard_error: Any
    covariates: tuple[Any, ...]
    group_index: Any
    dependence: Dependence | None
    compressed: Compressed | None
    budget_range: tuple[Any, ...]
    numbers: Any
    highest: tuple[Any, ...] = ()
    level_scales: LevelScales | None = None


@dataclass(frozen=True)
class Outline:
    """A law and its noise without anything that is taken from a table: equal for tables of one kind.

    Parameters
    ----------
    function, covariate_names, plates, group_count, noise_by_group
        As `bayeslaw.likelihood.row_model.RowModel` has them.
    parameters, noise_priors
        The same, and the site of each, with priors of which only the outlines are given.
    noise
        The noise without its priors.
    shapes
        Name and shape of each coordinate, in the order of a flat position.
    """

    function: Callable[..., Any]
    covariate_names: tuple[str, ...]
    plates: tuple[str, str]
    group_count: int
    noise_by_group: bool
    parameters: tuple[Parameter, ...]
    noise_priors: tuple[tuple[str, Prior], ...]
    noise: Noise
    shapes: Shapes


@final
@dataclass(frozen=True)
class GivenRows(RowModel):
    """A law and its noise over rows that are given as arrays.

    Parameters
    ----------
    noise
        The noise without its priors.
    outline
        What does not depend on the rows.
    rows
        The rows.
    """

    noise: Noise
    outline: Outline
    rows: Rows

    @property
    def function(self) -> Callable[..., Any]:
        """The law's function."""
        return self.outline.function

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the covariates."""
        return self.outline.covariate_names

    @property
    def plates(self) -> tuple[str, str]:
        """Names of the plates of groups and of rows."""
        return self.outline.plates

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return self.outline.group_count

    @property
    def noise_by_group(self) -> bool:
        """Whether each group has a noise scale of its own."""
        return self.outline.noise_by_group

    @cached_property
    def _priors(self) -> tuple[tuple[Parameter, ...], dict[str, Prior]]:
        left = iter([self.rows.numbers[index] for index in range(self.rows.numbers.shape[0])])
        parameters = [
            replace(
                parameter,
                prior=with_numbers(parameter.prior, left),
                spread=None if parameter.spread is None else with_numbers(parameter.spread, left),
            )
            for parameter in self.outline.parameters
        ]
        return tuple(parameters), {site: with_numbers(prior, left) for site, prior in self.outline.noise_priors}

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The law's parameters with priors."""
        return self._priors[0]

    @cached_property
    def noise_priors(self) -> dict[str, Prior]:
        """Priors of the noise's sites."""
        return self._priors[1]

    @property
    def response(self) -> Any:
        """Loss or log loss of each row."""
        return self.rows.response

    @property
    def standard_error(self) -> Any:
        """Known standard error of the response of each row, or None."""
        return self.rows.standard_error

    @cached_property
    def dependence(self) -> Dependence | None:
        """What the rows share."""
        return self.rows.dependence

    @cached_property
    def group_index(self) -> Any:
        """Index of each row's group."""
        return self.rows.group_index

    @cached_property
    def covariates(self) -> dict[str, Any]:
        """Covariates relative to their references."""
        return dict(zip(self.covariate_names, self.rows.covariates, strict=True))

    @cached_property
    def compressed(self) -> Compressed | None:
        """The rows' Gauss nodes."""
        return self.rows.compressed

    @cached_property
    def budget_range(self) -> tuple[Any, Any]:
        """Lowest and highest log budget of each group."""
        low, high = self.rows.budget_range
        return low, high

    @cached_property
    def highest(self) -> tuple[Any, ...]:
        """Largest value of each covariate by group."""
        return self.rows.highest

    @cached_property
    def level_scales(self) -> LevelScales:
        """Where the data put the levels of each group."""
        assert self.rows.level_scales is not None
        return self.rows.level_scales

    def values(self, position: Array) -> tuple[dict[str, Array], Array]:
        """Value of every site at a flat position, and the log determinant of the map."""
        return Coordinates(self).values(unravel(position, self.outline.shapes))

    def negative_log_prior(self, values: dict[str, Any], log_determinant: Array) -> Array:
        """Minus the log prior density of the value of every site, in free coordinates, scalar."""
        return -(log_density(self.prior_model, (), {}, values)[0] + log_determinant)


def given_rows(outline: Outline, rows: Rows) -> GivenRows:
    """Put an outline and rows together."""
    return GivenRows(outline.noise, outline, rows)


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


def outline_of(model: LawModel) -> Outline:
    """Take from a model what does not depend on its rows."""
    parameters = [
        replace(
            parameter,
            prior=outline(parameter.prior),
            spread=None if parameter.spread is None else outline(parameter.spread),
        )
        for parameter in model.parameters
    ]
    return Outline(
        function=model.function,
        covariate_names=model.covariate_names,
        plates=model.plates,
        group_count=model.group_count,
        noise_by_group=model.noise_by_group,
        parameters=tuple(parameters),
        noise_priors=tuple((site, outline(prior)) for site, prior in model.noise_priors.items()),
        noise=replace(model.noise, scale=None, degrees_of_freedom=None, member_scale=None),
        shapes=tuple((name, np.shape(array)) for name, array in sorted(start_of(model).items())),
    )


def rows_of(model: LawModel) -> Rows:
    """Take from a model what its posterior needs of its rows."""
    priors = [prior for parameter in model.parameters for prior in (parameter.prior, parameter.spread)]
    return Rows(
        response=model.response,
        standard_error=model.standard_error,
        covariates=tuple(model.covariates[name] for name in model.covariate_names),
        group_index=model.group_index,
        dependence=model.dependence,
        compressed=model.compressed,
        budget_range=model.budget_range if Coordinates(model).uses_levels else (),
        numbers=numbers_of([*priors, *model.noise_priors.values()]),
        highest=model.highest,
        level_scales=level_scales_of(model),
    )


def level_scales_of(model: LawModel) -> LevelScales | None:
    """Take from a model where its data put the levels, which depends on the losses; None where they are not sampled."""
    return model.level_scales if Coordinates(model).uses_levels else None


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
