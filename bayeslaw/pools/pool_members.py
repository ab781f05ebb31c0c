"""The tables that pools can be made of, and where their members are in them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, nearest


def check_table(losses: xr.Dataset) -> xr.Dataset:
    """Return a loss table that pools can be made of.

    Parameters
    ----------
    losses
        A table of losses on samples, ``nll`` [sample, lm] in nats.

    Returns
    -------
    xarray.Dataset
        The same table, with ``nll`` ordered (sample, lm).

    Raises
    ------
    InputError
        If it is a table of whole models, has no samples, or holds a loss that is not finite.
    """
    if losses.attrs.get("kind") == "models" or "nll" not in losses:
        raise InputError(
            "this table holds one loss per model, so what a pool would have lost on each sample is not known",
            "a table of losses on samples",
            "read a table of samples x models; whole models can be fitted without pools",
        )
    losses = losses.transpose("sample", "lm", ...)
    if losses.sizes["sample"] == 0 or losses.sizes["lm"] == 0:
        raise InputError("the loss table is empty", "at least one sample and one model", "check what was dropped")
    if not np.isfinite(losses["nll"].to_numpy()).all():
        raise InputError(
            "the loss table holds losses that are missing or infinite",
            "finite losses",
            "read it with missing='drop-models' or missing='drop-samples'",
        )
    return losses


def member_positions(losses: xr.Dataset, members: Sequence[str]) -> np.ndarray:
    """Find a pool's members among the models of a table.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of models.

    Returns
    -------
    np.ndarray
        Positions on ``lm``, in the order given.

    Raises
    ------
    InputError
        If there are no members, one is not in the table, or one is named twice.
    """
    names = [str(name) for name in losses["lm"].to_numpy()]
    members = [members] if isinstance(members, str) else [str(name) for name in members]
    if not members:
        raise InputError("the pool has no members", "names of models of the table", "name at least one model")
    for name in members:
        if name not in names:
            raise InputError(
                f"model {name!r} is not in the table", "names of models of the table", nearest(name, names)
            )
    if len(set(members)) < len(members):
        twice = sorted({name for name in members if members.count(name) > 1})
        raise InputError(f"the pool names {', '.join(twice)} twice", "each model once", "name each member once")
    return np.array([names.index(name) for name in members])
