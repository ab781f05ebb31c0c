"""The loss table that a joint fit was made of, as other functions take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.metrics import WRONG, metric_attribute

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

PER_SAMPLE = "nats per "


def scored_losses(fit: Fit) -> xr.Dataset:
    """Return the loss table of a joint fit: the samples that were fitted, which may be fewer than were scored.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    xarray.Dataset
        A loss table, without what a fit does not keep: lengths in tokens, domains, prices.
    """
    table = fit.model.table
    names = [f"sample-{number}" for number in range(len(table.weights))]
    variables = {
        "nll": (("sample", "lm"), table.nll.T),
        "family": ("lm", np.array([str(name) for name in table.families])),
        "parameters": ("lm", np.asarray(table.parameters, dtype=np.float64)),
        "cluster": ("sample", np.array([f"cluster-{number}" for number in table.clusters])),
    }
    # Losses are per byte where sums of nats are turned into another unit.
    if table.scale != 1:
        variables["bytes"] = ("sample", np.asarray(table.weights, dtype=np.float64))
    unit = table.unit.removeprefix(PER_SAMPLE) if table.unit.startswith(PER_SAMPLE) else "sample"
    metric = metric_attribute("error_rate") if table.unit == WRONG else {}
    attributes = {"kind": "losses", "unit": unit, "source": "the table of a joint fit", **metric}
    return xr.Dataset(variables, {"sample": names, "lm": [str(name) for name in table.names]}, attributes)


def no_losses(fit: Fit) -> xr.Dataset:
    """Refuse a fit of a law that knows no losses on samples.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"this is a fit of the law {fit.law.name}, which knows no losses of single models on samples",
        "a table of losses on samples, or a fit of the joint law",
        "name the table, or fit it: bayeslaw fit TABLE --law joint",
    )
