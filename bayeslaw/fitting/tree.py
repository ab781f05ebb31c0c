"""The one place that builds the DataTree of a fit."""

from collections.abc import Mapping
from typing import Any

import arviz_base
import jax
import numpy as np
import xarray as xr

from bayeslaw.fitting.given_rows import outline_of, rows_of
from bayeslaw.fitting.row_posterior import values_at
from bayeslaw.fitting.row_programs import JointDensities, LogPriors, PriorDraws
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.posterior.draws import Draws

PRIOR_DRAWS = 1000
REPORTED_BUDGET = 1e9
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
    """Put draws, prior and data into a DataTree that every ArviZ function takes.

    Parameters
    ----------
    model
        The law, its noise and its rows. Call under float64.
    draws
        Draws of its posterior.
    seed
        Seed of the prior draws.
    attrs
        Attributes of the tree's root.

    Returns
    -------
    xarray.DataTree
        Groups posterior, sample_stats, prior, log_prior, observed_data and constant_data. For rows that share errors
        their joint log density is in ``sample_stats``. What there is for each row and draw is made by
        `bayeslaw.fitting.row_groups`.
    """
    outline, rows = outline_of(model), rows_of(model)
    values = values_at(model, draws.flat)
    joint = {}
    if model.dependence is not None:
        joint = draws.by_chain({JOINT: _evaluated(JointDensities(outline), values, rows)})
    groups = {
        "posterior": draws.by_chain(_ordered(model, values)),
        "sample_stats": draws.statistics | joint,
        "log_prior": draws.by_chain(_evaluated(LogPriors(outline), values, rows)),
    }
    return _tree_of(model, groups | _prior_and_data(model, PRIOR_DRAWS, seed), attrs)


def build_prior_tree(model: LawModel, *, draws: int, seed: int, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Put draws of the prior and the data into a tree such as `build_tree` builds.

    Parameters
    ----------
    model
        The law, its noise and its rows. Call under float64.
    draws
        How many draws.
    seed
        Their seed; as many draws as a fit has are those of the fit with this seed.
    attrs
        Attributes of the tree's root.

    Returns
    -------
    xarray.DataTree
        Groups prior, observed_data and constant_data.
    """
    return _tree_of(model, _prior_and_data(model, draws, seed), attrs)


def _prior_and_data(model: LawModel, draws: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    keys = jax.random.split(jax.random.split(jax.random.PRNGKey(seed), 3)[0], draws)
    prior = _evaluated(PriorDraws(outline_of(model)), keys, rows_of(model))
    return {
        "prior": {name: array[None] for name, array in _ordered(model, prior).items()},
        "observed_data": {model.noise.response: model.response},
        "constant_data": _constant_data(model),
    }


def _tree_of(model: LawModel, groups: Mapping[str, Any], attrs: Mapping[str, Any]) -> xr.DataTree:
    dims = {name: names for name, names in dimensions(model).items() if any(name in group for group in groups.values())}
    tree = arviz_base.from_dict(dict(groups), dims=dims, coords=coordinates(model), attrs={"/": dict(attrs)})
    tree.attrs.update(attrs)
    return tree


def _evaluated(program: Any, draws: Any, rows: Any) -> Any:
    """Evaluate a program at draws of a table, compiled once for all tables of its shapes."""
    return jax.tree.map(np.asarray, compile_once(program, draws, rows)(draws, rows))


def dimensions(model: LawModel) -> dict[str, list[str]]:
    """Name the dimensions, after chain and draw, of every variable of a tree that has any."""
    row = model.observations.row_dimension
    dims = {name: [model.law.group] for name in grouped_names(model)}
    by_row = (model.noise.response, *_constant_data(model))
    return dims | {name: [row, *ROW_ARRAYS.get(name, ())] for name in by_row}


def coordinates(model: LawModel) -> dict[str, Any]:
    """Label the dimensions of a tree."""
    coords: dict[str, Any] = {model.observations.row_dimension: model.observations.labels}
    if model.groups:
        coords[model.law.group] = list(model.groups)
    if model.observations.shares is not None:
        coords[MEMBER] = list(model.observations.members)
    return coords


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
        decay = np.exp(-_align(values[exponent], values[name]) * ratio)
        result[f"{name}_1e9"] = _align(values[name], values[exponent]) * decay
    return result | {site: values[site] for site in model.sites if site not in result}


def _align(array: np.ndarray, other: np.ndarray) -> np.ndarray:
    return array[:, None] if array.ndim < other.ndim else array


def _constant_data(model: LawModel) -> dict[str, np.ndarray]:
    observations = model.observations
    data: dict[str, np.ndarray] = dict(observations.covariates)
    for name, groups in observations.groups.items():
        data[f"{observations.row_dimension}_{name}"] = np.asarray(groups, dtype=str)
    rows = {name: getattr(observations, name) for name in ROW_ARRAYS}
    return data | {name: array for name, array in rows.items() if array is not None}
