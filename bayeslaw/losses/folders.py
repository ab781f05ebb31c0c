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

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts
from bayeslaw.inputs.manifests import MANIFEST, read_manifest
from bayeslaw.losses.by_model import (
    BY_MODEL,
    SECTION,
    check_scored_bytes,
    counts_by_model,
    rebuilt_tokenizers,
    tokenizer_variable,
)
from bayeslaw.losses.columns import column_list, joined_labels, tidy
from bayeslaw.losses.dataset_arguments import a_dataset
from bayeslaw.losses.dataset_checks import LOSSES
from bayeslaw.losses.dataset_checks import MODELS as WHOLE_MODELS
from bayeslaw.losses.file_digests import FILES, check_file, folder_files, named_files
from bayeslaw.losses.frames import losses_from_matrix
from bayeslaw.losses.long_rows import LongRows, read_long_rows
from bayeslaw.losses.metrics import USUAL_METRIC, as_losses, metric_attribute
from bayeslaw.losses.missing import drop_missing
from bayeslaw.losses.model_frames import model_frame, models_from_frame
from bayeslaw.losses.parquet_files import MODELS, again, loss_parts, read_parquet
from bayeslaw.losses.released_memory import release_memory
from bayeslaw.losses.sample_names import sample_index
from bayeslaw.storage import atomic_folder, write_manifest

ROWS_PER_PART = 1 << 20


@accepts(dataset=a_dataset(LOSSES, WHOLE_MODELS, tell=False), folder=a_path)
def write_losses(dataset: xr.Dataset, folder: str | os.PathLike[str]) -> None:
    """Write a loss table as a folder of Parquet files.

    Parameters
    ----------
    dataset
        A loss table, or a table of whole models.
    folder
        Where to write: ``part-*.parquet`` with columns ``sample, lm, nll`` and what describes the sample (none for
        whole models), ``models.parquet`` and ``manifest.json``. Losses are written in float64, so that reading gives
        the same table. An existing folder of the same kind is replaced, unless it holds more than this writes, as the
        tables that ``bayeslaw score`` writes do.

    Raises
    ------
    InputError
        If the folder cannot be written.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.write_losses(bl.load_dataset("zoo", unit="document"), "table")
    >>> bl.read_losses("table").sizes["lm"]
    24
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
        sections = {FILES: folder_files(temporary)} | ({SECTION: columns} if columns else {})
        write_manifest(temporary, kind, dataset.attrs, sections=sections)


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


def read_folder(
    path: Path,
    *,
    unit: str | None,
    cluster: str | Sequence[str] | None,
    missing: str,
    metric: str | None = None,
) -> xr.Dataset:
    """Read a folder that `write_losses` wrote, or one of the same layout.

    Parameters
    ----------
    path
        The folder.
    unit, cluster, missing, metric
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
    told = str(attrs.get("metric", USUAL_METRIC))
    if metric is not None and told not in (USUAL_METRIC, metric):
        raise InputError(f"the metric of {str(path)!r} is {told!r}, not {metric!r}", told, "leave --metric out")
    scored = _scored_models(path, manifest)
    lms = read_models(path, manifest)
    if manifest["kind"] == "models":
        dataset = models_from_frame(lms, unit=unit, missing=missing)
        kept = attrs if unit is None else attrs | {name: dataset.attrs[name] for name in ("unit", "loss_unit")}
        return dataset.assign_attrs(kept)
    if scored is not None:
        # A run that was killed may have left files of a model that its manifest does not name yet.
        lms = lms.loc[lms["model"].isin(scored)].reset_index(drop=True)
    dataset = _losses(path, manifest, model_frame(lms), scored)
    dataset = dataset.assign(tokenizer_variable(dataset["lm"].to_numpy(), lms, manifest))
    check_scored_bytes(dataset)
    dataset = drop_missing(dataset, missing)
    kept = {**attrs, "kind": "losses"}
    if doubtful := [name for name in rebuilt_tokenizers(manifest) if name in dataset["lm"]]:
        kept["rebuilt_tokenizers"] = json.dumps(doubtful)
    if dataset.attrs["missing"] != "{}":
        kept["missing"] = dataset.attrs["missing"]
    if unit is not None:
        kept["unit"] = unit
    if metric is not None and told != metric:
        names, samples = dataset["lm"].to_numpy(), dataset["sample"].to_numpy()
        values = dataset["nll"].to_numpy()
        losses = as_losses(values, metric, lambda at: f"sample {str(samples[at[0]])!r} by model {str(names[at[1]])!r}")
        dataset = dataset.assign(nll=(("sample", "lm"), losses))
        kept |= metric_attribute(metric)
    if cluster is not None:
        columns = column_list(_sample_frame(dataset), cluster)
        named = [dataset[name].to_numpy().astype(str).astype(object) for name in columns]
        dataset = dataset.assign(cluster=("sample", joined_labels(named)))
        kept["cluster"] = ",".join(columns)
    dataset.attrs = kept
    return dataset


def _losses(path: Path, manifest: Mapping[str, Any], lms: pd.DataFrame, scored: Sequence[str] | None) -> xr.Dataset:
    """Read the losses of a folder, gaps and all."""
    rows = read_rows(path, manifest, lms["model"].tolist(), wanted=scored)
    dataset = losses_from_matrix(
        tidy(pd.DataFrame(rows.described, copy=False), "the losses"),
        lms,
        sample_index(rows.samples),
        rows.nll,
        rows.there,
    )
    return dataset.assign({name: (("sample", "lm"), counts) for name, counts in rows.counts.items()})


def _sample_frame(dataset: xr.Dataset) -> pd.DataFrame:
    """Return an empty frame of the columns that describe samples."""
    names = [str(name) for name, values in dataset.variables.items() if values.dims == ("sample",)]
    return pd.DataFrame(columns=names)


def read_rows(
    path: Path, manifest: Mapping[str, Any], models: Sequence[str], *, wanted: Sequence[str] | None = None
) -> LongRows:
    """Read the losses of a folder as they are.

    Parameters
    ----------
    path
        The folder.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.
    models, wanted
        As in `read_long_rows`.

    Returns
    -------
    LongRows
        The losses, and what describes their samples.

    Raises
    ------
    InputError
        As `read_long_rows`, and if a file is not one that the folder was written with.
    """
    parts = loss_parts(path, manifest)
    for name in parts:
        check_file(path, manifest, name, fix=again(manifest))
    rows = read_long_rows(path, parts, models, wanted=wanted, by_model=counts_by_model(manifest))
    if not len(rows.samples):
        raise InputError(f"the folder {str(path)!r} has no losses", "rows of losses", "write the folder again")
    release_memory()
    return rows


def read_models(path: Path, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """Read the table of models of a folder.

    Parameters
    ----------
    path
        The folder.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    pandas.DataFrame
        One row a model.

    Raises
    ------
    InputError
        If it cannot be read, or is not the one that the folder was written with.
    """
    check_file(path, manifest, MODELS, fix=again(manifest))
    lms = read_parquet(path, [MODELS])
    models = manifest.get("models")
    if named_files(path, manifest) is None or not isinstance(models, Mapping) or "model" not in lms:
        return lms
    found = {str(row["model"]): row for row in lms.to_dict(orient="records")}
    for name, facts in models.items():
        told = facts.get("row", {})
        if name not in found or any(found[name].get(key) != value for key, value in told.items()):
            problem = f"{MODELS} in {str(path)!r} does not say of model {name!r} what {MANIFEST} does"
            fix = again(manifest).removeprefix("remove it and ")
            raise InputError(problem, "both as they were written", f"{fix}, which writes {MODELS} anew")
    return lms


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
