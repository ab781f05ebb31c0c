"""What the draws of a fit depend on, so that kept ones are gone on from only where all of it is the same."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayeslaw.posterior.kept_draws import Checkpoint

PACKAGES = ("bayeslaw", "jax", "jaxlib", "numpyro", "numpy", "scipy", "xarray")
START = "start"
RELATIVE_ERROR = 1e-9


def identity_of(
    law: Mapping[str, Any], noise: Mapping[str, Any] | None, data: xr.Dataset, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Say what the draws of a fit depend on.

    Parameters
    ----------
    law, noise
        Specifications as given.
    data
        The table.
    settings
        Draws, chains, seed and the like.

    Returns
    -------
    dict
        Plain values, by what a user would call them.
    """
    versions = {name: version(name) for name in PACKAGES}
    return {
        "law": dict(law),
        "noise": None if noise is None else dict(noise),
        "table": hash_of_table(data),
        **settings,
        "version": versions,
        "platform": [platform.system(), platform.machine(), jax.default_backend(), jax.devices()[0].device_kind],
    }


def hash_of_table(data: xr.Dataset) -> str:
    """Hash everything a table holds: names, dimensions, values and attributes."""
    whole = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        values = np.asarray(data[name].variable.to_numpy())
        whole.update(f"{name} {data[name].dims} {values.dtype} {values.shape}".encode())
        text = values.dtype.kind not in "biufc"
        whole.update(json.dumps(values.tolist(), default=str).encode() if text else np.ascontiguousarray(values).data)
    whole.update(json.dumps(dict(data.attrs), sort_keys=True, default=str).encode())
    return whole.hexdigest()


def kept_start(
    checkpoint: Checkpoint,
    height: Callable[[np.ndarray], np.ndarray],
    find: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return where chains start and how they are scaled, found anew only where it is not kept.

    The height of the density there is kept too. Where it is another one, so is the density, whatever its name says (a
    law of the user's own that was changed), and nothing that is kept is used.

    Parameters
    ----------
    checkpoint
        Where it is kept.
    height
        From a flat position to minus the log density there. Call under float64.
    find
        Finds mode and factor of the covariance.

    Returns
    -------
    mode : np.ndarray
        Shape ``[coordinate]``.
    factor : np.ndarray
        Shape ``[coordinate, coordinate]``.
    """
    kept = checkpoint.read(START)
    if kept is not None:
        if np.allclose(height(kept["mode"]), kept["height"], rtol=RELATIVE_ERROR, atol=RELATIVE_ERROR):
            return kept["mode"], kept["factor"]
        checkpoint.start_anew("not the same density")
    # In one order in memory, kept or not: products of matrices depend on it in their last bits.
    mode, factor = map(np.ascontiguousarray, find())
    if checkpoint.path is not None:
        checkpoint.write(START, {"mode": mode, "factor": factor, "height": height(mode)})
    return mode, factor
