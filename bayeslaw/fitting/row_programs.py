"""What is worked out of the draws of a law of rows: programs that hold no data, so that each is compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro import handlers

from bayeslaw.fitting.row_posterior import GivenRows, Outline, Rows, given_rows
from bayeslaw.likelihood.compiled import one_by_one
from bayeslaw.likelihood.noise import MEMBER_SCALE, combined_scale, draw_losses
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
    """From draws, keys and `Rows` to the log density of each row, [draw, row]; keys are not used."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Evaluate at all draws."""
        return _by_draw(given_rows(self.outline, rows), lambda model, one, _: model.log_likelihood(one), values, keys)


@dataclass(frozen=True)
class Replicates:
    """From draws of the posterior, keys and `Rows` to replicates of the rows, [draw, row].

    Where rows share errors the replicates are of the same members on the same samples: what they share is drawn from
    its distribution given the rows, what a row has of its own is drawn afresh.
    """

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Draw for all draws."""
        return _by_draw(given_rows(self.outline, rows), _replicate, values, keys)


@dataclass(frozen=True)
class PriorReplicates:
    """From draws of the prior, keys and `Rows` to rows drawn from the model, with fresh effects, [draw, row]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Draw for all draws."""
        return _by_draw(given_rows(self.outline, rows), _prior_replicate, values, keys)


@dataclass(frozen=True)
class SharedEffects:
    """From draws of the posterior, keys and `Rows` to what the rows share given the rows, [draw, effect]."""

    outline: Outline

    def __call__(self, values: Mapping[str, Array], keys: Array, rows: Rows) -> Array:
        """Draw for all draws."""
        return one_by_one(given_rows(self.outline, rows).draw_effects)(dict(values), keys)


def _by_draw(model: GivenRows, function: Any, values: Mapping[str, Array], keys: Array) -> Array:
    """Map a function of a model, one draw and one key over draws; in float32, [draw, row]."""
    # What factorises matrices is not for batches.
    over_draws = jax.vmap if model.dependence is None else one_by_one
    return over_draws(lambda one, key: function(model, one, key).astype(jnp.float32))(dict(values), keys)


def _replicate(model: GivenRows, values: Mapping[str, Any], key: Array) -> Array:
    if model.dependence is None:
        return _independent_rows(model, values, key)
    effects, noise_key = jax.random.split(key)
    return _rows_given_effects(model, values, model.draw_effects(values, effects), noise_key)


def _prior_replicate(model: GivenRows, values: Mapping[str, Any], key: Array) -> Array:
    if model.dependence is None:
        return _independent_rows(model, values, key)
    effects, noise_key = jax.random.split(key)
    fresh = jax.random.normal(effects, (model.dependence.loadings.shape[1],))
    return _rows_given_effects(model, values, fresh, noise_key)


def _rows_given_effects(model: GivenRows, values: Mapping[str, Any], effects: Array, key: Array) -> Array:
    assert model.dependence is not None
    common = model.dependence.scaled_loadings(values[MEMBER_SCALE]) @ effects
    deviation = jnp.sqrt(model.variance(values))[model.group_index]
    return model.location(values) + common + deviation * jax.random.normal(key, common.shape)


def _independent_rows(model: GivenRows, values: Mapping[str, Any], key: Array) -> Array:
    mean = model.mean(values, model.covariates, model.group_index)
    scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
    losses = draw_losses(key, model.noise, mean, jnp.broadcast_to(scale, mean.shape), values)
    return RESPONSES[model.noise.response].of_loss(losses)
