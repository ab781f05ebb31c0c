"""Weights, means, shares and standard errors of a loss table, as users call them: whatever they hand in is looked at.

A loss table is an `xarray.Dataset` on the dimensions ``sample`` and ``lm``, with ``nll`` in nats per whole sample, and
``family`` and ``parameters`` of every model; a table of whole models has ``loss`` on ``lm`` alone.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import accepts, optional, shown
from bayeslaw.losses import weighted_means as means
from bayeslaw.losses.table_arguments import untold_losses, untold_table

__all__ = ["clustered_standard_error", "loss_unit", "mean_losses", "sample_weights", "win_shares"]


def _array(value: Any) -> np.ndarray | None:
    if not isinstance(value, np.ndarray | list | tuple | pd.Series | xr.DataArray):
        return None
    try:
        return np.asarray(value)
    except ValueError:
        return None


def _numbers(name: str, value: Any) -> np.ndarray:
    """Accept an array of finite numbers, of one dimension or more."""
    array = _array(value)
    if array is None or array.ndim == 0 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        held = shown(value) if array is None else f"an array of type {array.dtype} and shape {array.shape}"
        raise InputError(f"{name} is {held}", "an array of finite numbers", f"give {name} as a NumPy array")
    return array.astype(np.float64)


def _labels(name: str, value: Any) -> np.ndarray:
    """Accept an array of labels, of one dimension."""
    array = _array(value)
    if array is None or array.ndim != 1 or pd.isna(array).any():
        held = shown(value) if array is None else f"an array of shape {array.shape}, or one with gaps"
        raise InputError(f"{name} is {held}", "a label for every sample", f"give {name} as a NumPy array")
    return array


sample_weights = accepts(losses=untold_losses)(means.sample_weights)
loss_unit = accepts(losses=untold_table)(means.loss_unit)
clustered_standard_error = accepts(values=_numbers, weights=optional(_numbers), clusters=optional(_labels))(
    means.clustered_standard_error
)
mean_losses = accepts(losses=untold_table)(means.mean_losses)
win_shares = accepts(losses=untold_losses)(means.win_shares)
