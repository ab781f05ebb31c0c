"""What is known of samples before any model has run: columns of the table, and those that users bring."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path
from bayeslaw.inputs.input_paths import unreadable
from bayeslaw.losses.columns import series, tidy
from bayeslaw.losses.dataset_arguments import a_frame
from bayeslaw.losses.frames import SAMPLE_COLUMNS
from bayeslaw.losses.readers import read_csv, read_header
from bayeslaw.pools.feature_basis import feature_basis
from bayeslaw.pools.text_features import text_columns

OWN_COLUMNS = ("domain", "unit", "bytes", "tokens")
"""Variables of a loss table that are known before any model has run."""
TEXT = "text"
MOST_LEVELS = 32
MOST_COLUMNS = 4096


@dataclass(frozen=True)
class Features:
    """Columns on samples.

    Parameters
    ----------
    numbers
        Columns of numbers, each [sample].
    shares
        Columns that are many and small, such as hashed n-grams, or zero and one: taken as they are; each [sample].
    """

    numbers: Mapping[str, np.ndarray]
    shares: Mapping[str, np.ndarray]

    def __or__(self, other: "Features") -> "Features":
        return Features({**self.numbers, **other.numbers}, {**self.shares, **other.shares})

    def __bool__(self) -> bool:
        return bool(self.numbers or self.shares)

    @cached_property
    def basis(self) -> np.ndarray:
        """Columns that a linear router is trained on, [sample, column]."""
        return feature_basis(list(self.numbers.values()), list(self.shares.values()))


def own_columns(losses: xr.Dataset, positions: np.ndarray) -> Features:
    """Read the columns of a table that are known before any model has run.

    Parameters
    ----------
    losses
        A loss table.
    positions
        Positions of the pool's members on ``lm``: of tokens each member's own count is known.

    Returns
    -------
    Features
        Those of `OWN_COLUMNS` that differ between samples; lengths as logarithms.
    """
    numbers, shares = {}, {}
    for name in OWN_COLUMNS:
        if name not in losses or "sample" not in losses[name].dims:
            continue
        values = losses[name]
        if values.dtype.kind in "OSUT":
            shares |= _levels(name, values.to_numpy().astype(str))
        else:
            lengths = values.transpose("sample", ...).to_numpy().reshape(losses.sizes["sample"], -1)
            lengths = lengths[:, positions] if lengths.shape[1] > 1 else lengths
            # Models of one tokenizer count alike.
            for place, column in enumerate(np.unique(np.log1p(lengths.astype(float)), axis=1).T):
                numbers[name if place == 0 else f"{name} {place + 1}"] = column
    return Features(_that_differ(numbers), _that_differ(shares))


def _levels(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return a column of zeros and ones for each of the commonest labels."""
    labels, counts = np.unique(values, return_counts=True)
    common = labels[np.argsort(-counts, kind="stable")[:MOST_LEVELS]]
    return {f"{name} {label}": (values == label).astype(float) for label in common}


def _that_differ(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: column for name, column in columns.items() if column.min() < column.max()}


def a_features_table(name: str, value: Any) -> pd.DataFrame:
    """Accept a frame of features, or the path of a CSV or Parquet file of them."""
    if not isinstance(value, str | os.PathLike):
        return a_frame(name, value)
    path = a_path(name, value)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    header = read_header(path)
    text = [column for column in (*SAMPLE_COLUMNS, TEXT) if column in header]
    return read_csv(path, header, text=text, filled=[column for column in header if column not in text])


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise unreadable(
            path, f"it is no readable Parquet file ({error})", "check the path, or save it again"
        ) from error
    frame.attrs["source"] = path.name
    return frame


def given_features(losses: xr.Dataset, frame: pd.DataFrame) -> Features:
    """Take the features that a user brings, in the order of a table's samples.

    Parameters
    ----------
    losses
        The loss table.
    frame
        One row a sample: columns of numbers, and one called ``text`` of the samples' texts, of which byte statistics
        and hashed n-grams are taken. Rows are matched by a column ``sample`` (or ``item_id``, ``id``) of names; without
        one they are in the order of the table.

    Returns
    -------
    Features
        The columns.

    Raises
    ------
    InputError
        If samples are missing or twice, a column is constant, missing on some samples, or neither numbers nor the text,
        or there are none.
    """
    frame = tidy(frame, "the features")
    names = [str(sample) for sample in losses["sample"].to_numpy()]
    column = next((name for name in SAMPLE_COLUMNS if name in frame), None)
    frame = _by_name(frame, column, names) if column is not None else _in_order(frame, len(names))
    if frame.shape[1] == 0:
        raise InputError("the features have no column but names of samples", "one column or more", "add columns")
    if frame.shape[1] > MOST_COLUMNS:
        raise InputError(
            f"the features have {frame.shape[1]:,} columns", f"at most {MOST_COLUMNS:,}", "give fewer, or project them"
        )
    numbers, shares = {}, {}
    for name in frame:
        values = series(frame, str(name))
        if name == TEXT and not pd.api.types.is_numeric_dtype(values):
            _check_whole(str(name), values.isna().to_numpy(dtype=bool))
            found = text_columns([str(text) for text in values])
            numbers, shares = numbers | found[0], shares | found[1]
        else:
            numbers[str(name)] = _numbers(str(name), values)
    return Features(numbers, shares)


def _by_name(frame: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    index = pd.Index(series(frame, column).astype(str).str.strip())
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise InputError(f"the features name the sample {twice!r} twice", "one row a sample", "leave out its copies")
    rows = index.get_indexer(pd.Index(list(names)))
    if (rows < 0).any():
        lacking = int((rows < 0).sum())
        raise InputError(
            f"the features lack {lacking:,} of {len(names):,} samples, such as {names[int((rows < 0).argmax())]!r}",
            "a row for every sample of the table",
            f"add them, with their names in the column {column!r}",
        )
    return frame.drop(columns=column).iloc[rows].reset_index(drop=True)


def _in_order(frame: pd.DataFrame, samples: int) -> pd.DataFrame:
    if len(frame) != samples:
        raise InputError(
            f"the features have {len(frame):,} rows, and the table has {samples:,} samples",
            "one row a sample, in the order of the table, or with its name in a column 'sample'",
            "add a column 'sample' with the names of the table's samples",
        )
    return frame


def _numbers(name: str, values: pd.Series) -> np.ndarray:
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        raise InputError(
            f"column {name!r} of the features holds {values.dropna().head(1).tolist()}, which is no number",
            f"columns of numbers, and one called {TEXT!r} of texts",
            "turn it into numbers, such as one column of zeros and ones a level, or leave it out",
        )
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    _check_whole(name, ~np.isfinite(numbers))
    if numbers.min() == numbers.max():
        raise InputError(
            f"column {name!r} of the features is {numbers[0]:g} on every sample, and tells nothing apart",
            "columns that differ between samples",
            "leave it out",
        )
    return numbers


def _check_whole(name: str, missing: np.ndarray) -> None:
    if missing.any():
        raise InputError(
            f"column {name!r} of the features is missing on {int(missing.sum()):,} of {len(missing):,} samples, the "
            f"first in row {int(missing.argmax())} (from 0)",
            "a finite value on every sample",
            "fill it in, or leave the column out",
        )
