"""Fit the factor law: mode, curvature and NUTS, as for every law, over its own density."""

import json
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayeslaw.factor.model import FactorModel
from bayeslaw.factor.table import FactorTable, factor_table
from bayeslaw.factor.target import curvature_factor, factor_target
from bayeslaw.factor.tree import factor_tree
from bayeslaw.laws.factor import FactorLaw
from bayeslaw.sampling.compiled import stopwatch
from bayeslaw.sampling.mode import find_mode
from bayeslaw.sampling.trusted import sample_until_trusted

MODE_STARTS = 4
ATTEMPTS = ((1000, 0.98), (2000, 0.995), (2000, 0.999))


def fit_factor(
    law: FactorLaw,
    data: xr.Dataset,
    *,
    draws: int,
    chains: int,
    seed: int,
    parameters: str,
    progress: bool,
    attrs: dict[str, Any],
) -> xr.DataTree:
    """Fit the factor law to a loss table.

    Parameters
    ----------
    law
        The law.
    data
        A loss table with losses on samples.
    draws, chains, seed, parameters, progress
        As in `bayeslaw.fit`.
    attrs
        Attributes of the tree besides those of law and table.

    Returns
    -------
    xarray.DataTree
        As `factor_tree` builds it.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table; see `bayeslaw.factor.table.factor_table`.
    """
    table = factor_table(data, link=law.link, parameters=parameters, seed=seed)
    with jax.enable_x64(True), stopwatch() as watch:
        model = FactorModel(law.resolved(table.link.name), table)
        target = factor_target(model)
        mode = find_mode(target, starts=MODE_STARTS, seed=seed)
        drawn, settings = sample_until_trusted(
            target,
            mode,
            curvature_factor(target, mode),
            draws=draws,
            chains=chains,
            seed=seed,
            progress=progress,
            attempts=ATTEMPTS,
        )
        settings |= {"draws": draws, "chains": chains, "seed": seed}
        own = table_attrs(model.law, table) | {"settings": json.dumps(settings)}
        tree = factor_tree(target, drawn, seed=seed, attrs=attrs | own)
    tree["sample_stats"].attrs |= {"sampling_time": watch.total - watch.compiling, "compile_time": watch.compiling}
    return tree


def table_attrs(law: FactorLaw, table: FactorTable) -> dict[str, Any]:
    """Attributes of a tree that say which law was fitted to which table."""
    facts = {
        "overlapping": False,
        "table": "losses",
        "samples": len(table.weights),
        "clusters": len(np.unique(table.clusters)),
    }
    return {
        "law": json.dumps(law.specification),
        "unit": table.unit,
        "row_dimension": "lm",
        "reference": json.dumps({"parameters": table.reference}),
        "facts": json.dumps(facts),
        "loss_scale": table.scale,
        "design_effect": table.design_effect,
    }
