"""Pointwise densities and replicates of the joint law, made from the draws that a fit keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import arviz_base
import numpy as np
import xarray as xr

from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.curve_predictive import curve_predictive

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def groups_of_models(fit: Fit, names: Iterable[str]) -> dict[str, xr.DataTree]:
    """Make groups of a fit of the joint law; arguments as of `bayeslaw.fitting.row_groups.with_row_groups`.

    Returns
    -------
    dict
        ``log_likelihood``, the density of each mean loss given all others, and ``posterior_predictive``, replicates of
        other models of the same sizes and families, where they are wanted; in float32.
    """
    model, sizes = fit.model, fit.tree["posterior"].sizes
    seed = json.loads(fit.tree.attrs.get("settings", "{}")).get("seed", 0)
    values = {name: np.asarray(array) for name, array in fit.values().items() if name in model.shapes}
    # With the numbers that the tree of the fit had them drawn with.
    follows = curve_predictive(CurveGradient(model.curve), values, np.random.default_rng(seed))
    found = {"log_likelihood": follows.pointwise, "posterior_predictive": follows.replicate}
    made = {
        name: {"loss": found[name].astype(np.float32).reshape(sizes["chain"], sizes["draw"], -1)}
        for name in names
        if name in found
    }
    return dict(arviz_base.from_dict(made, dims={"loss": ["lm"]}, coords={"lm": model.table.names}).children)
