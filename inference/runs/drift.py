"""How far losses in a short type are from those in float32, on a sample of the texts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from inference.runs.batch_journal import Journal
from inference.runs.prepared import Plan, PreparedModel

SAMPLE_TOKENS = 16_384


class Scorer(Protocol):
    """What scores the batches of a plan."""

    def fits(self, model: PreparedModel) -> bool:
        """Say whether there is memory for a model."""
        ...

    def score(
        self, model: PreparedModel, plan: Plan, batches: Sequence[int], *, journal: Journal | None = None
    ) -> Iterator[tuple[int, np.ndarray, float]]:
        """Yield number, log-probabilities [token] and seconds of batches, in any order.

        What is worth keeping before a batch is done may be kept in the journal.
        """
        ...


def measure_drift(
    scorer: Scorer, model: PreparedModel, plan: Plan, batches: Sequence[np.ndarray]
) -> dict[str, Any] | None:
    """Score some batches again in float32.

    Parameters
    ----------
    scorer
        What scores them.
    model
        The model, in the type it was scored in.
    plan
        Its batches.
    batches
        Log-probabilities of the tokens of each batch, [token].

    Returns
    -------
    dict or None
        ``dtype``, ``documents`` and ``tokens`` of the sample, ``mean_relative`` (relative difference of the sample's
        loss), ``largest_relative`` (largest relative difference of a document's windows in it) and ``nats_per_token``,
        the mean difference; only ``dtype``, ``largest_relative`` (None) and ``reason`` where float32 does not fit into
        memory. None for a model in float32, or where there is nothing to score.
    """
    if model.dtype == "float32" or not plan.batches:
        return None
    whole = replace(model, dtype="float32")
    if not scorer.fits(whole):
        return {
            "dtype": model.dtype,
            "largest_relative": None,
            "reason": "the weights in float32 do not fit into memory",
        }
    scored, true = np.zeros(len(plan.encodings)), np.zeros(len(plan.encodings))
    tokens = 0
    for batch, values, _ in scorer.score(whole, plan, _chosen(plan)):
        documents = plan.documents(batch)
        np.add.at(scored, documents, -batches[batch].astype(np.float64))
        np.add.at(true, documents, -values.astype(np.float64))
        tokens += len(documents)
    seen = true > 0
    relative = (scored[seen] - true[seen]) / true[seen]
    return {
        "dtype": model.dtype,
        "documents": int(seen.sum()),
        "tokens": tokens,
        "mean_relative": float((scored.sum() - true.sum()) / true.sum()) if seen.any() else 0.0,
        "largest_relative": float(np.abs(relative).max(initial=0.0)),
        "nats_per_token": float((scored.sum() - true.sum()) / max(1, tokens)),
    }


def _chosen(plan: Plan) -> list[int]:
    """Choose batches spread evenly over the plan, of some ten thousand tokens."""
    count = len(plan.batches)
    sizes = [plan.tokens(batch) for batch in range(count)]
    wanted = max(1, min(count, round(SAMPLE_TOKENS / max(1.0, float(np.mean(sizes))))))
    return sorted({int(place) for place in np.linspace(0, count - 1, wanted)})
