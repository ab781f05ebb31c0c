"""Models that are added to a loss table of the same samples."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.manifests import MANIFEST
from bayeslaw.inputs.output_paths import is_scored_table
from bayeslaw.losses.by_model import BY_MODEL
from bayeslaw.losses.metrics import metric_of
from bayeslaw.losses.readers import read_losses

FIX = "give another --out"


def held_table(out: Path) -> xr.Dataset | None:
    """Return the loss table that is in a folder already; None where there is none.

    Of a table that a run scored models are left out that are not scored on all of its texts.
    """
    if not (out / MANIFEST).is_file():
        return None
    return read_losses(out, missing="drop-models" if is_scored_table(out) else "error")


def check_same_samples(held: xr.Dataset, samples: Iterable[str], unit: str, out: Path) -> None:
    """Refuse to add models that were scored on other samples.

    Parameters
    ----------
    held
        The table that is there.
    samples
        Names of the samples of the models to add.
    unit
        What a sample is.
    out
        The table's folder, for the message.

    Raises
    ------
    InputError
        If the unit or a sample differs.
    """
    if held.attrs["unit"] != unit:
        problem = f"the table in {str(out)!r} has the unit {held.attrs['unit']!r}, not {unit!r}"
        raise InputError(problem, f"models scored by {held.attrs['unit']}", FIX)
    known, new = set(held["sample"].to_numpy().tolist()), set(samples)
    if differing := sorted(known ^ new):
        where = "lacks" if differing[0] in new else "has"
        more = f", and {len(differing) - 1:,} others differ" if len(differing) > 1 else ""
        problem = f"the table in {str(out)!r} {where} the sample {differing[0]!r}{more}"
        raise InputError(problem, "models scored on the samples of the table, all of them", FIX)


def join_models(held: xr.Dataset, new: xr.Dataset, out: Path) -> xr.Dataset:
    """Put models into the table that is there; those that it has already are replaced.

    Parameters
    ----------
    held, new
        Loss tables.
    out
        The folder of `held`, for messages.

    Returns
    -------
    xarray.Dataset
        A table of the models of both, on the samples in the order of `held`. Counts of tokens and of scored bytes are
        left out where they are not known of all models.

    Raises
    ------
    InputError
        If their metrics, units, samples, or what is known of the samples differ.
    """
    if metric_of(held) != metric_of(new):
        problem = f"the table in {str(out)!r} has the metric {metric_of(held).name}, not {metric_of(new).name}"
        raise InputError(problem, "models measured alike", FIX)
    check_same_samples(held, new["sample"].to_numpy().tolist(), str(new.attrs["unit"]), out)
    new = new.sel(sample=held["sample"])
    for name, values in held.data_vars.items():
        if values.dims == ("sample",) and name in new and new[name].dims == ("sample",):
            differ = values.to_numpy() != new[name].to_numpy()
            if differ.any() and name not in BY_MODEL:
                sample = str(held["sample"].to_numpy()[differ.argmax()])
                problem = f"the {name} of sample {sample!r} differs from that in {str(out)!r}"
                raise InputError(problem, "models scored on the samples of the table", FIX)
    kept = held.isel(lm=~np.isin(held["lm"].to_numpy(), new["lm"].to_numpy()))
    lacking = [name for name in BY_MODEL if (name in kept) != (name in new)]
    parts = [_by_model(part.drop_vars(lacking, errors="ignore")) for part in (kept, new)]
    joined = xr.concat(parts, "lm", data_vars="minimal", coords="minimal", join="outer", compat="override")
    joined = joined.assign({name: ("lm", _text(joined[name])) for name in ("family", "tokenizer") if name in joined})
    joined = joined.transpose("sample", "lm", ...)
    return joined.assign_attrs(_attrs(kept, new))


def _by_model(table: xr.Dataset) -> xr.Dataset:
    """Give counts that models may differ in to every model."""
    spread = {name: table[name].broadcast_like(table["nll"]) for name in BY_MODEL if name in table}
    return table.assign(spread)


def _text(values: xr.DataArray) -> np.ndarray:
    return np.array(["" if value != value else str(value) for value in values.to_numpy().tolist()])


def _attrs(held: xr.Dataset, new: xr.Dataset) -> dict[str, Any]:
    """Join what JSON lists or maps by model; the rest is that of the table that is there."""
    attrs = {**new.attrs, **held.attrs}
    for name in ("runs", "unscored_bytes", "prefix"):
        parts = [json.loads(table.attrs[name]) for table in (held, new) if name in table.attrs]
        if len(parts) == 2 and all(isinstance(part, dict) for part in parts):
            attrs[name] = json.dumps(parts[0] | parts[1], ensure_ascii=False)
        elif len(parts) == 2:
            again = {run.get("model") for run in parts[1]}
            attrs[name] = json.dumps([run for run in parts[0] if run.get("model") not in again] + parts[1])
    return attrs
