"""Losses of tokens of a folder, read of all models in step, so that memory holds a few at a time."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path
from bayeslaw.inputs.manifests import read_manifest
from bayeslaw.losses.file_digests import check_file
from bayeslaw.losses.model_tokens import first_uses, runs_of, token_batches
from bayeslaw.losses.parquet_files import again
from bayeslaw.losses.table_arguments import find_table, untold_losses
from bayeslaw.losses.token_columns import ScratchFile, Spans, TokenColumns, TokensInMemory
from bayeslaw.losses.token_losses import check_sums, check_text_bytes, read_token_losses, tokens_to_read


@dataclass(frozen=True)
class TokenFolder:
    """A folder of losses scored with ``--tokens``, whose tokens are yet to be read.

    Parameters
    ----------
    folder
        The folder.
    tokenizer
        As in `bayeslaw.read_token_losses`.
    """

    folder: Path
    tokenizer: str | None = None

    def open(self, models: Sequence[str]) -> TokenColumns:
        """Look through the tokens of some models, and keep their losses in a scratch file.

        Parameters
        ----------
        models
            Names of the models.

        Returns
        -------
        TokenColumns
            The tokens. Memory holds their spans alone, unless the rows of the folder are in another order than that of
            the text, or of one model in another than of the next: they are then read as `read_token_losses` does.

        Raises
        ------
        InputError
            As `bayeslaw.read_token_losses`, and if there is no room for the scratch file.
        """
        if self.folder.exists() and not self.folder.is_dir():
            problem = f"{str(self.folder)!r} is a file, and rules of tokens need the losses of tokens"
            raise InputError(problem, "a folder of losses scored with --tokens", "name such a folder, or another rule")
        found = _in_step(self.folder, models, self.tokenizer)
        # What is out of step is either in another order or wrong: reading all of it tells which.
        whole = found or read_token_losses(self.folder, models=models, tokenizer=self.tokenizer)
        return whole if isinstance(whole, TokensOnDisk) else TokensInMemory(whole)


class TokensOnDisk:
    """Losses of tokens in scratch files.

    Parameters
    ----------
    names, tokenizer
        Names of the models, and the hash of their tokenizer.
    """

    def __init__(self, names: Sequence[str], tokenizer: str) -> None:
        self.names, self.tokenizer = tuple(names), tokenizer
        self.spans = Spans(np.zeros(0, np.int64), np.zeros(0, object), np.zeros(0, object))
        self._nll, self._bytes = ScratchFile("f8", len(names)), ScratchFile("i8")

    def append(self, nll: np.ndarray, size: np.ndarray) -> None:
        """Take in losses [token, lm] and bytes [token]."""
        self._nll.append(nll)
        self._bytes.append(size)

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return losses and bytes of tokens from `start` to `stop`."""
        return self._nll.read(start, stop).reshape(-1, len(self.names)), self._bytes.read(start, stop)


@dataclass
class _Tokens:
    """Some tokens of a model, all [token]; documents have numbers in the order in which they first appear."""

    sample: np.ndarray
    document: np.ndarray
    position: np.ndarray
    size: np.ndarray
    nll: np.ndarray

    def same_as(self, other: "_Tokens") -> bool:
        """Whether another model's tokens are the same, whatever they lose."""
        names = ("sample", "document", "position", "size")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def cut(self, number: int) -> tuple["_Tokens", "_Tokens"]:
        """Return the first tokens, and the others."""
        columns = (self.sample, self.document, self.position, self.size, self.nll)
        return _Tokens(*(each[:number] for each in columns)), _Tokens(*(each[number:] for each in columns))


def _joined(parts: Sequence[_Tokens]) -> _Tokens:
    names = ("sample", "document", "position", "size", "nll")
    return _Tokens(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class _Reader:
    """The tokens of a model, from the first to the last: as they are read in `batches`, or as many as are asked for.

    Parameters
    ----------
    folder, files, name
        As in `bayeslaw.losses.model_tokens.token_batches`.
    samples
        Names of the table's samples.
    """

    def __init__(self, folder: Path, files: Sequence[str], name: str, samples: pd.Index) -> None:
        self.samples, self.documents = samples, dict[str, int]()
        self._left: _Tokens | None = None
        self.batches = self._numbered(folder, files, name)

    def take(self, number: int) -> _Tokens | None:
        """Return the next tokens, fewer where there are no more; None where there are none."""
        parts, held = ([self._left], len(self._left.nll)) if self._left else ([], 0)
        while held < number and (part := next(self.batches, None)) is not None:
            parts.append(part)
            held += len(part.nll)
        if not parts:
            return None
        taken, self._left = _joined(parts).cut(number)
        return taken if len(taken.nll) else None

    def _numbered(self, folder: Path, files: Sequence[str], name: str) -> Iterator[_Tokens]:
        for file in files:
            for batch in token_batches(folder, file, name):
                if len(batch):
                    yield self._tokens(batch)
                pa.default_memory_pool().release_unused()

    def _tokens(self, batch: pa.RecordBatch) -> _Tokens:
        numbers = {}
        for label in ("sample", "document"):
            starts, indices = runs_of(batch[label])
            words, places = first_uses(batch[label], indices)
            if label == "sample":
                of_words = self.samples.get_indexer(pd.Index(words, dtype=self.samples.dtype))
            else:
                codes = [self.documents.setdefault(word, len(self.documents)) for word in words]
                of_words = np.array(codes, np.int64)
            numbers[label] = np.repeat(of_words[places], np.diff(np.append(starts, len(batch))))
        position, size, nll = (batch[name].to_numpy() for name in ("position", "bytes", "nll"))
        return _Tokens(numbers["sample"], numbers["document"], position, size, nll)


def _in_step(folder: Path, models: Sequence[str], tokenizer: str | None) -> TokensOnDisk | None:
    """Keep the tokens of models in scratch files; None where they are out of step."""
    manifest = read_manifest(folder, "losses")
    wanted = tokens_to_read(folder, manifest, models, tokenizer)
    for file in wanted.files:
        check_file(folder, manifest, file, fix=again(manifest))
    first, *others = (_Reader(folder, wanted.files, name, wanted.samples) for name in wanted.names)
    kept, sums = TokensOnDisk(wanted.names, wanted.tokenizer), np.zeros(wanted.nll.shape)
    order = _Order()
    for tokens in first.batches:
        columns = [tokens.nll]
        for other in others:
            found = other.take(len(tokens.nll))
            if found is None or not found.same_as(tokens):
                return None
            columns.append(found.nll)
        nll = np.stack(columns, axis=1)
        if not (order.goes_on(tokens) and ((nll >= 0) & np.isfinite(nll)).all()):
            return None
        low = int(tokens.sample[0])
        for column, values in enumerate(columns):
            found = np.bincount(tokens.sample - low, values)
            sums[low : low + len(found), column] += found
        kept.append(nll, tokens.size)
    if not order.counts or any(other.take(1) is not None for other in others):
        return None
    check_sums(sums, wanted.nll, samples=wanted.samples, names=wanted.names)
    check_text_bytes(folder, order.bytes, wanted.known)
    kept.spans = _spans(order, list(first.documents), wanted.samples, wanted.known)
    return kept


class _Order:
    """Whether tokens come in the order of the table's samples and of the text, and the spans that they fall into."""

    def __init__(self) -> None:
        self.counts: list[np.ndarray] = []
        self.samples: list[np.ndarray] = []
        self.documents: list[np.ndarray] = []
        self.bytes = 0
        self._last = (-1, -1, -1)

    def goes_on(self, tokens: _Tokens) -> bool:
        """Take in tokens that follow those before; say whether they do."""
        before = (np.array([value]) for value in self._last)
        columns = (tokens.sample, tokens.document, tokens.position)
        sample, document, position = (np.concatenate(pair) for pair in zip(before, columns, strict=True))
        after = (document[1:] > document[:-1]) | ((document[1:] == document[:-1]) & (position[1:] > position[:-1]))
        fine = after.all() and (sample[1:] >= sample[:-1]).all()
        if not fine or min(tokens.sample.min(), tokens.position.min(), tokens.size.min()) < 0:
            return False
        self._last = tuple(int(column[-1]) for column in columns)
        changes = np.flatnonzero((np.diff(tokens.sample) != 0) | (np.diff(tokens.document) != 0)) + 1
        first = np.concatenate([[0], changes])
        self.counts.append(np.diff(np.append(first, len(tokens.sample))))
        self.samples.append(tokens.sample[first])
        self.documents.append(tokens.document[first])
        self.bytes += int(tokens.size.sum())
        return True


def _spans(order: _Order, documents: list[str], samples: pd.Index, known: Mapping[str, Any]) -> Spans:
    """Join what batches have cut."""
    counts, sample, document = map(np.concatenate, (order.counts, order.samples, order.documents))
    new = np.concatenate([[True], (np.diff(sample) != 0) | (np.diff(document) != 0)])
    first = np.flatnonzero(new)
    counts, sample, document = np.add.reduceat(counts, first), sample[first], document[first]
    cluster = known["cluster"][sample] if "cluster" in known else np.array(documents, dtype=object)[document]
    return Spans(counts, samples.to_numpy(dtype=object)[sample], np.asarray(cluster, dtype=object))


def a_token_table(name: str, value: Any) -> xr.Dataset | TokenFolder:
    """Accept losses of tokens, or the path of a folder that holds some."""
    if isinstance(value, TokenFolder):
        return value
    if isinstance(value, str | os.PathLike):
        folder = find_table(a_path(name, value))
        if not folder.is_file():
            # Rules that need no tokens never open it: a wrong path would pass without a word.
            read_manifest(folder, "losses")
        return TokenFolder(folder)
    return untold_losses(name, value)
