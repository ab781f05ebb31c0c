"""Hidden states between two parts of a decoder, batch by batch: in memory, or in files that a later run goes on from.

Files are read and written whole rather than mapped: a map's pages count as resident until it is closed, and a disk that
becomes full kills a process that writes into one.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file
from inference.runs.batch_journal import Journal

# How much work a killed run may lose whose hidden states are in memory.
SECONDS_BETWEEN_FILES = 30.0


@dataclass(frozen=True)
class BatchState:
    """How far a batch is.

    Attributes
    ----------
    parts
        How many parts of the decoder it went through.
    seconds
        How long that took.
    values
        Its hidden states, [row, position, width], float32.
    """

    parts: int
    seconds: float
    values: np.ndarray


class HiddenStates:
    """The hidden states of batches.

    Parameters
    ----------
    journal
        The journal in whose folder files are kept; None to keep none.
    shapes
        Shape of each batch's hidden states.
    parts
        Through how many parts of the decoder a batch goes before its log-probabilities are computed.
    in_memory
        Whether they are all held in memory; files are then written now and then. Without a journal they always are.
    """

    def __init__(
        self, journal: Journal | None, shapes: Mapping[int, tuple[int, int, int]], *, parts: int, in_memory: bool
    ) -> None:
        self._journal, self._shapes, self._parts = journal, shapes, parts
        self._in_memory = in_memory or journal is None
        self._held: dict[int, BatchState] = {}
        self._changed: set[int] = set()
        self._written = time.monotonic()

    def begin(self) -> dict[int, int]:
        """Find out how far each batch is: through how many parts of the decoder.

        Returns
        -------
        dict
            By batch; 0 for one of which nothing whole was kept.
        """
        if self._journal is None:
            return dict.fromkeys(self._shapes, 0)
        self._journal.begin()
        parts = {}
        for batch in self._shapes:
            state = self._read(batch)
            parts[batch] = 0 if state is None else state.parts
            if state is not None and self._in_memory:
                self._held[batch] = state
        return parts

    def get(self, batch: int) -> BatchState:
        """Return a batch that is there.

        Raises
        ------
        InputError
            If its file was damaged since it was written.
        """
        state = self._held[batch] if self._in_memory else self._read(batch)
        if state is None:
            problem = f"the hidden states in {str(self._path(batch))!r} were changed since they were written"
            raise InputError(problem, "files that a run may keep to itself", "run the same command again")
        return state

    def put(self, batch: int, state: BatchState) -> None:
        """Keep a batch.

        Raises
        ------
        InputError
            If its file cannot be written.
        """
        if not self._in_memory:
            self._write(batch, state)
            return
        self._held[batch] = state
        self._changed.add(batch)

    def end_part(self) -> None:
        """Write what is in memory into files, once enough work would be lost without.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        if self._journal is None or time.monotonic() - self._written < SECONDS_BETWEEN_FILES:
            return
        for batch in sorted(self._changed):
            self._write(batch, self._held[batch])
        self._changed.clear()
        self._written = time.monotonic()

    def remove(self, batch: int) -> None:
        """Let go of a batch that is done."""
        self._held.pop(batch, None)
        self._changed.discard(batch)
        if self._journal is not None:
            self._path(batch).unlink(missing_ok=True)

    def _path(self, batch: int) -> Path:
        assert self._journal is not None
        return self._journal.hidden_path(batch)

    def _write(self, batch: int, state: BatchState) -> None:
        # The format keeps a checksum of each array, which reading compares.
        with atomic_file(self._path(batch)) as path:
            np.savez(path, parts=np.int64(state.parts), seconds=np.float64(state.seconds), values=state.values)

    def _read(self, batch: int) -> BatchState | None:
        try:
            with self._path(batch).open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                state = BatchState(int(held["parts"]), float(held["seconds"]), held["values"])
        except Exception:
            # A damaged file may be anything to the readers of zip and npy, and fails in as many ways.
            return None
        known = state.values.shape == self._shapes[batch] and state.values.dtype == np.float32
        return state if known and 0 < state.parts <= self._parts else None
