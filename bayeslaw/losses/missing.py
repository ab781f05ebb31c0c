"""Missing losses: refused, or dropped and recorded."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError

MISSING_POLICIES = ("error", "drop-models", "drop-samples")


def drop_missing(dataset: xr.Dataset, policy: str) -> xr.Dataset:
    """Refuse or drop what has no loss, and record it.

    Parameters
    ----------
    dataset
        A loss table or a table of whole models, with NaN where a loss is missing.
    policy
        One of `MISSING_POLICIES`.

    Returns
    -------
    xarray.Dataset
        The table without gaps; the attribute ``missing`` is a JSON object with ``policy``, ``models`` (names dropped),
        ``samples`` (how many were dropped) and ``first_samples`` (the names of up to 20), or ``{}`` if nothing was
        missing.

    Raises
    ------
    InputError
        If losses are missing and the policy is ``"error"``, or if nothing would be left.
    """
    whole = "nll" not in dataset
    gaps = np.isnan(dataset["loss" if whole else "nll"].to_numpy())
    if not gaps.any():
        return dataset
    models = gaps if whole else gaps.any(axis=0)
    names = dataset["lm"].to_numpy()[models].tolist()
    if policy == "error":
        count = "its loss" if whole else f"{int(gaps[:, models.argmax()].sum())} of {len(gaps)} losses"
        problem = f"model {names[0]!r} lacks {count}" + _and_more_gaps(names)
        raise InputError(
            problem,
            "a loss for every sample and model",
            "fill them in, or give --missing drop-models" + ("" if whole else " or drop-samples"),
        )
    record: dict[str, Any] = {"policy": policy, "models": [], "samples": 0, "first_samples": []}
    if policy == "drop-samples" and not whole:
        rows = gaps.any(axis=1)
        dropped = dataset["sample"].to_numpy()[rows].tolist()
        record |= {"samples": len(dropped), "first_samples": dropped[:20]}
        kept = dataset.isel(sample=~rows)
    else:
        record["models"] = names
        kept = dataset.isel(lm=~models)
    if 0 in kept.sizes.values():
        fix = "drop-models" if policy == "drop-samples" else "drop-samples"
        raise InputError(f"--missing {policy} would leave nothing", "a table with losses", f"try --missing {fix}")
    return kept.assign_attrs(missing=json.dumps(record, ensure_ascii=False))


def _and_more_gaps(names: Sequence[str]) -> str:
    return f"; {len(names) - 1} other models lack some too" if len(names) > 1 else ""


def missing_note(losses: xr.Dataset) -> str:
    """Say in a sentence what was dropped for want of losses.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    str
        The sentence; empty if nothing was dropped.
    """
    record = json.loads(losses.attrs.get("missing", "{}"))
    if not record:
        return ""
    if record["models"]:
        names = ", ".join(record["models"])
        return f"{_counted(len(record['models']), 'model')} with missing losses left out: {names}."
    return f"{_counted(record['samples'], 'sample')} with missing losses left out."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
