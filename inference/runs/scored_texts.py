"""The texts of a segment with what one model loses on them, and the rows of its tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from inference.runs.prepared import Plan
from inference.scoring.sample_losses import DocumentLosses, Totals, document_losses, loss_rows, token_rows, total_losses
from inference.texts.documents import Corpus
from inference.texts.tokens import Encoding

# Names take far more room in Python than in a file, so that rows are made for some documents at a time.
TOKENS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class ScoredTexts:
    """A segment scored by one model.

    Attributes
    ----------
    texts, encodings
        Its documents, and their tokens.
    found
        Log-probabilities of the tokens of each document in nats, [token], float32; NaN where not scored.
    losses
        Sums over the samples of each document.
    unit
        What a sample is.
    number
        Number of the segment.
    seconds
        How long its batches took.
    drift
        As `inference.runs.drift.measure_drift` returns it.
    """

    texts: Corpus
    encodings: list[Encoding]
    found: list[np.ndarray]
    losses: list[DocumentLosses]
    unit: str
    number: int
    seconds: float
    drift: dict[str, Any] | None

    @classmethod
    def of(cls, texts: Corpus, plan: Plan, batches: Sequence[np.ndarray], *, unit: str, **facts: Any) -> Self:
        """Add up what the batches of a plan gave.

        Parameters
        ----------
        texts
            The documents.
        plan
            The plan that a model was scored by.
        batches
            Log-probabilities of the tokens of each batch, [token].
        unit
            What a sample is.
        **facts
            The other attributes: ``number``, ``seconds`` and ``drift``.

        Returns
        -------
        ScoredTexts
            The sums.
        """
        found = plan.scatter(batches)
        losses = [
            document_losses(text, encoding, values, unit)
            for text, encoding, values in zip(texts.texts, plan.encodings, found, strict=True)
        ]
        return cls(texts, plan.encodings, found, losses, unit, **facts)

    @cached_property
    def totals(self) -> Totals:
        """All losses added up."""
        return total_losses(self.losses)

    def loss_rows(self, name: str) -> Iterator[pa.Table]:
        """Yield the rows of the loss table for a model of some name, a few documents at a time."""
        for some in self._slices():
            texts = self.texts.select(range(len(self.texts.names))[some])
            yield loss_rows(texts, self.losses[some], name=name, unit=self.unit)

    def token_rows(self, name: str) -> Iterator[pa.Table]:
        """Yield the rows of the losses of single tokens, a few documents at a time."""
        for some in self._slices():
            texts = self.texts.select(range(len(self.texts.names))[some])
            scored = self.encodings[some], self.found[some], self.losses[some]
            yield token_rows(texts, *scored, name=name, unit=self.unit)

    def _slices(self) -> Iterator[slice]:
        start = held = 0
        for stop, values in enumerate(self.found, start=1):
            held += len(values)
            if held >= TOKENS_AT_ONCE or stop == len(self.found):
                yield slice(start, stop)
                start, held = stop, 0
