"""Files to loss tables and back: a wide CSV with a models CSV, a Parquet folder, a table of whole models."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_folder, read_manifest, write_manifest
from bayeslaw.tables.columns import NOT_GIVEN, column_list, joined_labels, numbers, series
from bayeslaw.tables.frames import SAMPLE_COLUMNS, losses_from_frames
from bayeslaw.tables.model_frames import MODEL_ALIASES, models_from_frame

ROWS_PER_PART = 1 << 20


def read_losses(
    path: str | os.PathLike[str],
    *,
    models: str | os.PathLike[str] | None = None,
    unit: str | None = None,
    cluster: str | Sequence[str] | None = None,
    sample: str | None = None,
    describe: str | Sequence[str] = (),
    missing: str = "error",
) -> xr.Dataset:
    """Read a loss table.

    Parameters
    ----------
    path
        A wide CSV (one row a sample, one column a model, losses in nats), a folder that `write_losses` wrote, or a CSV
        of whole models (``model, family, parameters, [training_tokens,] loss[, se]``).
    models
        For a wide CSV the CSV with columns ``model, family, parameters`` and, if known, more; see `losses_from_frames`.
    unit
        What a sample is; by default what the folder says, else ``"sample"``. A folder's own unit cannot be changed.
    cluster
        Columns that together name the document (or other cluster) of each sample.
    sample
        For a wide CSV the column of sample names.
    describe
        For a wide CSV the columns of floating-point numbers that describe samples.
    missing
        ``"error"``, ``"drop-models"`` or ``"drop-samples"``.

    Returns
    -------
    xarray.Dataset
        As `losses_from_frames` or, for whole models, `models_from_frame` returns it.

    Raises
    ------
    InputError
        If the file cannot be read or its content is not a loss table.
    """
    path = Path(path)
    if path.is_dir():
        if models is not None or sample is not None or len(describe):
            problem = f"--models, --sample and --describe are for a CSV, and {str(path)!r} is a folder"
            raise InputError(problem, "a folder alone", "leave them out: the folder holds its models and columns")
        return _read_folder(path, unit=unit, cluster=cluster, missing=missing)
    header = _read_header(path)
    if models is not None:
        options = {"cluster": cluster, "sample": sample, "describe": describe, "missing": missing}
        return _read_wide(path, header, models, unit="sample" if unit is None else unit, **options)
    known = {MODEL_ALIASES.get(name, name) for name in header}
    if not {"loss", "parameters"} <= known:
        accepted = "--models CSV with columns model, family, parameters"
        raise InputError(f"no models CSV is given for {str(path)!r}", accepted, "add --models models.csv")
    if cluster is not None or sample is not None or len(describe):
        problem = f"{str(path)!r} is a table of whole models, without samples"
        raise InputError(problem, "--cluster, --sample and --describe for tables of samples", "leave them out")
    frame = _read_csv(path, header, text=["model", "family"], filled=_numeric(header))
    return models_from_frame(frame, unit=unit, missing=missing)


def _read_wide(path: Path, header: list[str], models: str | os.PathLike[str], **options: Any) -> xr.Dataset:
    models = Path(models)
    model_header = _read_header(models)
    lms = _read_csv(models, model_header, text=["model", "family"], filled=_numeric(model_header))
    if "model" not in lms:
        accepted = "columns model, family, parameters (or params)"
        raise InputError(f"{models.name} has no column 'model'", accepted, "name the column of model names model")
    names = {str(name).strip() for name in lms["model"]}
    blank = pd.DataFrame(columns=header)
    wanted = [options["sample"]] if options["sample"] else [name for name in SAMPLE_COLUMNS if name in header][:1]
    text = [name for name in [*wanted, *(column_list(blank, options["cluster"]) or ["cluster"])] if name not in names]
    filled = [name for name in header if name in names or name in ("bytes", "tokens", "n_tokens")]
    return losses_from_frames(_read_csv(path, header, text=text, filled=filled), lms, **options)


def _numeric(model_header: Sequence[str]) -> list[str]:
    return [name for name in model_header if name not in ("model", "family")]


def _unreadable(path: Path, why: str, fix: str) -> InputError:
    return InputError(f"cannot read {str(path)!r}: {why}", "a CSV file in UTF-8, or a folder that bayeslaw wrote", fix)


def _read_header(path: Path) -> list[str]:
    if not path.exists():
        raise _unreadable(path, "there is no such file", "check the path")
    if path.is_dir():
        raise _unreadable(path, "it is a folder", "name a CSV file")
    try:
        with path.open("rb") as stream:
            start = stream.read(1 << 16)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "check the path and its permissions") from error
    if not start.strip():
        raise _unreadable(path, "the file is empty", "name the file with the losses")
    if b"\0" in start:
        raise _unreadable(path, "it is binary, or text in UTF-16", "save it as CSV in UTF-8")
    first = _parse_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    header = [str(name).strip() for name in first.iloc[0]]
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise _unreadable(path, "its columns are not separated by commas", "save it with commas between the columns")
    return header


def _read_csv(path: Path, header: list[str], *, text: Sequence[str], filled: Sequence[str]) -> pd.DataFrame:
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        problem = f"column {repeated[0]!r} is twice in {path.name}"
        raise InputError(problem, "every column and model once", "remove or rename one of them")
    frame = _parse_csv(
        path,
        header=0,
        names=header,
        index_col=False,
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={name: list(NOT_GIVEN) for name in filled},
        low_memory=False,
    )
    frame.attrs["source"] = path.name
    return frame


def _parse_csv(path: Path, **options: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # A row longer than the header is only a warning to pandas, which then cuts it.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, encoding="utf-8-sig", compression=None, skipinitialspace=True, **options)
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not text in UTF-8", "save it as CSV in UTF-8") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise _unreadable(
            path, f"it is not a regular CSV ({why})", "give every row as many fields as the header"
        ) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "check the path and its permissions") from error


def write_losses(dataset: xr.Dataset, folder: str | os.PathLike[str]) -> None:
    """Write a loss table as a folder of Parquet files.

    Parameters
    ----------
    dataset
        A loss table, or a table of whole models.
    folder
        Where to write: ``part-*.parquet`` with columns ``sample, lm, nll`` and what describes the sample (none for
        whole models), ``models.parquet`` and ``manifest.json``. Losses are written in float64, so that reading gives
        the same table. An existing folder of the same kind is replaced.

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
        write_manifest(temporary, kind, dataset.attrs)


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
    return pa.table(columns | {name: np.repeat(values, lms) for name, values in on_samples.items()})


def _read_folder(path: Path, *, unit: str | None, cluster: str | Sequence[str] | None, missing: str) -> xr.Dataset:
    manifest = read_manifest(path, "losses", "models")
    attrs = manifest["attrs"]
    known = attrs.get("unit", "sample")
    if unit is not None and known not in ("sample", unit):
        raise InputError(f"the unit of {str(path)!r} is {known!r}, not {unit!r}", known, "leave --unit out")
    lms = _read_parquet(path, ["models.parquet"])
    if manifest["kind"] == "models":
        dataset = models_from_frame(lms, unit=unit, missing=missing)
        kept = attrs if unit is None else attrs | {name: dataset.attrs[name] for name in ("unit", "loss_unit")}
        return dataset.assign_attrs(kept)
    parts = sorted(entry.name for entry in path.glob("*.parquet") if entry.name != "models.parquet")
    if not parts:
        raise InputError(f"the folder {str(path)!r} has no losses", "part-*.parquet in it", "write the folder again")
    wide, roles = _wide_frame(_read_parquet(path, parts), lms, path)
    wide.attrs["source"] = str(path)
    declared = [name for name in roles if name not in ("bytes", "tokens", "cluster")]
    dataset = losses_from_frames(wide, lms, sample="sample", describe=declared, missing=missing)
    kept = {**attrs, "kind": "losses"}
    if dataset.attrs["missing"] != "{}":
        kept["missing"] = dataset.attrs["missing"]
    if unit is not None:
        kept["unit"] = unit
    if cluster is not None:
        columns = column_list(wide, cluster)
        labels = [dataset[name].to_numpy().astype(str) for name in columns]
        dataset = dataset.assign(cluster=("sample", joined_labels(labels)))
        kept["cluster"] = ",".join(columns)
    dataset.attrs = kept
    return dataset


def _read_parquet(path: Path, names: Sequence[str]) -> pd.DataFrame:
    try:
        tables = [pq.read_table(path / name) for name in names]
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    except (pa.ArrowException, OSError) as error:
        problem = f"{names[0]} in {str(path)!r} cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, "whole Parquet files of one set of columns", "write the folder again") from error
    frame.attrs["source"] = names[0]
    return frame


def _wide_frame(rows: pd.DataFrame, lms: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    for name in ("sample", "lm", "nll"):
        if name not in rows:
            raise InputError(f"the losses in {str(path)!r} have no column {name!r}", "sample, lm, nll", f"add {name}")
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
    for name in roles:
        if not first[name].iloc[sample_code].reset_index(drop=True).equals(rows[name].reset_index(drop=True)):
            problem = f"column {name!r} differs between the models of a sample"
            raise InputError(problem, "one value a sample", "correct the column, or remove it")
    wide = pd.concat([pd.DataFrame({"sample": samples}), first, pd.DataFrame(nll, columns=names)], axis=1)
    return wide, roles
