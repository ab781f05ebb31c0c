"""Law, grouping and noise, put together as a NumPyro model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from bayeslaw.laws.base import POPULATION, SPREAD, Law, Parameter
from bayeslaw.noise import (
    DEGREES_OF_FREEDOM,
    NOISE_SCALE,
    Noise,
    combined_scale,
    noise_priors,
    observation_distribution,
    response_of,
)
from bayeslaw.observations import Observations
from bayeslaw.priors import Prior
from bayeslaw.regimes import REGIMES
from bayeslaw.sampling.compress import Compressed, compress_rows, compression_error

COMPRESSION_PAYS = 200
COMPRESSION_ERROR = 1e-8


@dataclass(frozen=True)
class LawModel:
    """A law with its noise and the rows it is fitted to.

    Parameters
    ----------
    law
        The law.
    noise
        The noise.
    observations
        The rows.
    """

    law: Law
    noise: Noise
    observations: Observations

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The law's parameters with priors."""
        return self.law.parameters(self.observations)

    @cached_property
    def _response_and_error(self) -> tuple[np.ndarray, np.ndarray | None]:
        return response_of(self.noise, self.observations)

    @property
    def response(self) -> np.ndarray:
        """Loss or log loss of each row, shape ``[row]``."""
        return self._response_and_error[0]

    @property
    def standard_error(self) -> np.ndarray | None:
        """Known standard error of the response of each row, shape ``[row]``, or None."""
        return self._response_and_error[1]

    @cached_property
    def noise_priors(self) -> dict[str, Prior]:
        """Priors of the noise's sites."""
        return noise_priors(self.noise, self.response)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have rows; empty where neither law nor noise varies by group."""
        names = self.observations.groups.get(self.law.group)
        if names is None or not (self.law.varies or self.noise_by_group):
            return ()
        present = {str(name) for name in names}
        order = REGIMES if self.law.group == "regime" else sorted(present)
        return tuple(name for name in order if name in present)

    @property
    def noise_by_group(self) -> bool:
        """Whether each group has a noise scale of its own."""
        wanted = self.law.noise_by_group if self.noise.by_group is None else self.noise.by_group
        return wanted and self.law.group in self.observations.groups

    @cached_property
    def group_index(self) -> np.ndarray:
        """Index of each row's group, shape ``[row]``; zeros where there are no groups."""
        if not self.groups:
            return np.zeros(len(self.response), dtype=int)
        return np.array([self.groups.index(str(name)) for name in self.observations.groups[self.law.group]])

    @cached_property
    def covariates(self) -> dict[str, np.ndarray]:
        """Covariates relative to their references, each of shape ``[row]``."""
        reference = self.observations.reference
        return {name: values / reference[name] for name, values in self.observations.covariates.items()}

    @property
    def sites(self) -> dict[str, Prior]:
        """Prior of every site that has one of its own, in the order sampled."""
        sites: dict[str, Prior] = {}
        for parameter in self.parameters:
            if parameter.pooling == "partial":
                assert parameter.spread is not None
                sites |= {parameter.name + POPULATION: parameter.prior, parameter.name + SPREAD: parameter.spread}
            else:
                sites[parameter.name] = parameter.prior
        return sites | self.noise_priors

    def mean(self, values: Mapping[str, Any], covariates: Mapping[str, Any], group: Any) -> Array:
        """Evaluate the law.

        Parameters
        ----------
        values
            Value of every parameter, of shape ``[group]`` where grouped, else scalar.
        covariates
            Covariates relative to their references, each of shape ``[row]``.
        group
            Index of each row's group, shape ``[row]``.

        Returns
        -------
        Array
            Loss of each row in the loss unit, shape ``[row]``.
        """
        chosen = {p.name: values[p.name][group] if p.grouped else values[p.name] for p in self.parameters}
        return type(self.law).function(*(covariates[name] for name in self.law.covariates), **chosen)

    def scale(self, values: Mapping[str, Any], group: Any) -> Array:
        """Noise scale of each row, in the response's unit, shape ``[row]`` or scalar."""
        return values[NOISE_SCALE][group] if self.noise_by_group else jnp.asarray(values[NOISE_SCALE])

    def prior_model(self) -> dict[str, Any]:
        """Sample every site from its prior: the NumPyro model without the rows."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            values[parameter.name] = self._sample_parameter(parameter)
        for site, prior in self.noise_priors.items():
            grouped = site == NOISE_SCALE and self.noise_by_group
            values[site] = self._sample(site, prior.distribution(), grouped)
        return values

    def _sample(self, site: str, distribution: dist.Distribution, grouped: bool) -> Any:
        if not grouped:
            return numpyro.sample(site, distribution)
        with numpyro.plate(self.law.group, len(self.groups)):
            return numpyro.sample(site, distribution)

    def _sample_parameter(self, parameter: Parameter) -> Any:
        if parameter.pooling != "partial":
            return self._sample(parameter.name, parameter.prior.distribution(), parameter.grouped)
        assert parameter.spread is not None
        population = numpyro.sample(parameter.name + POPULATION, parameter.prior.distribution())
        spread = numpyro.sample(parameter.name + SPREAD, parameter.spread.distribution())
        return self._sample(parameter.name, group_distribution(parameter, population, spread), grouped=True)

    def __call__(self, observed: bool = True) -> None:
        """Run the NumPyro model, rows and all.

        Parameters
        ----------
        observed
            Whether the rows' responses are conditioned on; without, they are drawn.
        """
        values = self.prior_model()
        mean = self.mean(values, self.covariates, self.group_index)
        scale = combined_scale(self.scale(values, self.group_index), self.standard_error)
        distribution = observation_distribution(self.noise, mean, scale, values.get(DEGREES_OF_FREEDOM))
        with numpyro.plate(self.observations.row_dimension, len(self.response)):
            numpyro.sample(self.noise.response, distribution, obs=self.response if observed else None)

    def log_likelihood(self, values: Mapping[str, Any]) -> Array:
        """Log density of each row's response, shape ``[row]``, at one draw of constrained values."""
        mean = self.mean(values, self.covariates, self.group_index)
        scale = combined_scale(self.scale(values, self.group_index), self.standard_error)
        rows = observation_distribution(self.noise, mean, scale, values.get(DEGREES_OF_FREEDOM))
        return jnp.asarray(rows.log_prob(self.response))

    @cached_property
    def compressed(self) -> Compressed | None:
        """The rows' Gauss nodes, where they stand for the rows exactly and save work."""
        simple = self.noise.family == "normal" and self.standard_error is None and len(self.law.covariates) == 1
        if not simple or len(self.response) < COMPRESSION_PAYS:
            return None
        abscissa = np.log(self.covariates[self.law.covariates[0]])
        nodes = compress_rows(abscissa, self.response, self.group_index, max(len(self.groups), 1))
        exact = compression_error(nodes, abscissa, self.response, self.group_index) < COMPRESSION_ERROR
        return nodes if exact else None

    def fast_log_likelihood(self) -> Callable[[Mapping[str, Any]], Array]:
        """Build the cheapest exact total log likelihood.

        Returns
        -------
        Callable
            From constrained values to a scalar: over Gauss nodes where they stand for the rows to a relative
            `COMPRESSION_ERROR` in the sum of squares, else over all rows.
        """
        nodes = self.compressed
        return (lambda values: self.log_likelihood(values).sum()) if nodes is None else self._over_nodes(nodes)

    def _over_nodes(self, nodes: Compressed) -> Callable[[Mapping[str, Any]], Array]:
        covariate = {self.law.covariates[0]: np.exp(nodes.abscissa)}
        log_two_pi = np.log(2 * np.pi)

        def log_likelihood(values: Mapping[str, Any]) -> Array:
            mean = self.mean(values, covariate, nodes.group)
            location = jnp.log(mean) if self.noise.response == "log_loss" else mean
            groups = np.arange(len(nodes.count))
            scale = jnp.broadcast_to(self.scale(values, groups), groups.shape)
            squares = nodes.weight * (nodes.response - location) ** 2
            scatter = (squares / scale[nodes.group] ** 2).sum() + (nodes.remainder / scale**2).sum()
            return -0.5 * scatter - (nodes.count * (jnp.log(scale) + 0.5 * log_two_pi)).sum()

        return log_likelihood

    def __str__(self) -> str:
        """Equation, priors, grouping and noise."""
        noise = self.noise.describe(
            self.noise_priors,
            group=self.law.group if self.noise_by_group else None,
            standard_errors=self.standard_error is not None,
        )
        return f"{self.law.describe(self.observations)}\n{noise}"


def group_distribution(parameter: Parameter, population: Any, spread: Any) -> dist.Distribution:
    """Distribution of a partially pooled parameter over groups.

    Parameters
    ----------
    parameter
        The parameter.
    population
        Population value, in the parameter's unit.
    spread
        Standard deviation between groups, of the logarithm for positive parameters.

    Returns
    -------
    numpyro.distributions.Distribution
        Log-normal around a positive population value, normal around one of any sign.
    """
    if parameter.positive:
        return dist.LogNormal(jnp.log(population), spread)
    return dist.Normal(population, spread)
