"""What is worked out of the draws of a law of rows: programs that hold no data, so that each is compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro import handlers

from bayeslaw.fitting.given_rows import GivenRows, Outline, Rows, given_rows
from bayeslaw.likelihood.compiled import one_by_one
from bayeslaw.likelihood.noise import combined_scale, draw_losses
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.likelihood.row_model import RowModel


def log_prior(model: RowModel, values: Mapping[str, Any]) -> dict[str, Array]:
    """Log prior density of every site at one draw, as the NumPyro model has it.

    Parameters
    ----------
    model
        The model.
    values
        Constrained value of every site.

    Returns
    -------
    dict
        One array a site, of the site's shape.
    """
    sites = handlers.trace(
        handlers.substitute(handlers.seed(model.prior_model, jax.random.PRNGKey(0)), dict(values))
    ).get_trace()
    return {name: site["fn"].log_prob(site["value"]) for name, site in sites.items() if site["type"] == "sample"}


@dataclass(frozen=True)
class PriorDraws:
    """From keys, [draw], and `Rows` to a draw of every site from the prior for each."""

    outline: Outline

    def __call__(self, keys: Array, rows: Rows) -> dict[str, Array]:
        """Draw."""
        model = given_rows(self.outline, rows)

        def one(key: Array) -> dict[str, Array]:
            trace = handlers.trace(handlers.seed(model.prior_model, key)).get_trace()
            return {name: site["value"] for name, site in trace.items() if site["type"] == "sample"}

        return jax.vmap(one)(keys)


@dataclass(frozen=True)
class LogPriors:
    """From draws of every site and `Rows` to the log prior density of each site at each draw."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], rows: Rows) -> dict[str, Array]:
        """Evaluate at all draws."""
        model = given_rows(self.outline, rows)
        return jax.vmap(lambda one: log_prior(model, one))(dict(values))


@dataclass(frozen=True)
class JointDensities:
    """From draws of every site and `Rows` to the joint log density of all rows, [draw]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], rows: Rows) -> Array:
        """Evaluate at all draws."""
        return one_by_one(given_rows(self.outline, rows).fast_log_likelihood())(dict(values))


@dataclass(frozen=True)
class RowDensities:
    """From draws, keys and `Rows` to the log density of each independent row, [draw, row]; keys are not used."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Evaluate at all draws."""
        model = given_rows(self.outline, rows)
        return jax.vmap(lambda one: model.log_likelihood(one).astype(jnp.float32))(dict(values))


@dataclass(frozen=True)
class Replicates:
    """From draws, keys and `Rows` to replicates of independent rows, [draw, row]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Draw for all draws."""
        model = given_rows(self.outline, rows)
        return jax.vmap(lambda one, key: _independent_rows(model, one, key).astype(jnp.float32))(dict(values), keys)


@dataclass(frozen=True)
class Locations:
    """From draws and `Rows` that share errors to the law, [draw, row], and the variance of each group, [draw, group].

    Both are in the response's unit.
    """

    outline: Outline

    def __call__(self, values: Mapping[str, Array], rows: Rows) -> tuple[Array, Array]:
        """Evaluate at all draws."""
        model = given_rows(self.outline, rows)
        return jax.vmap(lambda one: (model.location(one), model.variance(one)))(dict(values))


@dataclass(frozen=True)
class ExpectedLosses:
    """From draws, covariates, [row] each, groups, [row], and `Rows` to the law's losses there, [draw, row]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], covariates: Mapping[str, Array], group: Array, rows: Rows) -> Array:
        """Evaluate at all draws, in the loss unit."""
        model = given_rows(self.outline, rows)
        return jax.vmap(lambda one: jnp.broadcast_to(model.mean(one, covariates, group), group.shape))(dict(values))


@dataclass(frozen=True)
class SharedEffects:
    """From draws of the posterior, keys and `Rows` to what the rows share given the rows, [draw, effect]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Draw for all draws."""
        return one_by_one(given_rows(self.outline, rows).draw_effects)(dict(values), keys)


def _independent_rows(model: GivenRows, values: Mapping[str, Any], key: Array) -> Array:
    mean = model.mean(values, model.covariates, model.group_index)
    scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
    losses = draw_losses(key, model.noise, mean, jnp.broadcast_to(scale, mean.shape), values)
    return RESPONSES[model.noise.response].of_loss(losses)
