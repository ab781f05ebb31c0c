"""Sanity gates: what a careful person looks at before believing a model's losses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bayeslaw.errors import InputError
from bayeslaw.losses import read_losses
from bayeslaw.tables.loss_warnings import out_of_line

# A bfloat16 model's loss on a text moves by some thousandths; more says that something else is wrong.
LARGEST_DRIFT = 0.01


@dataclass(frozen=True)
class Gate:
    """A sanity gate that a model did not pass.

    Attributes
    ----------
    code
        A short name that stays the same between versions.
    message
        What was seen, and what to do about it.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def model_gates(name: str, rows: pa.Table, *, documents_bytes: int, vocabulary: int) -> list[Gate]:
    """Look at the losses of one model by themselves.

    Parameters
    ----------
    name
        The model.
    rows
        Its losses; see `inference.running.sample_losses.loss_rows`.
    documents_bytes
        Bytes of all texts it was given.
    vocabulary
        Rows of its vocabulary.

    Returns
    -------
    list of Gate
        ``uncovered-bytes`` and ``worse-than-uniform``, as far as they are not passed.
    """
    gates = []
    sums = {column: int(np.sum(rows[column].to_numpy())) for column in ("tokens", "scored_bytes")}
    if missed := documents_bytes - sums["scored_bytes"]:
        message = (
            f"{name} did not score {missed:,} of {documents_bytes:,} bytes ({missed / documents_bytes:.2%}): its loss "
            "is of less text than that of others. Tokenizers that drop or replace characters do this, and --bos "
            "never, which leaves the first token out."
        )
        gates.append(Gate("uncovered-bytes", message))
    loss = float(np.sum(rows["nll"].to_numpy())) / max(1, sums["tokens"])
    if loss > math.log(vocabulary):
        message = (
            f"{name} loses {loss:.3f} nats per token, more than the {math.log(vocabulary):.3f} of a uniform guess over "
            f"its {vocabulary:,} tokens: its weights, tokenizer or --bos do not belong together."
        )
        gates.append(Gate("worse-than-uniform", message))
    return gates


def drift_gates(name: str, drift: Mapping[str, Any] | None) -> list[Gate]:
    """Look at how far a model's losses are from those in float32.

    Parameters
    ----------
    name
        The model.
    drift
        As `inference.running.drift.measure_drift` returns it; None where there is none to measure.

    Returns
    -------
    list of Gate
        ``drift``, if it is beyond the bound.
    """
    if drift is None or drift.get("largest") is None or drift["largest"] <= LARGEST_DRIFT:
        return []
    message = (
        f"{name} in {drift['dtype']} is up to {drift['largest']:.2%} off its losses in float32 on "
        f"{drift['documents']} of the texts, the bound being {LARGEST_DRIFT:.0%}: score it with --dtype float32."
    )
    return [Gate("drift", message)]


def size_gates(table: Any) -> dict[str, list[Gate]]:
    """Look at which models of a whole table are far out of line with their size.

    Parameters
    ----------
    table
        The folder of a loss table.

    Returns
    -------
    dict
        For the models concerned ``out-of-line``.
    """
    try:
        losses = read_losses(table, missing="drop-samples")
    except InputError:
        # Models that have no sample in common cannot be compared.
        return {}
    return {name: [Gate("out-of-line", message)] for name, message in out_of_line(losses).items()}
