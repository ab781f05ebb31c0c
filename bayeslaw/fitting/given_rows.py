"""A law and its noise over rows that are given as arrays, so that what is compiled serves all tables of a shape."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
from jax import Array
from numpyro.infer.util import log_density

from bayeslaw.fitting.law_coordinates import Coordinates, start_of
from bayeslaw.laws.base import Parameter
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.compress import Compressed
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.likelihood.row_facts import LevelScales
from bayeslaw.likelihood.row_model import RowModel
from bayeslaw.posterior.coordinates import numbers_of, outline, unravel, with_numbers

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
        As `bayeslaw.likelihood.row_facts.RowFacts` has them.
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
