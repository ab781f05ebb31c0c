"""Log-probabilities of tokens to losses of samples: sums over the spans of each document."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from inference.texts.documents import Corpus
from inference.texts.spans import character_bytes, span_bytes, span_of_tokens, span_starts
from inference.texts.tokens import Encoding


@dataclass(frozen=True)
class DocumentLosses:
    """What one model loses on the samples of one document; all arrays [sample] but `span`, [token].

    Attributes
    ----------
    nll
        Nats of each sample: the sum over its tokens.
    bytes, scored_bytes
        Bytes of UTF-8 of each sample, and those of them that scored tokens stand for.
    tokens
        Number of scored tokens.
    span
        The sample that each token belongs to.
    """

    nll: np.ndarray
    bytes: np.ndarray
    scored_bytes: np.ndarray
    tokens: np.ndarray
    span: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which samples have a loss, bool [sample]: those of which a token was scored; of the others it is not zero."""
        return (self.tokens > 0) & (self.scored_bytes > 0)


def document_losses(text: str, encoding: Encoding, log_probabilities: np.ndarray, unit: str) -> DocumentLosses:
    """Add the losses of a document's tokens up over its samples.

    Parameters
    ----------
    text
        The document.
    encoding
        Its tokens.
    log_probabilities
        In nats, [token], float32; NaN for a token that was not scored.
    unit
        What a sample is.

    Returns
    -------
    DocumentLosses
        The sums, in float64: over all units of a document they add up to the same.
    """
    starts = span_starts(text, unit)
    span = span_of_tokens(text, encoding.offsets, starts)
    scored = ~np.isnan(log_probabilities)
    nll = np.bincount(span[scored], -log_probabilities[scored].astype(np.float64), minlength=len(starts))
    sizes = character_bytes(text)
    return DocumentLosses(
        nll=nll + 0.0,
        bytes=span_bytes(text, starts),
        scored_bytes=np.add.reduceat(np.where(encoding.scored_characters, sizes, 0), starts),
        tokens=np.bincount(span[scored], minlength=len(starts)),
        span=span.astype(np.int32),
    )


@dataclass(frozen=True)
class Totals:
    """What one model loses on many documents, and on how much of them.

    Attributes
    ----------
    nll
        Nats of all samples that have a loss.
    samples, tokens, scored_bytes
        How many samples have one, of how many tokens, and the bytes these stand for.
    bytes
        Bytes of the documents, whether or not they are scored.
    """

    nll: float
    samples: int
    tokens: int
    scored_bytes: int
    bytes: int


def total_losses(losses: Sequence[DocumentLosses]) -> Totals:
    """Add the losses of documents up, as far as `loss_rows` has rows of them."""
    kept = [one.known for one in losses]
    sums = {
        name: np.concatenate([getattr(one, name)[rows] for one, rows in zip(losses, kept, strict=True)])
        for name in ("nll", "tokens", "scored_bytes")
    }
    return Totals(
        nll=float(sums["nll"].sum()),
        samples=len(sums["nll"]),
        tokens=int(sums["tokens"].sum()),
        scored_bytes=int(sums["scored_bytes"].sum()),
        bytes=sum(int(one.bytes.sum()) for one in losses),
    )


def sample_names(document: str, count: int, unit: str) -> list[str]:
    """Return the names of a document's samples: its own, or its own with the number of the span."""
    return [document] if unit == "document" else [f"{document}:{number}" for number in range(count)]


def loss_rows(corpus: Corpus, losses: Sequence[DocumentLosses], *, name: str, unit: str) -> pa.Table:
    """Return the rows of a loss table for one model.

    Parameters
    ----------
    corpus
        The documents.
    losses
        What the model loses on each of them.
    name
        The model.
    unit
        What a sample is.

    Returns
    -------
    pyarrow.Table
        ``sample, lm, nll, bytes, tokens, scored_bytes, cluster`` (the document where the texts name none) and
        ``domain`` where the texts have one. A sample of which nothing was scored has no row: its loss is missing, not
        zero.
    """
    counts = [len(one.nll) for one in losses]
    columns = {
        "sample": [
            n for text, count in zip(corpus.names, counts, strict=True) for n in sample_names(text, count, unit)
        ],
        "nll": np.concatenate([one.nll for one in losses]),
        "bytes": np.concatenate([one.bytes for one in losses]),
        "tokens": np.concatenate([one.tokens for one in losses]),
        "scored_bytes": np.concatenate([one.scored_bytes for one in losses]),
        "cluster": pa.array(np.repeat(np.array(corpus.clusters or corpus.names, object), counts), pa.string()),
    }
    if corpus.domains is not None:
        columns["domain"] = pa.array(np.repeat(np.array(corpus.domains, object), counts), pa.string())
    table = pa.table(columns)
    table = table.add_column(1, "lm", pa.array([name] * table.num_rows, pa.string()))
    return table.filter(pa.array(np.concatenate([one.known for one in losses])))


def token_rows(
    corpus: Corpus,
    encodings: Sequence[Encoding],
    found: Sequence[np.ndarray],
    losses: Sequence[DocumentLosses],
    *,
    name: str,
    unit: str,
) -> pa.Table:
    """Return the rows of the losses of single tokens.

    Parameters
    ----------
    corpus
        The documents.
    encodings, found, losses
        Their tokens, log-probabilities [token] and sums.
    name
        The model.
    unit
        What a sample is.

    Returns
    -------
    pyarrow.Table
        ``lm, document, sample, position, nll, bytes``, one row a scored token of a sample that has a loss. Each byte of
        a document counts to one token: the first that reaches it, the last of a document taking what is left.
    """
    parts = []
    for text, document, encoding, values, sums in zip(
        corpus.texts, corpus.names, encodings, found, losses, strict=True
    ):
        scored = ~np.isnan(values) & sums.known[sums.span]
        names = np.array(sample_names(document, len(sums.nll), unit), object)
        rows = {
            "lm": pa.array([name] * int(scored.sum()), pa.string()),
            "document": pa.array([document] * int(scored.sum()), pa.string()),
            "sample": pa.array(names[sums.span[scored]], pa.string()),
            "position": np.flatnonzero(scored),
            "nll": -values[scored],
            "bytes": _token_bytes(text, encoding.offsets)[scored],
        }
        parts.append(pa.table(rows))
    return pa.concat_tables(parts)


def _token_bytes(text: str, offsets: np.ndarray) -> np.ndarray:
    """Share the bytes of a text out among its tokens, [token]."""
    ends = np.maximum.accumulate(offsets[:, 1])
    ends[-1] = len(text)
    before = np.concatenate([[0], np.cumsum(character_bytes(text))])
    return np.diff(before[ends], prepend=0)
