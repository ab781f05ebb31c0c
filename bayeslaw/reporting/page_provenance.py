"""Where what a page says came from: data, draws and files by their hashes, versions, seeds and the command."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from os import PathLike
from pathlib import Path

import numpy as np
import xarray as xr

from bayeslaw.fitting.fits import Fit
from bayeslaw.losses.file_digests import file_facts
from bayeslaw.reporting.page_parts import Section, page_table

PACKAGES = ("bayeslaw", "numpy", "xarray", "jax", "numpyro", "arviz", "matplotlib")
OF_DATA = ("constant_data", "observed_data")
"""Groups of a fit that hold what it was fitted to."""


def fit_facts(fit: Fit, path: str | PathLike[str] | None) -> Iterator[tuple[str, str]]:
    """Say where a fit came from.

    Parameters
    ----------
    fit
        The fit.
    path
        Its file, if it was read from one.

    Yields
    ------
    tuple
        What is told, and what it is.
    """
    attributes = fit.tree.attrs
    yield from _file(path)
    yield "table fitted", str(attributes.get("source", "")) or "not named"
    yield "SHA-256 of the rows fitted", digest_of({name: fit.tree[name].dataset for name in OF_DATA})
    yield "SHA-256 of the draws", digest_of({"posterior": fit.tree["posterior"].dataset})
    settings = json.loads(attributes.get("settings", "{}"))
    yield from ((name.replace("_", " "), f"{value}") for name, value in settings.items())
    yield "parameters counted", fit.parameters_kind
    yield "law", attributes["law"]
    yield "noise", attributes["noise"]
    versions = json.loads(attributes.get("versions", "{}"))
    yield "fitted with", ", ".join(f"{name} {number}" for name, number in versions.items())


def table_facts(table: xr.Dataset, path: str | PathLike[str] | None) -> Iterator[tuple[str, str]]:
    """Say where a table came from.

    Parameters
    ----------
    table
        The table.
    path
        Its file or folder, if it was read from one.

    Yields
    ------
    tuple
        What is told, and what it is.
    """
    yield from _file(path)
    yield "source", str(table.attrs.get("source", "")) or "not named"
    yield "SHA-256 of the table", digest_of({"table": table})


def page_facts(command: str, interval: float, seed: int) -> Iterator[tuple[str, str]]:
    """Say how a page was made.

    Parameters
    ----------
    command
        The command line; empty for one made in Python.
    interval
        Level of its intervals.
    seed
        Seed of its draws.

    Yields
    ------
    tuple
        What is told, and what it is.
    """
    yield "page made by", command or "bayeslaw.report in Python"
    yield "level of intervals", f"{100 * interval:.6g} %"
    yield "seed of the page's draws", str(seed)
    yield "page made with", ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def digest_of(datasets: Mapping[str, xr.Dataset]) -> str:
    """Hash all that datasets hold: names, types, shapes and values, in the order of the names.

    Parameters
    ----------
    datasets
        Datasets by name.

    Returns
    -------
    str
        SHA-256 in hexadecimal; that of equal values is equal, whatever file they lie in.
    """
    digest = hashlib.sha256()
    for group, dataset in sorted(datasets.items()):
        for name in sorted(map(str, dataset.variables)):
            values = dataset[name].to_numpy()
            values = values.astype(str) if values.dtype.kind in "OUST" else values
            begin = [group, name, values.dtype.str, list(values.shape), list(map(str, dataset[name].dims))]
            digest.update(json.dumps(begin).encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _file(path: str | PathLike[str] | None) -> Iterator[tuple[str, str]]:
    if path is None:
        return
    yield "file", str(path)
    if Path(path).is_file():
        yield "SHA-256 of the file", file_facts(Path(path))["sha256"]


def provenance(*facts: Iterator[tuple[str, str]]) -> Section:
    """Make the section of where all came from.

    Parameters
    ----------
    *facts
        What is told, and what it is.

    Returns
    -------
    Section
        A table.
    """
    rows = [fact for each in facts for fact in each]
    table = page_table(("what", "value"), rows, caption="How this was made, so that it can be made again")
    return Section("provenance", "Provenance", (table,))
