"""Sanity gates: what a careful person looks at before believing a model's losses."""

import math
from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.losses.table_warnings import out_of_line
from inference.scoring.sample_losses import Totals

# A bfloat16 model's loss on a text moves by some thousandths; more says that something else is wrong.
LARGEST_DRIFT = 0.01


def model_gates(name: str, totals: Totals, *, vocabulary: int) -> list[Finding]:
    """Look at the losses of one model by themselves.

    Parameters
    ----------
    name
        The model.
    totals
        Its losses, added up.
    vocabulary
        Rows of its vocabulary.

    Returns
    -------
    list of Finding
        ``uncovered-bytes`` and ``worse-than-uniform``, as far as they are not passed.
    """
    gates = []
    if missed := totals.bytes - totals.scored_bytes:
        message = (
            f"{name} did not score {missed:,} of {totals.bytes:,} bytes ({missed / totals.bytes:.2%}): its loss "
            "is of less text than that of others. Tokenizers that drop or replace characters do this, and --bos "
            "never, which leaves the first token out."
        )
        gates.append(Finding("uncovered-bytes", "warning", message))
    loss = totals.nll / max(1, totals.tokens)
    if loss > math.log(vocabulary):
        message = (
            f"{name} loses {loss:.3f} nats per token, more than the {math.log(vocabulary):.3f} of a uniform guess over "
            f"its {vocabulary:,} tokens: its weights, tokenizer or --bos do not belong together."
        )
        gates.append(Finding("worse-than-uniform", "warning", message))
    return gates


def drift_gates(name: str, drift: Mapping[str, Any] | None) -> list[Finding]:
    """Look at how far a model's losses are from those in float32.

    Parameters
    ----------
    name
        The model.
    drift
        As `inference.runs.drift.measure_drift` returns it; None where there is none to measure.

    Returns
    -------
    list of Finding
        ``drift``, if it is beyond the bound.
    """
    if drift is None or drift.get("largest_relative") is None or drift["largest_relative"] <= LARGEST_DRIFT:
        return []
    message = (
        f"{name} in {drift['dtype']} is up to {drift['largest_relative']:.2%} off its losses in float32 on "
        f"{drift['documents']} of the texts, the bound being {LARGEST_DRIFT:.0%}: score it with --dtype float32."
    )
    return [Finding("drift", "warning", message)]


def size_gates(models: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Finding]]:
    """Look at which models of a whole table are far out of line with their size.

    Parameters
    ----------
    models
        What the manifest of the table tells of each model, by name.

    Returns
    -------
    dict
        For the models concerned ``out-of-line``; empty where they have no texts in common.
    """
    parts = {name: {part["segment"]: part for part in model["parts"]} for name, model in models.items()}
    common = sorted(set.intersection(*(set(of) for of in parts.values()))) if parts else []
    if not common:
        return {}
    # One row for each segment: sums are all that this needs, and the table may be large.
    rows = [model["row"] for model in models.values()]
    losses = xr.Dataset(
        {
            "nll": (("sample", "lm"), [[of[segment]["nll"] for of in parts.values()] for segment in common]),
            "bytes": ("sample", [next(iter(parts.values()))[segment]["bytes"] for segment in common]),
            "parameters": ("lm", [float(row["parameters"]) for row in rows]),
        },
        coords={"lm": list(parts)},
    )
    return {name: [Finding("out-of-line", "warning", message)] for name, message in out_of_line(losses).items()}
