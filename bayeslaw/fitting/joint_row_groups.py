"""Pointwise densities and replicates of the joint law, made from the draws that a fit keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from bayeslaw.likelihood.compiled import one_by_one

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit
    from bayeslaw.joint.joint_model import JointModel


def groups_of_models(fit: Fit, names: Iterable[str]) -> dict[str, xr.DataTree]:
    """Make groups of a fit of the joint law; arguments as of `bayeslaw.fitting.row_groups.with_row_groups`.

    Returns
    -------
    dict
        ``log_likelihood``, the density of each mean loss given all others, and ``posterior_predictive``, replicates of
        other models of the same sizes and families, where they are wanted; in float32.
    """
    model: JointModel = fit.model
    seed = json.loads(fit.tree.attrs.get("settings", "{}")).get("seed", 0)
    sizes = fit.tree["posterior"].sizes
    values = {name: array for name, array in fit.values().items() if name in model.shapes}
    makers = {"log_likelihood": _densities, "posterior_predictive": _replicate}
    made = {}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.split(jax.random.PRNGKey(seed), 3)[0], sizes["chain"] * sizes["draw"])
        for name in makers.keys() & set(names):
            found = jax.jit(one_by_one(lambda one, key, make=makers[name]: make(model, one, key)))(values, keys)
            cells = np.asarray(found, dtype=np.float32)
            made[name] = {"loss": cells.reshape(sizes["chain"], sizes["draw"], -1)}
    return dict(arviz_base.from_dict(made, dims={"loss": ["lm"]}, coords={"lm": model.table.names}).children)


def _densities(model: JointModel, values: Mapping[str, Array], key: Array) -> Array:
    del key
    return model.curve.pointwise(values)


def _replicate(model: JointModel, values: Mapping[str, Array], key: Array) -> Array:
    # As the tree of the fit has it where it has any: the other half of the key is that of what is reported.
    replicate_key, empty = jax.random.split(key)[1], jnp.zeros(0)
    noise = {"model": jax.random.normal(replicate_key, (len(model.models.log_size),)), "floor": empty, "scale": empty}
    return model.curve.draw(values, model.models, noise, own_part=True)
