"""A law with its noise over rows of losses: the density of the rows, whose arrays JAX may be tracing."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from bayeslaw.laws.base import POPULATION, SPREAD, Parameter
from bayeslaw.laws.priors import Prior
from bayeslaw.likelihood.compress import Compressed
from bayeslaw.likelihood.noise import MEMBER_SCALE, NOISE_SCALE, combined_scale, observation_distribution
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.likelihood.row_facts import RowFacts


class RowModel(RowFacts):
    """A law with its noise over rows: what it expects of them, their density, and the model that NumPyro samples."""

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
        return self.function(*(covariates[name] for name in self.covariate_names), **chosen)

    def scale(self, values: Mapping[str, Any], group: Any) -> Array:
        """Noise scale of each row, in the response's unit, shape ``[row]`` or scalar."""
        return values[NOISE_SCALE][group] if self.noise_by_group else jnp.asarray(values[NOISE_SCALE])

    def location(self, values: Mapping[str, Any]) -> Array:
        """Response that the law expects of each row, shape ``[row]``, at one draw of constrained values."""
        mean = self.mean(values, self.covariates, self.group_index)
        return RESPONSES[self.noise.response].of_loss(jnp.asarray(mean))

    def variance(self, values: Mapping[str, Any]) -> Array:
        """Variance that rows have of their own, by group, where they share errors; shape ``[group]``."""
        assert self.dependence is not None
        return self.dependence.variance(self.scale(values, np.arange(self.dependence.groups)))

    def prior_model(self) -> dict[str, Any]:
        """Sample every site from its prior: the NumPyro model without the rows."""
        values: dict[str, Any] = {}
        # A share is of what the other parameters add up to.
        for parameter in sorted(self.parameters, key=lambda each: each.prior.relative):
            values |= self._sample_parameter(parameter, values)
        for site, prior in self.noise_priors.items():
            grouped = site == NOISE_SCALE and self.noise_by_group
            values[site] = self._sample(site, prior.distribution(), grouped)
        return values

    def _sample(self, site: str, distribution: dist.Distribution, grouped: bool) -> Any:
        if not grouped:
            return numpyro.sample(site, distribution)
        with numpyro.plate(self.plates[0], self.group_count):
            return numpyro.sample(site, distribution)

    def _sample_parameter(self, parameter: Parameter, values: Mapping[str, Any]) -> dict[str, Any]:
        name, population_name = parameter.name, parameter.name + POPULATION
        prior = parameter.prior.distribution(self._rest(parameter, values) if parameter.prior.relative else None)
        if parameter.pooling != "partial":
            return {name: self._sample(name, prior, parameter.grouped)}
        assert parameter.spread is not None
        population = numpyro.sample(population_name, prior)
        spread = numpyro.sample(name + SPREAD, parameter.spread.distribution())
        groups = self._sample(name, group_distribution(parameter, population, spread), grouped=True)
        return {name: groups, population_name: population}

    def _rest(self, parameter: Parameter, values: Mapping[str, Any]) -> Any:
        """Give the law's loss at the largest budgets without a parameter, by group where that is separate by group.

        Of a parameter that has one prior for all groups it is that of the population; where another parameter has none,
        the mean over the groups.
        """
        by_group = parameter.pooling == "separate"
        others = {
            each.name: values[each.name] if by_group else values.get(each.name + POPULATION, values[each.name])
            for each in self.parameters
            if each.name != parameter.name
        }
        at = [column if by_group else column.max() for column in self.highest]
        rest = jnp.asarray(self.function(*at, **{parameter.name: 0.0}, **others))
        return rest if by_group or not rest.ndim else rest.mean()

    def __call__(self, observed: bool = True) -> None:
        """Run the NumPyro model, rows and all.

        Parameters
        ----------
        observed
            Whether the rows' responses are conditioned on; without, they are drawn.
        """
        values = self.prior_model()
        if (shared := self.dependence) is not None:
            loadings = shared.scaled_loadings(values[MEMBER_SCALE])
            joint = dist.LowRankMultivariateNormal(
                self.location(values), loadings, self.variance(values)[self.group_index]
            )
            numpyro.sample(self.noise.response, joint, obs=self.response if observed else None)
            return
        distribution = self._rows(values)
        with numpyro.plate(self.plates[1], len(self.response)):
            numpyro.sample(self.noise.response, distribution, obs=self.response if observed else None)

    def _rows(self, values: Mapping[str, Any]) -> dist.Distribution:
        mean = self.mean(values, self.covariates, self.group_index)
        scale = combined_scale(self.scale(values, self.group_index), self.standard_error)
        return observation_distribution(self.noise, mean, scale, values)

    def log_likelihood(self, values: Mapping[str, Any], response: Any = None) -> Array:
        """Log density of each row's response at one draw of constrained values.

        Parameters
        ----------
        values
            Constrained value of every site.
        response
            Responses in place of the observed ones, shape ``[row]``.

        Returns
        -------
        Array
            Shape ``[row]``. Of rows that share errors the density given all other rows, whose sum is not the joint one.
        """
        response = self.response if response is None else response
        if self.dependence is not None:
            residual = jnp.asarray(response) - self.location(values)
            return self.dependence.conditional_log_density(residual, self.variance(values), values[MEMBER_SCALE])
        return jnp.asarray(self._rows(values).log_prob(response))

    def joint_log_likelihood(self, values: Mapping[str, Any], response: Any = None) -> Array:
        """Joint log density of the rows' responses, scalar; arguments as of `log_likelihood`."""
        response = self.response if response is None else response
        if self.dependence is None:
            return self.log_likelihood(values, response).sum()
        residual = jnp.asarray(response) - self.location(values)
        return self.dependence.log_density(residual, self.variance(values), values[MEMBER_SCALE])

    def draw_effects(self, values: Mapping[str, Any], key: Array) -> Array:
        """Draw what the rows share from its distribution given the rows, at one draw of constrained values.

        Parameters
        ----------
        values
            Constrained value of every site.
        key
            JAX random key.

        Returns
        -------
        Array
            Effects in units of their scales, in the order of `Dependence.loadings`, shape ``[effect]``.
        """
        assert self.dependence is not None
        standard = jax.random.normal(key, (self.dependence.loadings.shape[1],))
        weighted, _ = self.shared_sums(values)
        return self.dependence.draw_effects(weighted, self.variance(values), values[MEMBER_SCALE], standard)

    def shared_sums(self, values: Mapping[str, Any]) -> tuple[Array, Array]:
        """Sum over rows that share errors, at the least cost, at one draw of constrained values.

        Parameters
        ----------
        values
            Constrained value of every site.

        Returns
        -------
        weighted : Array
            ``[L, M, C, W]' D^-1 r``, shape ``[effect]``.
        squares : Array
            ``r' D^-1 r``, scalar.
        """
        assert self.dependence is not None
        variance, nodes = self.variance(values), self.compressed
        if nodes is None:
            return self.dependence.sums(jnp.asarray(self.response) - self.location(values), variance)
        projected = jnp.sqrt(nodes.weight) * self._node_residual(nodes, values)
        weighted = (projected / variance[nodes.group]) @ nodes.loadings + (1 / variance) @ nodes.rest
        return weighted, (projected**2 / variance[nodes.group]).sum() + (nodes.remainder / variance).sum()

    @property
    def needed_sites(self) -> tuple[str, ...]:
        """Sites that the rows' density depends on."""
        return (*(parameter.name for parameter in self.parameters), *self.noise_priors)

    def fast_log_likelihood(self) -> Callable[[Mapping[str, Any]], Array]:
        """Build the cheapest exact total log likelihood.

        Returns
        -------
        Callable
            From constrained values to a scalar: over Gauss nodes where they stand for the rows to a relative
            `COMPRESSION_ERROR` in the sums that it is made of, else over all rows.
        """
        if (shared := self.dependence) is not None:
            return lambda values: shared.log_density_of_sums(
                *self.shared_sums(values), self.variance(values), values[MEMBER_SCALE]
            )
        nodes = self.compressed
        return self.joint_log_likelihood if nodes is None else self._over_nodes(nodes)

    def _node_residual(self, nodes: Compressed, values: Mapping[str, Any]) -> Array:
        mean = self.mean(values, {self.covariate_names[0]: jnp.exp(nodes.abscissa)}, nodes.group)
        return jnp.asarray(nodes.response) - RESPONSES[self.noise.response].of_loss(jnp.asarray(mean))

    def _over_nodes(self, nodes: Compressed) -> Callable[[Mapping[str, Any]], Array]:
        log_two_pi = np.log(2 * np.pi)

        def log_likelihood(values: Mapping[str, Any]) -> Array:
            groups = np.arange(len(nodes.count))
            scale = jnp.broadcast_to(self.scale(values, groups), groups.shape)
            squares = nodes.weight * self._node_residual(nodes, values) ** 2
            scatter = (squares / scale[nodes.group] ** 2).sum() + (nodes.remainder / scale**2).sum()
            return -0.5 * scatter - (nodes.count * (jnp.log(scale) + 0.5 * log_two_pi)).sum()

        return log_likelihood


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
