"""The one place that builds the DataTree of a fit."""

from collections.abc import Callable, Mapping
from typing import Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro import handlers
from numpyro.infer import Predictive

from bayeslaw.fitting.row_posterior import values_at
from bayeslaw.likelihood.compiled import one_by_one
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import MEMBER_SCALE, combined_scale, draw_losses
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.posterior.draws import Draws

PRIOR_DRAWS = 1000
REPORTED_BUDGET = 1e9
CELLS_AT_ONCE = 4_000_000
JOINT = "joint_log_likelihood"
MEMBER = "member"
ROW_ARRAYS = {
    "standard_error": (),
    "sampling_factor": ("direction",),
    "sampling_remainder": (),
    "shares": (MEMBER,),
    "membership": (MEMBER,),
}
"""Arrays of `Observations` by row that a fit keeps, with their dimensions after the row's."""


def build_tree(model: LawModel, draws: Draws, *, seed: int, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Put draws, prior, predictions and data into a DataTree that every ArviZ function takes.

    Parameters
    ----------
    model
        The law, its noise and its rows. Call under float64.
    draws
        Draws of its posterior.
    seed
        Seed of prior and predictive draws.
    attrs
        Attributes of the tree's root.

    Returns
    -------
    xarray.DataTree
        Groups posterior, sample_stats, prior, prior_predictive, posterior_predictive, log_likelihood, log_prior,
        observed_data and constant_data. Quantities by row are in float32, parameters in float64. For rows that share
        errors ``log_likelihood`` holds the density of each row given all others; the joint one is in ``sample_stats``.
        Their replicates are of the same members on the same samples: what the rows share is drawn from its distribution
        given the rows, what a row has of its own is drawn afresh.
    """
    prior_key, predictive_key, replicate_key = jax.random.split(jax.random.PRNGKey(seed), 3)
    values = values_at(model, draws.flat)
    response = model.noise.response
    prior = _prior(model, prior_key)
    replicates = np.asarray(_by_rows(model, lambda v, k: _replicate(model, v, k), values, replicate_key))
    log_likelihood = np.asarray(_by_rows(model, lambda v, _: model.log_likelihood(v), values, predictive_key))
    joint = {}
    if model.dependence is not None:
        joint = draws.by_chain({JOINT: jax.jit(one_by_one(model.fast_log_likelihood()))(values)})
    groups = {
        "posterior": draws.by_chain(_ordered(model, values)),
        "sample_stats": draws.statistics | joint,
        "prior": {name: np.asarray(array)[None] for name, array in _ordered(model, prior).items()},
        "prior_predictive": {response: np.asarray(prior[response], dtype=np.float32)[None]},
        "posterior_predictive": draws.by_chain({response: replicates}),
        "log_likelihood": draws.by_chain({response: log_likelihood}),
        "log_prior": draws.by_chain(jax.jit(jax.vmap(lambda v: log_prior(model, v)))(values)),
        "observed_data": {response: model.response},
        "constant_data": _constant_data(model),
    }
    row = model.observations.row_dimension
    dims = {name: [model.law.group] for name in grouped_names(model)}
    dims |= {name: [row, *ROW_ARRAYS.get(name, ())] for name in (response, *groups["constant_data"])}
    coords = {model.law.group: list(model.groups), row: model.observations.labels}
    if model.observations.shares is not None:
        coords[MEMBER] = list(model.observations.members)
    if not model.groups:
        del coords[model.law.group]
    tree = arviz_base.from_dict(groups, dims=dims, coords=coords, attrs={"/": dict(attrs)})
    tree.attrs.update(attrs)
    return tree


def variables(model: LawModel) -> dict[str, dict[str, list[str]]]:
    """Name the variables of the posterior of a law of rows, each with the labels of its dimensions.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    dict
        From variable to a mapping from dimension to labels.
    """
    grouped = grouped_names(model)
    names = [*(p.name for p in model.parameters), *(f"{name}_1e9" for name in model.law.amplitudes), *model.sites]
    return {name: {model.law.group: list(model.groups)} if name in grouped else {} for name in names}


def grouped_names(model: LawModel) -> list[str]:
    """Names of the variables that have a value for each group."""
    names = [p.name for p in model.parameters if p.grouped]
    names += [f"{name}_1e9" for name in model.law.amplitudes if _amplitude_is_grouped(model, name)]
    return names + (["noise_scale"] if model.noise_by_group else [])


def _amplitude_is_grouped(model: LawModel, name: str) -> bool:
    grouped = {p.name for p in model.parameters if p.grouped}
    return name in grouped or model.law.amplitudes[name][1] in grouped


def _ordered(model: LawModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by group first, then populations and spreads, then the noise; amplitudes also at a round budget."""
    result = {p.name: values[p.name] for p in model.parameters}
    for name, (covariate, exponent) in model.law.amplitudes.items():
        ratio = np.log(REPORTED_BUDGET / model.observations.reference[covariate])
        result[f"{name}_1e9"] = _align(values[name], values[exponent]) * jnp.exp(
            -_align(values[exponent], values[name]) * ratio
        )
    return result | {site: values[site] for site in model.sites if site not in result}


def _align(array: Array, other: Array) -> Array:
    return array[:, None] if array.ndim < other.ndim else array


def log_prior(model: LawModel, values: Mapping[str, Any]) -> dict[str, Array]:
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


def _prior(model: LawModel, key: Array) -> dict[str, Array]:
    return jax.jit(lambda key: Predictive(model, num_samples=PRIOR_DRAWS)(key, observed=False))(key)


def _replicate(model: LawModel, values: Mapping[str, Any], key: Array) -> Array:
    if (shared := model.dependence) is not None:
        effects, noise_key = jax.random.split(key)
        common = shared.scaled_loadings(values[MEMBER_SCALE]) @ model.draw_effects(values, effects)
        deviation = jnp.sqrt(model.variance(values))[model.group_index]
        return model.location(values) + common + deviation * jax.random.normal(noise_key, common.shape)
    mean = model.mean(values, model.covariates, model.group_index)
    scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
    losses = draw_losses(key, model.noise, mean, jnp.broadcast_to(scale, mean.shape), values)
    return RESPONSES[model.noise.response].of_loss(losses)


def _by_rows(
    model: LawModel, function: Callable[[Mapping[str, Any], Array], Array], values: Mapping[str, np.ndarray], key: Array
) -> np.ndarray:
    """Evaluate rows at every draw, in float32, a bounded number of cells at once; shape ``[draw, row]``."""
    total, rows = len(next(iter(values.values()))), len(model.response)
    # What rows share is worked out for each row and effect.
    cells = rows if model.dependence is None else model.dependence.loadings.size
    step = max(1, min(total, CELLS_AT_ONCE // cells))
    over_draws = jax.vmap if model.dependence is None else one_by_one
    compiled = jax.jit(over_draws(lambda v, k: function(v, k).astype(jnp.float32)))
    keys = jax.random.split(key, total)
    result = np.empty((total, rows), dtype=np.float32)
    for first in range(0, total, step):
        part = slice(first, first + step)
        result[part] = compiled({name: array[part] for name, array in values.items()}, keys[part])
    return result


def _constant_data(model: LawModel) -> dict[str, np.ndarray]:
    observations = model.observations
    data: dict[str, np.ndarray] = dict(observations.covariates)
    for name, groups in observations.groups.items():
        data[f"{observations.row_dimension}_{name}"] = np.asarray(groups, dtype=str)
    rows = {name: getattr(observations, name) for name in ROW_ARRAYS}
    return data | {name: array for name, array in rows.items() if array is not None}
