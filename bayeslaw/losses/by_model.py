"""Columns of a loss table that may differ between the models of a sample, since models cut a text differently."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.columns import numbers, series

BY_MODEL = ("tokens", "scored_bytes")
SECTION = "by_model"


def counts_by_model(manifest: Mapping[str, Any]) -> list[str]:
    """Return the columns that were counts by model when a table was written, even if they agree between its models.

    Parameters
    ----------
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    list of str
        Some of `BY_MODEL`.
    """
    named = manifest.get(SECTION)
    return [name for name in BY_MODEL if name in named] if isinstance(named, list) else []


def whole_counts(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of counts of rows of losses.

    Parameters
    ----------
    rows
        One row for each loss, with columns ``sample``, ``lm`` and the counts.
    name
        The column.

    Returns
    -------
    numpy.ndarray
        The counts, float64 [row].

    Raises
    ------
    InputError
        If a count is missing, or no whole number of at least zero.
    """
    values = numbers(series(rows, name), name, rows["sample"].to_numpy())
    wrong = ~((values >= 0) & (values % 1 == 0) & (values < 2**63))
    if wrong.any():
        row, value = rows.iloc[int(wrong.argmax())], values[wrong.argmax()]
        given = "missing" if np.isnan(value) else f"{value:g}"
        problem = f"{name} of sample {str(row['sample'])!r} by model {str(row['lm'])!r}: {given}"
        raise InputError(problem, "a whole number of at least zero for every loss", f"correct or remove {name}")
    return values


def check_scored_bytes(losses: xr.Dataset) -> None:
    """Refuse more scored bytes than a sample has.

    Parameters
    ----------
    losses
        A loss table.

    Raises
    ------
    InputError
        If a model scored more bytes of a sample than there are.
    """
    for lm, left_out in enumerate(unscored_bytes(losses)):
        if (left_out < 0).any():
            sample = int(left_out.argmin())
            problem = (
                f"model {str(losses['lm'].to_numpy()[lm])!r} scored {-left_out[sample]:g} bytes more of sample "
                f"{str(losses['sample'].to_numpy()[sample])!r} than it has"
            )
            raise InputError(problem, "scored_bytes of at most bytes", "correct bytes or scored_bytes")


def unscored_bytes(losses: xr.Dataset) -> Iterator[np.ndarray]:
    """Count the bytes of each sample that each model left out of its loss.

    Parameters
    ----------
    losses
        A loss table.

    Yields
    ------
    numpy.ndarray
        Bytes, [sample], of one model after the other; none where the table does not say.
    """
    if {"bytes", "scored_bytes"} <= {*losses.data_vars} and losses["scored_bytes"].dtype.kind in "iuf":
        scored = losses["scored_bytes"].to_numpy()
        scored = scored if scored.ndim == 2 else np.broadcast_to(scored[:, None], (len(scored), losses.sizes["lm"]))
        for column in scored.T:
            yield losses["bytes"].to_numpy().astype(np.float64) - column


def tokenizers(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each model's tokenizer, as the manifest of a loss table gives it.

    Parameters
    ----------
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    dict
        From model to hash; models whose tokenizer is not known are left out.
    """
    facts = {name: entry.get("tokenizer") for name, entry in _entries(manifest).items()}
    return {name: tokenizer for name, tokenizer in facts.items() if isinstance(tokenizer, str) and tokenizer}


def rebuilt_tokenizers(manifest: Mapping[str, Any]) -> list[str]:
    """Return the models that a version scored which did not read their tokenizers as their files have them.

    Parameters
    ----------
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    list of str
        Their names; none of tables from elsewhere.
    """
    return [
        name
        for name, entry in _entries(manifest).items()
        if "tokenizer" in entry and "versions" in entry and "tokenizer_reader" not in entry
    ]


def _entries(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what a manifest tells of each model."""
    models = manifest.get("models")
    entries = models.items() if isinstance(models, Mapping) else ()
    return {str(name): entry for name, entry in entries if isinstance(entry, Mapping)}


def tokenizer_variable(names: np.ndarray, lms: pd.DataFrame, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the models' tokenizers as a variable of the dataset.

    Parameters
    ----------
    names
        Names of the models, [lm].
    lms
        The table of models; its column ``tokenizer`` counts where the manifest has no word on a model.
    manifest
        As `bayeslaw.inputs.manifests.read_manifest` returns it.

    Returns
    -------
    dict
        ``tokenizer`` with its hashes, empty where not known; nothing where none is known.
    """
    known: dict[str, str] = {}
    if "tokenizer" in lms:
        given = zip(lms["model"], lms["tokenizer"], strict=True)
        known = {str(name).strip(): tokenizer for name, tokenizer in given if isinstance(tokenizer, str)}
    known |= tokenizers(manifest)
    hashes = [known.get(str(name), "") for name in names]
    return {"tokenizer": ("lm", np.array(hashes, dtype=str))} if any(hashes) else {}
