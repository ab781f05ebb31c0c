"""What pools gain over their own best members, and the diversity numbers that the gains are set against."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.pools.diversity_numbers import OF_MEMBERS, family_parameters, member_numbers

RELATIVE = "relative_"


def check_pools(data: xr.Dataset) -> None:
    """Refuse a table from which gains cannot be told.

    Parameters
    ----------
    data
        Any table.

    Raises
    ------
    InputError
        If it is not one of pools, holds no pool of two or more, or does not tell what members lose alone.
    """
    if data.attrs.get("kind") != "pools":
        raise InputError(
            f"the diversity law was given a table of {data.attrs.get('kind')}",
            "a table of pools",
            "form pools first: bayeslaw pools TABLE --out POOLS",
        )
    if not (data["size"].to_numpy() > 1).any():
        raise InputError(
            "the table has single models only", "pools of two or more", "make pools with --max-size 2 or more"
        )
    if "lm_loss" not in data or not np.isfinite(data["lm_loss"].to_numpy()).all():
        raise InputError(
            "the table does not tell what each member loses alone",
            "pools with the loss of every model, lm_loss",
            "make the pools again: bayeslaw pools TABLE --out POOLS",
        )


def best_members(pools: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Find the best member of each pool by its mean loss on the table's samples.

    Parameters
    ----------
    pools
        A table of pools.

    Returns
    -------
    position : np.ndarray
        Position on ``lm``, [pool].
    loss : np.ndarray
        Its loss in the table's unit, [pool].
    """
    member = pools["member"].transpose("pool", "slot").to_numpy()
    # Padding reads the last entry, which is never the best.
    losses = np.append(pools["lm_loss"].to_numpy(), np.inf)[member]
    slot = losses.argmin(axis=1)[:, None]
    return np.take_along_axis(member, slot, axis=1)[:, 0], np.take_along_axis(losses, slot, axis=1)[:, 0]


def diversity_columns(pools: xr.Dataset, numbers: Sequence[str]) -> dict[str, np.ndarray]:
    """Read diversity numbers of pools, or work them out where members alone tell them.

    Parameters
    ----------
    pools
        Pools of two or more.
    numbers
        Some of `bayeslaw.pools.diversity_numbers.DIVERSITY_NUMBERS`.

    Returns
    -------
    dict
        Values of each number, [pool].

    Raises
    ------
    InputError
        If a number is missing or not finite.
    """
    member = pools["member"].transpose("pool", "slot").to_numpy()
    families = pd.factorize(pools["family"].to_numpy())[0]
    of_members = member_numbers(family_parameters(member, families, pools["lm_parameters"].to_numpy()))
    columns = {}
    for number in numbers:
        values = pools[number].to_numpy().astype(float) if number in pools else of_members.get(number)
        if values is None:
            raise InputError(
                f"the table has no {number}",
                f"pools made of losses on samples, or one of {', '.join(OF_MEMBERS)}",
                "make the pools from a loss table: bayeslaw pools TABLE --out POOLS",
            )
        if not np.isfinite(values).all():
            raise InputError(
                f"the {number} of {pools['pool'].to_numpy()[~np.isfinite(values)][0]} is not a number",
                f"a finite {number} of every pool of two or more",
                "leave out models that never depart from the samples' mean, or choose another number",
            )
        columns[number] = values
    return columns


def standardised(number: str, values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Subtract the mean and divide by the standard deviation over pools.

    Parameters
    ----------
    number
        Name, for messages.
    values
        Values, [pool].

    Returns
    -------
    scores : np.ndarray
        Standard scores, [pool].
    centre, scale : float
        Mean and standard deviation.

    Raises
    ------
    InputError
        If all values are the same.
    """
    centre, scale = float(values.mean()), float(values.std())
    if not scale > 1e-9 * max(abs(centre), 1e-300):
        raise InputError(
            f"the {number} of every pool is {centre:.4g}",
            f"pools that differ in {number}",
            "add pools of other families, or choose another number",
        )
    return (values - centre) / scale, centre, scale


def explained_shares(scores: Mapping[str, np.ndarray], parameters: np.ndarray, size: np.ndarray) -> dict[str, float]:
    """Say how far each diversity number follows from what else the law knows of a pool.

    Parameters
    ----------
    scores
        Standard scores by number, each [pool].
    parameters, size
        Total parameters and number of members, [pool].

    Returns
    -------
    dict
        Share of each number's variance that a linear regression on the other numbers, log parameters and log size
        explains: one minus the inverse of its variance inflation factor.
    """
    shares = {}
    for number, score in scores.items():
        others = [other for name, other in scores.items() if name != number]
        basis = np.column_stack([np.ones(len(score)), np.log(parameters), np.log(size), *others])
        residual = score - basis @ np.linalg.lstsq(basis, score)[0]
        shares[number] = float(1 - residual.var() / score.var())
    return shares


def gain_sampling_factor(data: xr.Dataset, best: np.ndarray) -> np.ndarray | None:
    """Factor the sampling covariance of gains: of the pools' losses less those of their best members.

    Parameters
    ----------
    data
        A table of pools that holds the best members as single models too.
    best
        Position of the best member of each pool of two or more, [pool].

    Returns
    -------
    np.ndarray or None
        The factor in the table's unit, [pool, direction]; None where the table does not tell.
    """
    if "sampling_factor" not in data:
        return None
    several = data["size"].to_numpy() > 1
    factor = data["sampling_factor"].transpose("pool", ...).to_numpy()
    row = np.full(data.sizes["lm"], -1)
    row[data["member"].transpose("pool", "slot").to_numpy()[~several, 0]] = np.flatnonzero(~several)
    if (row[best] < 0).any():
        return None
    return factor[several] - factor[row[best]]


def equal_shares(pools: xr.Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """Share out each pool among its members alike.

    Parameters
    ----------
    pools
        A table of pools.

    Returns
    -------
    shares : np.ndarray
        One over the size for members, else zero, [pool, member].
    members : tuple of str
        Names of the models that are in some pool.
    """
    member = pools["member"].transpose("pool", "slot").to_numpy()
    held = np.zeros((len(member), pools.sizes["lm"]))
    rows, slots = np.nonzero(member >= 0)
    held[rows, member[rows, slots]] = 1
    present = held.any(axis=0)
    names = tuple(str(name) for name in pools["lm"].to_numpy()[present])
    return (held / held.sum(axis=1, keepdims=True))[:, present], names


def models_of_pools(pools: xr.Dataset) -> xr.Dataset:
    """Make a table of whole models of the models that pools are made of.

    Parameters
    ----------
    pools
        A table of pools.

    Returns
    -------
    xarray.Dataset
        ``loss`` in the pools' unit, ``family`` and ``parameters`` of every model, without standard errors: pools and
        models share their samples.
    """
    return xr.Dataset(
        {
            "loss": ("lm", pools["lm_loss"].to_numpy().astype(float)),
            "family": ("lm", pools["family"].to_numpy().astype(str)),
            "parameters": ("lm", pools["lm_parameters"].to_numpy().astype(float)),
        },
        coords={"lm": pools["lm"].to_numpy()},
        attrs={
            "kind": "models",
            "unit": str(pools.attrs.get("unit", "sample")),
            "loss_unit": str(pools.attrs["loss_unit"]),
            "source": str(pools.attrs.get("source", "")),
        },
    )
