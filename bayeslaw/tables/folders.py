"""Loss tables as folders of Parquet files with a manifest."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from bayeslaw.arguments import a_path, accepts
from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_folder, read_manifest, write_manifest
from bayeslaw.tables.by_model import (
    BY_MODEL,
    SECTION,
    check_scored_bytes,
    counts_by_model,
    rebuilt_tokenizers,
    tokenizer_variable,
    whole_counts,
)
from bayeslaw.tables.columns import column_list, joined_labels, labels, numbers, series
from bayeslaw.tables.dataset_arguments import a_dataset
from bayeslaw.tables.frames import losses_from_frames
from bayeslaw.tables.given import LOSSES, MODELS
from bayeslaw.tables.model_frames import models_from_frame

ROWS_PER_PART = 1 << 20


@accepts(dataset=a_dataset(LOSSES, MODELS, tell=False), folder=a_path)
def write_losses(dataset: xr.Dataset, folder: str | os.PathLike[str]) -> None:
    """Write a loss table as a folder of Parquet files.

    Parameters
    ----------
    dataset
        A loss table, or a table of whole models.
    folder
        Where to write: ``part-*.parquet`` with columns ``sample, lm, nll`` and what describes the sample (none for
        whole models), ``models.parquet`` and ``manifest.json``. Losses are written in float64, so that reading gives
        the same table. An existing folder of the same kind is replaced, with all that is in it.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    kind = dataset.attrs["kind"]
    with atomic_folder(folder, kind) as temporary:
        on_models = {"model": dataset["lm"].to_numpy().astype(object)}
        on_models |= {str(name): _plain(values) for name, values in dataset.data_vars.items() if values.dims == ("lm",)}
        pd.DataFrame(on_models).to_parquet(temporary / "models.parquet", index=False)
        if kind == "losses":
            step = max(1, ROWS_PER_PART // dataset.sizes["lm"])
            for part, start in enumerate(range(0, dataset.sizes["sample"], step)):
                rows = _long_table(dataset.isel(sample=slice(start, start + step)))
                pq.write_table(rows, temporary / f"part-{part:05d}.parquet", compression="zstd")
        # Counts that happen to agree for the models at hand are still read as they were.
        columns = [name for name in BY_MODEL if name in dataset and "lm" in dataset[name].dims]
        write_manifest(temporary, kind, dataset.attrs, sections={SECTION: columns} if columns else None)


def _plain(values: xr.DataArray) -> np.ndarray:
    array = values.to_numpy()
    return array.astype(object) if array.dtype.kind == "U" else array


def _long_table(dataset: xr.Dataset) -> pa.Table:
    samples, lms = dataset.sizes["sample"], dataset.sizes["lm"]
    columns: dict[str, Any] = {
        "sample": np.repeat(dataset["sample"].to_numpy().astype(object), lms),
        "lm": np.tile(dataset["lm"].to_numpy().astype(object), samples),
        "nll": dataset["nll"].to_numpy().astype(np.float64).ravel(),
    }
    on_samples = {str(name): _plain(values) for name, values in dataset.data_vars.items() if values.dims == ("sample",)}
    columns |= {name: np.repeat(values, lms) for name, values in on_samples.items()}
    for name in BY_MODEL:
        if name in dataset and "lm" in dataset[name].dims:
            columns[name] = dataset[name].transpose("sample", "lm").to_numpy().ravel()
    return pa.table(columns)


def read_folder(path: Path, *, unit: str | None, cluster: str | Sequence[str] | None, missing: str) -> xr.Dataset:
    """Read a folder that `write_losses` wrote, or one of the same layout.

    Parameters
    ----------
    path
        The folder.
    unit, cluster, missing
        As in `bayeslaw.read_losses`.

    Returns
    -------
    xarray.Dataset
        The loss table, or the table of whole models.

    Raises
    ------
    InputError
        If the folder cannot be read or its content is not a loss table.
    """
    manifest = read_manifest(path, "losses", "models")
    attrs = manifest["attrs"]
    known = attrs.get("unit", "sample")
    if unit is not None and known not in ("sample", unit):
        raise InputError(f"the unit of {str(path)!r} is {known!r}, not {unit!r}", known, "leave --unit out")
    scored = _scored_models(path, manifest)
    lms = read_parquet(path, ["models.parquet"])
    if manifest["kind"] == "models":
        dataset = models_from_frame(lms, unit=unit, missing=missing)
        kept = attrs if unit is None else attrs | {name: dataset.attrs[name] for name in ("unit", "loss_unit")}
        return dataset.assign_attrs(kept)
    rows = read_parts(path)
    if scored is not None:
        # A run that was killed may have left files of a model that its manifest does not name yet.
        lms, rows = (
            frame.loc[frame[name].isin(scored)].reset_index(drop=True) for frame, name in ((lms, "model"), (rows, "lm"))
        )
    wide, roles, counts = wide_frame(rows, lms, path, counts_by_model(manifest))
    wide.attrs["source"] = str(path)
    declared = [name for name in roles if name not in ("bytes", "tokens", "cluster")]
    dataset = losses_from_frames(wide, lms, sample="sample", describe=declared, missing=missing)
    dataset = dataset.assign(counts.sel(sample=dataset["sample"], lm=dataset["lm"]).astype(np.int64).data_vars)
    dataset = dataset.assign(tokenizer_variable(dataset["lm"].to_numpy(), lms, manifest))
    check_scored_bytes(dataset)
    kept = {**attrs, "kind": "losses"}
    if doubtful := [name for name in rebuilt_tokenizers(manifest) if name in dataset["lm"]]:
        kept["rebuilt_tokenizers"] = json.dumps(doubtful)
    if dataset.attrs["missing"] != "{}":
        kept["missing"] = dataset.attrs["missing"]
    if unit is not None:
        kept["unit"] = unit
    if cluster is not None:
        columns = column_list(wide, cluster)
        named = [dataset[name].to_numpy().astype(str) for name in columns]
        dataset = dataset.assign(cluster=("sample", joined_labels(named)))
        kept["cluster"] = ",".join(columns)
    dataset.attrs = kept
    return dataset


def _scored_models(path: Path, manifest: Mapping[str, Any]) -> list[str] | None:
    """Return the models that a scoring run has put into its table; None for a table that no run scored."""
    scoring, models = manifest.get("scoring"), manifest.get("models")
    if not isinstance(scoring, Mapping) or "segments" not in scoring or not isinstance(models, Mapping):
        return None
    if not models:
        problem = f"no model is scored in {str(path)!r} yet"
        fix = "run bayeslaw score with the same --out again: it goes on where it was"
        raise InputError(problem, "a table with at least one model", fix)
    return [str(name) for name in models]


def read_parquet(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read Parquet files of a folder as one frame.

    Parameters
    ----------
    path
        The folder.
    names
        The files, in order.

    Returns
    -------
    pandas.DataFrame
        Their rows.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    try:
        tables = [pq.read_table(path / name) for name in names]
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    except (pa.ArrowException, OSError) as error:
        problem = f"{names[0]} in {str(path)!r} cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, "whole Parquet files of one set of columns", "write the folder again") from error
    frame.attrs["source"] = names[0]
    return frame


def read_parts(path: Path) -> pd.DataFrame:
    """Read the losses of a folder.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    pandas.DataFrame
        One row for each loss: ``sample, lm, nll`` and what describes the sample.

    Raises
    ------
    InputError
        If there are no losses, they cannot be read, or lack one of these three columns.
    """
    # A name that begins with a dot is that of a file still being written.
    named = (entry.name for entry in path.glob("[!.]*.parquet"))
    parts = sorted(name for name in named if name != "models.parquet")
    if not parts:
        raise InputError(f"the folder {str(path)!r} has no losses", "part-*.parquet in it", "write the folder again")
    rows = read_parquet(path, parts)
    for name in ("sample", "lm", "nll"):
        if name not in rows:
            raise InputError(f"the losses in {str(path)!r} have no column {name!r}", "sample, lm, nll", f"add {name}")
    return rows


def wide_frame(
    rows: pd.DataFrame, lms: pd.DataFrame, path: Path, by_model: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str], xr.Dataset]:
    """Turn rows of losses into a row a sample and a column a model.

    Parameters
    ----------
    rows
        As `read_parts` returns them.
    lms
        The table of models.
    path
        The folder, for messages.
    by_model
        Columns that were counts by model when the table was written, even if they agree between the models.

    Returns
    -------
    wide
        One row a sample: ``sample``, what describes it, and its loss by each model, NaN where there is none.
    roles
        The columns of `wide` that describe the samples.
    counts
        What differs between the models of a sample, (sample, lm), NaN where there is no loss.

    Raises
    ------
    InputError
        If a model is not in the table of models, a loss is there twice or is no number, or a column other than the
        counts of `by_model.BY_MODEL` differs between the models of a sample.
    """
    sample_code, samples = pd.factorize(rows["sample"])
    lm_code, names = pd.factorize(rows["lm"])
    unknown = set(names) - set(lms["model"]) if "model" in lms else set()
    if unknown:
        problem = f"model {min(unknown)!r} has losses but no row in models.parquet"
        raise InputError(problem, "every model in models.parquet", "add it there")
    cell = sample_code * len(names) + lm_code
    repeated = pd.Series(cell).duplicated().to_numpy()
    if repeated.any():
        row = rows.iloc[int(repeated.argmax())]
        problem = f"the loss of sample {row['sample']!r} by model {row['lm']!r} is there twice"
        raise InputError(problem, "one loss for every sample and model", "remove one of them")
    nll = np.full((len(samples), len(names)), np.nan)
    nll[sample_code, lm_code] = numbers(series(rows, "nll"), "loss", rows["sample"].to_numpy())
    roles = [str(name) for name in rows.columns if name not in ("sample", "lm", "nll")]
    first = rows.loc[~pd.Series(sample_code).duplicated(), roles].reset_index(drop=True)
    differing = [name for name in roles if name in by_model or not _agrees(rows, first, name, sample_code)]
    for name in differing:
        if name not in BY_MODEL:
            problem = f"column {name!r} differs between the models of a sample"
            raise InputError(problem, "one value a sample", "correct the column, or remove it")
    roles = [name for name in roles if name not in differing]
    wide = pd.concat([pd.DataFrame({"sample": samples}), first[roles], pd.DataFrame(nll, columns=names)], axis=1)
    counts = {name: whole_counts(rows, name, cell=cell, shape=nll.shape) for name in differing}
    index = {"sample": labels(pd.Series(samples), "sample name"), "lm": labels(pd.Series(names), "model")}
    return wide, roles, xr.Dataset({name: (("sample", "lm"), each) for name, each in counts.items()}, coords=index)


def _agrees(rows: pd.DataFrame, first: pd.DataFrame, name: str, sample_code: np.ndarray) -> bool:
    spread = first[name].iloc[sample_code].reset_index(drop=True)
    return spread.equals(rows[name].reset_index(drop=True))
