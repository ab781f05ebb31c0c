"""Models that others scored, added to a table that a run scored."""

import json
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from bayeslaw.errors import InputError
from inference.runs.batch_journal import KEYS, remove_journal
from inference.runs.table_folder import IMPORTED, TableFolder
from inference.texts.documents import Corpus

SAMPLES_AT_ONCE = 1 << 18


def check_can_import(out: Path, unit: str, names: Sequence[str], corpus: Corpus | None = None) -> None:
    """Refuse models that cannot be added to a table that a run scored, before anything is asked for or read.

    Parameters
    ----------
    out
        The folder of the table.
    unit
        What a sample of the models is.
    names
        The models.
    corpus
        The texts that they are scored on, where those are at hand.

    Raises
    ------
    InputError
        If the unit is another, the table has a model of that name already or a run has begun with it, or the texts are
        not those of the table.
    """
    table = TableFolder(out, unit)
    _lacking(table, names)
    if corpus is not None:
        table.check_texts(corpus)


def _lacking(table: TableFolder, names: Sequence[str]) -> list[int]:
    """Return the segments of texts that models are to be added on: of an imported one those added after it."""
    segments = list(range(len(table.segments)))
    lacking = [[number for number in segments if not table.has(name, number)] for name in names]
    for name, numbers in zip(names, lacking, strict=True):
        known = table.models.get(name)
        if known is not None and (IMPORTED not in known or not numbers):
            problem = f"the table in {str(table.path)!r} has a model {name!r} already"
            raise InputError(problem, "models that it does not have", "leave that model out, or give another --out")
        if any((table.journal_folder(name, number) / KEYS).exists() for number in numbers):
            problem = f"a run of bayeslaw score into {str(table.path)!r} has begun with a model {name!r}"
            raise InputError(problem, "models that no run scores", "let it go on, or give another --out")
    return sorted({number for numbers in lacking for number in numbers})


def import_models(out: Path, losses: xr.Dataset) -> None:
    """Add models to a table that a run scored: all of them, or none where this is broken off.

    Parameters
    ----------
    out
        The folder of the table.
    losses
        A loss table of the samples of the table, ``nll`` (sample, lm) in nats, with ``bytes`` and ``tokens``.

    Raises
    ------
    InputError
        If another run is at work in the folder, it cannot be written, it has a model of that name already or begun,
        or the samples are not those of the table or have no counts of tokens.
    """
    for name in ("bytes", "tokens"):
        if name not in losses:
            problem = f"the losses to add to {str(out)!r} do not tell {name}, which a table that was scored does"
            raise InputError(problem, f"{name} of every sample", "give another --out")
    unit, names = str(losses.attrs["unit"]), losses["lm"].to_numpy().tolist()
    with TableFolder(out, unit).locked():
        # Another run may have written to it until now.
        table = TableFolder(out, unit)
        table.sweep()
        place = pd.Index(losses["sample"].to_numpy(), dtype=object)
        parts: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in _lacking(table, names):
            rows = place.get_indexer(pd.Index(table.samples(number), dtype=object))
            if (rows < 0).any():
                problem = f"the losses to add to {str(out)!r} are not of all of its samples"
                raise InputError(problem, "models scored on the samples of the table", "give another --out")
            some = losses.isel(sample=rows)
            for name in (name for name in names if not table.has(name, number)):
                # Until the manifest names its part, a model's journal tells readers that it is under way.
                table.journal_folder(name, number).mkdir(parents=True, exist_ok=True)
                table.write_part(name, number, _rows(some, name, table.columns(number)))
                parts[name].append(_part(some.sel(lm=name), number))
        table.add_models({name: (_facts(losses, name), parts[name]) for name in names})
        for name in names:
            for part in parts[name]:
                remove_journal(table.journal_folder(name, part["segment"]))


def _counts(losses: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the counts of a model's samples; what is not told of them is scored whole."""
    scored = losses["scored_bytes"] if "scored_bytes" in losses else losses["bytes"]
    named = {"bytes": losses["bytes"], "tokens": losses["tokens"], "scored_bytes": scored}
    return {name: values.to_numpy().astype(np.int64) for name, values in named.items()}


def _rows(losses: xr.Dataset, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of a model, with the columns that those of others have."""
    losses = losses.sel(lm=name)
    for start in range(0, losses.sizes["sample"], SAMPLES_AT_ONCE):
        some = losses.isel(sample=slice(start, start + SAMPLES_AT_ONCE))
        known: dict[str, Any] = {
            "sample": pa.array(some["sample"].to_numpy().astype(object), pa.string()),
            "lm": pa.array([name] * some.sizes["sample"], pa.string()),
            "nll": some["nll"].to_numpy().astype(np.float64),
            **_counts(some),
        }
        labels = [column for column in columns if column not in known and column in some]
        known |= {column: pa.array(some[column].to_numpy().astype(object), pa.string()) for column in labels}
        yield pa.table({column: known[column] for column in columns if column in known})


def _part(losses: xr.Dataset, number: int) -> dict[str, Any]:
    sums = {name: int(values.sum()) for name, values in _counts(losses).items()}
    facts = {"segment": number, "nll": float(losses["nll"].sum()), "samples": losses.sizes["sample"]}
    return facts | sums | {"seconds": 0.0, "gates": []}


def _facts(losses: xr.Dataset, name: str) -> dict[str, Any]:
    """Tell in the manifest where a model's losses come from."""
    row: dict[str, Any] = {"model": name}
    for column, values in losses.sel(lm=name).data_vars.items():
        if losses[column].dims == ("lm",) and (value := values.item()) == value and value != "":
            row[str(column)] = int(value) if isinstance(value, float) and value.is_integer() else value
    source = str(losses.attrs.get("source", ""))
    told = {key: value for key in ("runs", "prefix") if (value := _of_model(losses, key, name))}
    imported = {"bayeslaw": version("bayeslaw"), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **told}
    # A run that is asked to score a model of this name finds that its losses were made differently.
    keys = {"imported_from": source}
    return {"source": source, IMPORTED: imported, "keys": keys, "tokens_kept": False, "row": row}


def _of_model(losses: xr.Dataset, attribute: str, name: str) -> Any:
    """Take out of an attribute in JSON, by model or a list of runs, what it tells of one model."""
    told = json.loads(losses.attrs.get(attribute, "{}"))
    return told.get(name) if isinstance(told, dict) else [run for run in told if run.get("model") == name]
