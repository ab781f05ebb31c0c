"""Parquet files of a folder: which belong to its table, and the columns that can be read of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.errors import InputError
from bayeslaw.losses.file_digests import check_no_others, named_files

MODELS, TOKENS, JOURNAL, PART = "models.parquet", "tokens", "journal", "part-"
READABLE = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_temporal,
    pa.types.is_null,
)


def again(manifest: Mapping[str, Any]) -> str:
    """Say how to get a file of a loss table again."""
    if "scoring" in manifest and "embedded" not in manifest:
        return "remove it and run bayeslaw score with the same --out again"
    return "write the folder again"


def loss_parts(folder: Path, manifest: Mapping[str, Any], *, below: str = "") -> list[str]:
    """Return the files that hold the losses of a table.

    Parameters
    ----------
    folder
        The folder of the table.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.
    below
        A folder in it, such as ``"tokens/"``.

    Returns
    -------
    list of str
        Their paths in the folder, in the order of their names. What a run wrote that was killed before its manifest
        named it is not among them.

    Raises
    ------
    InputError
        If there is a file that the manifest does not name.
    """
    # A name that begins with a dot is that of a file still being written.
    there = sorted(f"{below}{entry.name}" for entry in (folder / below).glob("[!.]*.parquet") if entry.name != MODELS)
    named = named_files(folder, manifest)
    if named is None:
        return there
    found = [name for name in there if name in named or not _is_unfinished(folder, name)]
    check_no_others(folder, manifest, found, fix=again(manifest))
    return sorted(name for name in named if name.rpartition("/")[0] == below.rstrip("/") and name != MODELS)


def _is_unfinished(folder: Path, name: str) -> bool:
    """Say whether the batches that a part was made of are still kept: a run does so until its manifest names it."""
    part = name.removeprefix(f"{TOKENS}/").removeprefix(PART).removesuffix(".parquet")
    return (folder / JOURNAL / part).is_dir()


def readable_schema(path: Path, name: str) -> pa.Schema:
    """Read the columns of a file, and refuse those that hold neither text nor numbers.

    Parameters
    ----------
    path
        The folder.
    name
        Path of the file in it.

    Returns
    -------
    pyarrow.Schema
        The columns.

    Raises
    ------
    InputError
        If the file cannot be read, a column is there twice, or one holds lists, records, decimals or the like.
    """
    try:
        schema = pq.read_schema(path / name)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, name, error) from error
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(accepts(kind) for accepts in READABLE):
            problem = f"column {field.name!r} of {name} in {str(path)!r} holds {field.type}"
            fix = f"write {field.name!r} as text or as floating-point numbers, or leave it out"
            raise InputError(problem, "text, numbers, truth values or dates in a column", fix)
        if schema.names.count(field.name) > 1:
            problem = f"column {field.name!r} is twice in {name} in {str(path)!r}"
            raise InputError(problem, "every column once", "remove or rename one of them")
    return schema


def unreadable(path: Path, name: str, error: Exception) -> InputError:
    """Return the error that a file of a folder cannot be read."""
    why = (str(error).splitlines() or [type(error).__name__])[0]
    problem = f"{name} in {str(path)!r} cannot be read: {why}"
    return InputError(problem, "whole Parquet files of one set of columns", "write the folder again")


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
        If a file is missing or cannot be read, or a column holds neither text nor numbers.
    """
    for name in names:
        readable_schema(path, name)
    try:
        tables = [pq.read_table(path / name) for name in names]
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, names[0], error) from error
    frame.attrs["source"] = names[0]
    return frame
