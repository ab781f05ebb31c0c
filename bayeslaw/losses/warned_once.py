"""What is likely wrong in a table, said once for each."""

import warnings
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding, LossTableWarning
from bayeslaw.inputs.arguments import called_by_user
from bayeslaw.losses.columns import LARGEST
from bayeslaw.losses.table_warnings import table_errors

PACKAGE = str(Path(__file__).parents[1])
MOST_KEPT = 256


@dataclass
class _Known:
    """What was found in a table, for as long as its losses are in memory."""

    losses: weakref.ref[np.ndarray]
    errors: list[Finding]
    told: bool = False


_KNOWN: dict[Hashable, _Known] = {}


def errors_of(losses: xr.Dataset) -> list[Finding]:
    """Look for what is likely wrong in a table, once for each.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    list of Finding
        As `bayeslaw.losses.table_warnings.table_errors` finds them.
    """
    return _known(losses).errors


def tell_errors(losses: xr.Dataset) -> xr.Dataset:
    """Warn of what is likely wrong in a table, once for each, and return the table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    xarray.Dataset
        The same.

    Warns
    -----
    LossTableWarning
        For each error, where a public function was called by the user and not by another one.
    """
    if not called_by_user():
        return losses
    # What is too large for means will be refused by whatever takes the table.
    if not losses["nll" if "nll" in losses else "loss"].max().item() <= LARGEST:
        return losses
    known = _known(losses)
    if not known.told:
        known.told = True
        for error in known.errors:
            warnings.warn(str(error), LossTableWarning, skip_file_prefixes=(PACKAGE,))
    return losses


def _known(losses: xr.Dataset) -> _Known:
    base = data = losses["nll" if "nll" in losses else "loss"].to_numpy()
    # A view, as of another order of dimensions, is of the same losses.
    while isinstance(base.base, np.ndarray):
        base = base.base
    key = (id(base), *sorted(data.shape), *(losses[name].to_numpy().tobytes() for name in ("parameters", "lm")))
    key = (*key, id(losses["bytes"].to_numpy()) if "bytes" in losses else 0)
    found = _KNOWN.get(key)
    if found is None or found.losses() is not base:
        if len(_KNOWN) >= MOST_KEPT:
            for old in [each for each, known in _KNOWN.items() if known.losses() is None] or list(_KNOWN):
                del _KNOWN[old]
        found = _KNOWN[key] = _Known(weakref.ref(base), table_errors(losses))
    return found
