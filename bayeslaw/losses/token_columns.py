"""Losses of tokens in the order of a text, of which memory holds a few at a time."""

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError

# Tokens that are looked at together.
TOKENS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Spans:
    """Neighbouring tokens of one sample and one document, in the order of the tokens.

    Attributes
    ----------
    counts
        Number of tokens of each, [span]; at least one.
    sample
        Name of the sample that they belong to, objects [span].
    cluster
        Name of their cluster, as the tokens' own table has it, objects [span].
    """

    counts: np.ndarray
    sample: np.ndarray
    cluster: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Number of the first token of each span, [span]."""
        return np.cumsum(self.counts) - self.counts


class TokenColumns(Protocol):
    """Tokens in spans, read by their numbers.

    Attributes
    ----------
    names
        Names of the models.
    tokenizer
        Hash of their tokenizer; empty where it is not known.
    spans
        Which tokens belong together.
    """

    names: tuple[str, ...]
    tokenizer: str
    spans: Spans

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return losses in nats, float64 [token, lm], and bytes, int64 [token], of tokens from `start` to `stop`."""
        ...


def pieces(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut a range of tokens into ranges of `TOKENS_AT_ONCE`."""
    for first in range(start, stop, TOKENS_AT_ONCE):
        yield first, min(first + TOKENS_AT_ONCE, stop)


class TokensInMemory:
    """Losses of tokens that `bayeslaw.read_token_losses` read.

    Parameters
    ----------
    tokens
        As it returns them.
    """

    def __init__(self, tokens: xr.Dataset) -> None:
        self.names = tuple(str(name) for name in tokens["lm"].to_numpy())
        self.tokenizer = str(tokens.attrs.get("tokenizer", ""))
        self._nll = tokens["nll"].transpose("sample", "lm").to_numpy()
        self._bytes = tokens["bytes"].to_numpy()
        sample, cluster = (tokens[name].to_numpy().astype(object) for name in ("sample_of_token", "cluster"))
        changes = np.flatnonzero((sample[1:] != sample[:-1]) | (cluster[1:] != cluster[:-1])) + 1
        first = np.concatenate([np.zeros(min(len(sample), 1), np.int64), changes])
        counts = np.diff(np.append(first, len(sample)))
        self.spans = Spans(counts, sample[first], cluster[first])

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return losses and bytes of tokens from `start` to `stop`."""
        return self._nll[start:stop], self._bytes[start:stop]


class ScratchFile:
    """Numbers of one kind in a file that goes away with this object, written and read anywhere.

    Parameters
    ----------
    kind
        Type of the numbers.
    width
        How many there are in a row.
    """

    def __init__(self, kind: str, width: int = 1) -> None:
        self.kind, self.width, self.length = np.dtype(kind), width, 0
        try:
            # Unnamed where the system can do so: nothing is left of it, however the process ends.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        except OSError as error:
            raise _no_room(error) from error
        self.close = weakref.finalize(self, self._file.close)
        """Gives the room on the disk back, as happens when nothing holds on to this object any more."""

    def append(self, values: np.ndarray) -> None:
        """Write rows after those that are there, [row, width] or [row]."""
        self.write(self.length, values)

    def write(self, start: int, values: np.ndarray) -> None:
        """Write rows from one on, [row, width] or [row]."""
        try:
            self._file.seek(start * self.width * self.kind.itemsize)
            self._file.write(np.ascontiguousarray(values, self.kind).data)
        except OSError as error:
            raise _no_room(error) from error
        self.length = max(self.length, start + len(values))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows from `start` to `stop`, [row, width], or [row] where a row is one number."""
        try:
            self._file.seek(start * self.width * self.kind.itemsize)
            # Into an array that may be written to; a file that is read by other means does not see what is yet to be.
            values = np.empty((min(stop, self.length) - start) * self.width, self.kind)
            self._file.readinto(values.data)
        except OSError as error:
            raise _no_room(error) from error
        return values if self.width == 1 else values.reshape(-1, self.width)


def _no_room(error: OSError) -> InputError:
    return InputError(
        f"losses of tokens cannot be kept in {str(Path(tempfile.gettempdir()))!r} meanwhile: {error.strerror or error}",
        "room there for eight bytes a token and model, and up to three times as much for pools",
        "free some, or name another folder in the environment variable TMPDIR",
    )
