"""Pointwise densities and replicates of the joint law, made from the draws that a fit keeps."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

import arviz_base
import numpy as np
import xarray as xr

from bayeslaw.fitting.row_groups import MADE_OF
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.curve_predictive import curve_predictive, prior_losses

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def groups_of_models(fit: Fit, names: Collection[str]) -> dict[str, xr.DataTree]:
    """Make groups of a fit of the joint law; arguments as of `bayeslaw.fitting.row_groups.with_row_groups`.

    Returns
    -------
    dict
        ``log_likelihood``, the density of each mean loss given all others, ``posterior_predictive``, replicates of
        other models of the same sizes and families, and ``prior_predictive``, where they are wanted; in float32.
    """
    curve, seed = CurveGradient(fit.model.curve), json.loads(fit.tree.attrs.get("settings", "{}")).get("seed", 0)
    made = {}
    if {"log_likelihood", "posterior_predictive"} & set(names):
        # With the numbers that the tree of the fit had them drawn with.
        follows = curve_predictive(curve, fit.values(), np.random.default_rng(seed))
        made = {"log_likelihood": follows.pointwise, "posterior_predictive": follows.replicate}
    if "prior_predictive" in names:
        made["prior_predictive"] = prior_losses(curve, fit.values("prior"), seed)
    sizes = {name: fit.tree[MADE_OF[name].source].sizes for name in names}
    groups = {
        name: {"loss": made[name].astype(np.float32).reshape(sizes[name]["chain"], sizes[name]["draw"], -1)}
        for name in names
    }
    return dict(arviz_base.from_dict(groups, dims={"loss": ["lm"]}, coords={"lm": fit.model.table.names}).children)
