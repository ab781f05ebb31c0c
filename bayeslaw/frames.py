"""Pandas frames to the loss dataset: column roles, checks, missing losses."""

import json
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_choice, nearest

MISSING_POLICIES = ("error", "drop-models", "drop-samples")
SAMPLE_COLUMNS = ("sample", "item_id", "id")
MODEL_COLUMNS = ("parameters", "active_parameters", "embedding_parameters", "non_embedding_parameters")
OPTIONAL_MODEL_COLUMNS = (*MODEL_COLUMNS[1:], "training_tokens", "price")
MODEL_ALIASES = {
    "params": "parameters",
    "params_total": "parameters",
    "params_active": "active_parameters",
    "active_params": "active_parameters",
    "params_embedding": "embedding_parameters",
    "embedding_params": "embedding_parameters",
    "params_non_embedding": "non_embedding_parameters",
    "non_embedding_params": "non_embedding_parameters",
    "tokens": "training_tokens",
    "se": "standard_error",
}
RESERVED = {
    "nll",
    "lm",
    "sample",
    "family",
    "bytes",
    "tokens",
    "cluster",
    "loss",
    "standard_error",
    "parameters",
} | set(OPTIONAL_MODEL_COLUMNS)


def losses_from_frames(
    losses: pd.DataFrame,
    models: pd.DataFrame,
    *,
    unit: str = "sample",
    cluster: str | Sequence[str] | None = None,
    sample: str | None = None,
    describe: str | Sequence[str] = (),
    missing: str = "error",
) -> xr.Dataset:
    """Make a loss table of two pandas frames.

    Parameters
    ----------
    losses
        One row a sample. The columns named in `models` are losses in nats, each the sum over the whole sample. The others
        describe the samples: ``bytes``, ``tokens`` (or ``n_tokens``), ``cluster``, text and integers by themselves,
        numbers with a fraction where `describe` names them.
    models
        One row a model: ``model``, ``family``, ``parameters`` (or ``params``), optionally ``active_parameters``,
        ``embedding_parameters``, ``non_embedding_parameters``, ``training_tokens``, ``price``. Other columns are ignored.
    unit
        What a sample is: ``"document"``, ``"sentence"``, ``"word"`` and so on.
    cluster
        The columns, also as one text separated by commas, that together say which samples belong together. By default the
        column ``cluster`` where there is one.
    sample
        The column of sample names; by default the first of ``sample``, ``item_id``, ``id``, else the row number from 0.
    describe
        Columns of floating-point numbers that describe samples.
    missing
        ``"error"``, ``"drop-models"`` or ``"drop-samples"``: what to do where losses are missing.

    Returns
    -------
    xarray.Dataset
        ``nll`` (sample, lm) in nats, float64; ``family`` and ``parameters`` (lm); what else is known of models and samples;
        attributes ``kind``, ``unit``, ``cluster`` (the columns), ``missing`` (JSON of what was dropped), ``source``.

    Raises
    ------
    InputError
        If a column has no role, a model no column, a name is there twice, or a value is not what its column needs.
    """
    check_choice("missing policy", missing, MISSING_POLICIES)
    unit = _checked_unit(unit)
    table, lms = tidy(losses, "the losses"), model_frame(models)
    names = lms["model"].tolist()
    if table.empty:
        raise InputError(f"{source_of(losses, 'the losses')} has no rows", "one row a sample", "add the samples")
    cluster_columns = column_list(table, cluster) or [c for c in ("cluster",) if c in table and c not in names]
    sample_column = _sample_column(table, sample, names)
    described = _described_columns(table, names, sample_column, cluster_columns, column_list(table, describe))
    samples = _sample_names(table, sample_column)

    dataset = xr.Dataset(coords={"sample": ("sample", samples), "lm": ("lm", np.array(names, dtype=str))})
    dataset["nll"] = (("sample", "lm"), _loss_matrix(table, names, samples))
    dataset = dataset.assign(_model_variables(lms)).assign(_sample_variables(table, names, samples, cluster_columns))
    dataset = dataset.assign({name: ("sample", _description(table[name])) for name in described})
    dataset.attrs = {"kind": "losses", "unit": unit, "cluster": ",".join(cluster_columns), "missing": "{}"}
    dataset.attrs["source"] = source_of(losses, "frames")
    return drop_missing(dataset, missing)


def models_from_frame(frame: pd.DataFrame, *, unit: str | None = None, missing: str = "error") -> xr.Dataset:
    """Make a table of whole models of a pandas frame.

    Parameters
    ----------
    frame
        One row a model: ``family``, ``parameters`` (or ``params``), ``loss``, optionally ``model`` (else the row number
        from 0), ``training_tokens`` (or ``tokens``), ``se`` (or ``standard_error``). Other columns are ignored.
    unit
        What the losses are per, such as ``"token"``; unknown by default.
    missing
        ``"drop-models"`` leaves out rows without a loss; anything else refuses them.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``family``, ``parameters`` and the optional columns on ``lm``; attributes ``kind``, ``unit``,
        ``loss_unit``, ``missing``, ``source``.

    Raises
    ------
    InputError
        If a column is missing, a model is there twice, or a value is not what its column needs.
    """
    check_choice("missing policy", missing, MISSING_POLICIES)
    source = source_of(frame, "the table of models")
    frame = tidy(frame, "the table of models")
    if "model" not in frame:
        frame = frame.assign(model=[str(row) for row in range(len(frame))])
    lms = model_frame(frame)
    frame = _without_aliases(frame, source)
    if "loss" not in frame:
        raise InputError(f"{source} has no column 'loss'", "a column loss", "add the loss of each model")
    names = lms["model"].to_numpy(dtype=str)
    dataset = xr.Dataset(coords={"lm": ("lm", names)})
    loss = numbers(frame["loss"], "loss", names)
    _check_losses(loss, lambda index: f"model {str(names[index[0]])!r}")
    dataset["loss"] = ("lm", loss + 0.0)
    if "standard_error" in frame:
        error = numbers(frame["standard_error"], "standard error", names)
        _check_positive(error, "standard error", names)
        dataset["standard_error"] = ("lm", error)
    dataset = dataset.assign(_model_variables(lms))
    loss_unit = "nats" if unit is None else f"nats per {_checked_unit(unit)}"
    dataset.attrs = {"kind": "models", "unit": unit or "sample", "loss_unit": loss_unit, "missing": "{}"}
    dataset.attrs["source"] = source
    return drop_missing(dataset, missing)


def tidy(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return a frame with text column names, none twice, and a named index turned into columns."""
    source = source_of(frame, what)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.set_axis([str(column).strip() for column in frame.columns], axis=1)
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        fix = "remove or rename one of them"
        raise InputError(f"column {repeated[0]!r} is twice in {source}", "every column and model once", fix)
    return frame.reset_index(drop=True)


def source_of(frame: pd.DataFrame, default: str) -> str:
    """Return where a frame was read from, for messages."""
    return str(frame.attrs.get("source", default))


def column_list(table: pd.DataFrame, given: str | Sequence[str] | None) -> list[str]:
    """Return the columns that a list or a text separated by commas names.

    Raises
    ------
    InputError
        If the table has no such column.
    """
    if given is None:
        return []
    if isinstance(given, str):
        given = [given] if given in table else [part.strip() for part in given.split(",") if part.strip()]
    for name in given:
        if name not in table:
            known = [str(column) for column in table.columns]
            raise InputError(f"there is no column {name!r}", "a column of the table", nearest(name, known))
    return list(given)


def _checked_unit(unit: str) -> str:
    if not unit.strip():
        raise InputError("the unit is empty", "a word such as document, sentence, line or word", "declare the unit")
    return unit.strip()


def _without_aliases(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    renamed = frame.rename(columns=MODEL_ALIASES)
    repeated = renamed.columns[renamed.columns.duplicated()]
    if len(repeated):
        twice = [column for column in frame.columns if MODEL_ALIASES.get(column, column) == repeated[0]]
        problem = f"{source} gives {repeated[0]} twice, as {' and '.join(twice)}"
        raise InputError(problem, "one column", f"keep the column {repeated[0]}")
    return renamed


def model_frame(models: pd.DataFrame) -> pd.DataFrame:
    """Check the frame that says which models there are.

    Parameters
    ----------
    models
        As in `losses_from_frames`.

    Returns
    -------
    pandas.DataFrame
        ``model`` and ``family`` as text, ``parameters`` and the optional columns as float64 (NaN where not given), under
        their full names and in the order given.

    Raises
    ------
    InputError
        If a column is missing, a model is there twice or has no name or family, or a number is not positive.
    """
    source = source_of(models, "the table of models")
    frame = _without_aliases(tidy(models, "the table of models"), source)
    for name in ("model", "family", "parameters"):
        if name not in frame:
            accepted = "columns model, family, parameters (or params)"
            raise InputError(f"{source} has no column {name!r}", accepted, f"add the column {name}")
    if frame.empty:
        raise InputError(f"{source} has no rows", "one row a model", "add the models")
    checked = pd.DataFrame({name: labels(frame[name], name) for name in ("model", "family")})
    names = checked["model"].to_numpy(dtype=str)
    _check_unique(names, "model", source)
    for name in MODEL_COLUMNS[:1] + OPTIONAL_MODEL_COLUMNS:
        if name in frame:
            checked[name] = numbers(frame[name], name.replace("_", " "), names)
            _check_positive(checked[name].to_numpy(), name.replace("_", " "), names, zero=name == "price")
    lacking = checked["parameters"].isna().to_numpy()
    if lacking.any():
        problem = f"model {str(names[lacking.argmax()])!r} has no parameters"
        raise InputError(problem, "a positive number of parameters for every model", f"fill it in in {source}")
    return checked


def labels(column: pd.Series, what: str) -> np.ndarray:
    """Return a column as text.

    Raises
    ------
    InputError
        If an entry is empty.
    """
    text = np.array([str(value).strip() for value in column], dtype=object)
    empty = column.isna().to_numpy(dtype=bool) | (text == "")
    if empty.any():
        problem = f"row {int(empty.argmax())} (from 0) has no {what}"
        raise InputError(problem, f"a {what} in every row", "fill it in, or remove the row")
    return text.astype(str)


def numbers(column: pd.Series, what: str, names: np.ndarray) -> np.ndarray:
    """Return a column as float64, NaN where it is empty.

    Parameters
    ----------
    column
        The column.
    what
        What its numbers are, for the message.
    names
        The name of each row, for the message.

    Raises
    ------
    InputError
        If an entry is not a number.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(values) & ~column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_bool_dtype(column):
        wrong[:] = True
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"the {what} of {str(names[row])!r} is {str(column.iloc[row])!r}, which is not a number"
        raise InputError(problem, "a number such as 3.25", "correct it; leave the field empty where nothing is known")
    return values


def _check_positive(values: np.ndarray, what: str, names: np.ndarray, *, zero: bool = False) -> None:
    wrong = ~np.isnan(values) & ~((values >= 0 if zero else values > 0) & np.isfinite(values))
    if wrong.any():
        row = int(wrong.argmax())
        accepted = f"{what} of zero or more" if zero else f"{what} above zero and finite"
        raise InputError(f"the {what} of {str(names[row])!r} is {values[row]:g}", accepted, "correct it")


def _check_unique(names: np.ndarray, what: str, source: str) -> None:
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        twice = str(unique[counts.argmax()])
        problem = f"{what} {twice!r} is {counts.max()} times in {source}"
        fix = (
            f"remove the repeats, or name another {what} column" if what == "sample" else "rename or remove the repeats"
        )
        raise InputError(problem, f"every {what} once", fix)


def _sample_column(table: pd.DataFrame, given: str | None, names: list[str]) -> str | None:
    if given is not None:
        return column_list(table, [given])[0]
    return next((name for name in SAMPLE_COLUMNS if name in table and name not in names), None)


def _sample_names(table: pd.DataFrame, column: str | None) -> np.ndarray:
    if column is None:
        return np.array([str(row) for row in range(len(table))])
    names = labels(table[column], "sample name")
    _check_unique(names, "sample", f"column {column!r}")
    return names


def _described_columns(
    table: pd.DataFrame, names: list[str], sample: str | None, cluster: list[str], declared: list[str]
) -> list[str]:
    absent = [name for name in names if name not in table]
    with_role = {sample, "bytes", token_column(table), "cluster" if "cluster" in cluster else None, *names}
    rest = [str(column) for column in table.columns if column not in with_role]
    stray = [name for name in rest if name not in {*cluster, *declared} and holds_fractions(table[name])]
    if stray:
        problem = f"column {stray[0]!r} holds floating-point numbers, and no model has this name"
        if absent:
            problem += f" (model {absent[0]!r} has no column)"
        fix = f"add it to the table of models, or declare it with --describe {stray[0]}"
        raise InputError(problem, "a model's losses, or a declared description", fix)
    if absent:
        problem = f"model {absent[0]!r} has no column of losses" + _and_more(absent)
        raise InputError(problem, "one column for every model", nearest(absent[0], rest) if rest else "add the column")
    clash = [name for name in rest if name in RESERVED]
    if clash:
        raise InputError(f"column {clash[0]!r} has a name with a meaning of its own", "another name", "rename it")
    return rest


def _and_more(names: Sequence[Hashable]) -> str:
    return f", nor have {len(names) - 1} others" if len(names) > 1 else ""


def token_column(table: pd.DataFrame) -> str | None:
    """Return the column that counts the tokens of each sample, if there is one."""
    return next((name for name in ("tokens", "n_tokens") if name in table), None)


def holds_fractions(column: pd.Series) -> bool:
    """Say whether a column is one of floating-point numbers, also where gaps turned it into text."""
    if pd.api.types.is_float_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column):
        return False
    filled = column[~column.isin(["", "NA", "NaN", "nan", "null", "None"]) & column.notna()]
    values = pd.to_numeric(filled.astype(object), errors="coerce")
    return len(filled) > 0 and bool(values.notna().all()) and bool((values % 1 != 0).any())


def _loss_matrix(table: pd.DataFrame, names: list[str], samples: np.ndarray) -> np.ndarray:
    nll = np.empty((len(table), len(names)))
    for column, name in enumerate(names):
        nll[:, column] = numbers(table[name], f"loss by {name!r}", samples)
    _check_losses(nll, lambda index: f"sample {str(samples[index[0]])!r} by model {names[index[1]]!r}")
    nll += 0.0
    return nll


def _check_losses(values: np.ndarray, where: Any) -> None:
    wrong = (values < 0) | np.isinf(values)
    if wrong.any():
        index = np.unravel_index(int(wrong.argmax()), wrong.shape)
        what = "negative" if values[index] < 0 else "infinite"
        problem = f"the loss of {where(index)} is {what} ({values[index]:g})"
        fix = "give minus the log-probability" if what == "negative" else "correct it, or leave the field empty"
        raise InputError(problem, "finite losses of zero or more", fix)


def _model_variables(lms: pd.DataFrame) -> dict[str, tuple[str, np.ndarray]]:
    present = [name for name in ("parameters", *OPTIONAL_MODEL_COLUMNS) if name in lms]
    variables = {name: ("lm", lms[name].to_numpy(dtype=np.float64)) for name in present}
    return {"family": ("lm", lms["family"].to_numpy(dtype=str)), **variables}


def _sample_variables(
    table: pd.DataFrame, names: list[str], samples: np.ndarray, cluster: list[str]
) -> dict[str, tuple[str, np.ndarray]]:
    variables = {}
    for role, column in (("bytes", "bytes"), ("tokens", token_column(table))):
        if column is None or column not in table or column in names:
            continue
        values = numbers(table[column], role, samples)
        if np.isnan(values).any():
            problem = f"the {role} of {str(samples[np.isnan(values).argmax()])!r} are missing"
            raise InputError(problem, f"{role} for every sample", f"fill the column {column} in, or remove it")
        _check_positive(values, role, samples, zero=role == "tokens")
        variables[role] = ("sample", values)
    if cluster:
        variables["cluster"] = ("sample", joined_labels([labels(table[column], column) for column in cluster]))
    return variables


def joined_labels(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Join several labels of each row into one, such that different rows stay different."""
    if len(columns) == 1:
        return columns[0]
    escaped = [[str(label).replace("\\", "\\\\").replace("/", "\\/") for label in column] for column in columns]
    return np.array(["/".join(row) for row in zip(*escaped, strict=True)])


def _description(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    # Fixed-width text would give every row the length of the longest passage.
    return np.array(
        ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)], object
    )


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
        ``samples`` (how many were dropped) and ``first_samples`` (the names of up to 20), or ``{}`` if nothing was missing.

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
