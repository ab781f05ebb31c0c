"""Names that come near to others: columns to those that have a meaning, families to each other."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.inputs.foreign_text import printable

_COUNT = r"(?:n|nr|no|num|number|number_of|count|total)?[_ .-]?"
_END = r"(?:[_ .-]?(?:n|num|count|len|length|size|total))?"
_KEY = r"(?:[_ .-]?(?:id|ids|idx|index|no|nr|num|number|name|key|uid))"
NEAR: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "bytes": rf"{_COUNT}(?:utf[_-]?8[_ .-]?)?bytes?{_END}|(?:size|len|length)[_ .-]?(?:in[_ .-]?)?bytes?",
        "sample": rf"(?:prompt|doc|document|sample|item|example|question|instance|row|text|passage|sentence){_KEY}|uid",
        "model": r"(?:model|lm|llm|checkpoint)(?:[_ .-]?(?:id|name|s))?|name",
        "family": r"(?:model[_ .-]?)?(?:family|families|fam|series|lineage|group|arch|architecture)",
        "parameters": rf"{_COUNT}(?:model[_ .-]?)?(?:params?|parameters?|size){_END}(?:[_ .-]?[bm])?|n",
        "loss": r".*(?:loss|nll|cross[_ .-]?entropy|bpb|perplexity|ppl).*",
        "training_tokens": rf"{_COUNT}(?:train|training)?[_ .-]?tokens?(?:[_ .-]?(?:seen|trained))?{_END}|d",
    }.items()
}
"""Patterns of names that people give to what has the name of the key here."""


def near_column(wanted: str, columns: Iterable[str]) -> str | None:
    """Return the column that is likely meant by a name that is not there.

    Parameters
    ----------
    wanted
        A key of `NEAR`.
    columns
        Names of columns.

    Returns
    -------
    str or None
        The first whose name comes near; None where none does.
    """
    return next((name for name in columns if NEAR[wanted].fullmatch(name.strip())), None)


def renaming(wanted: Iterable[str], columns: Iterable[str]) -> str:
    """Say which columns to rename to what is wanted; empty where none comes near."""
    given = list(columns)
    found = {name: near_column(name, given) for name in wanted}
    return " and ".join(f"rename {column!r} to {name}" for name, column in found.items() if column is not None)


def near_names(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for columns that describe samples and are likely their bytes or their names.

    Parameters
    ----------
    losses
        A loss table.

    Yields
    ------
    Finding
        Of severity ``"warning"``.
    """
    columns = [str(name) for name, values in losses.data_vars.items() if values.dims == ("sample",)]
    if "bytes" not in losses and (column := near_column("bytes", columns)):
        message = (
            f"the column {column} looks like the bytes of each sample: rename it to bytes for losses in bits per byte, "
            "which tables with other samples and tokenizers share."
        )
        yield Finding("near-name", "warning", message)
    samples = losses["sample"].to_numpy()
    numbered = (
        samples.dtype.kind == "U" and samples[0] == "0" and (samples == np.arange(len(samples)).astype(str)).all()
    )
    unique = [name for name in columns if numbered and pd.Index(losses[name].to_numpy()).is_unique]
    if numbered and (column := near_column("sample", unique)):
        message = (
            f"the column {column} looks like the names of the samples: rename it to sample, or give it with --sample."
        )
        yield Finding("near-name", "warning", message)


def near_families(losses: xr.Dataset) -> Iterator[Finding]:
    """Look for families whose names differ in case, spaces, signs or characters that are not seen alone.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Yields
    ------
    Finding
        Of severity ``"warning"``.
    """
    by_letters: dict[str, list[str]] = {}
    for name in dict.fromkeys(losses["family"].to_numpy().tolist()):
        letters = "".join(each for each in unicodedata.normalize("NFKC", str(name)).casefold() if each.isalnum())
        by_letters.setdefault(letters, []).append(str(name))
    for letters, names in by_letters.items():
        if letters and len(names) > 1:
            message = (
                f"the families {' and '.join(repr(printable(name)) for name in names)} differ in case, spaces or signs "
                "alone, and count as different families: give models of one family one name."
            )
            yield Finding("near-families", "warning", message)
