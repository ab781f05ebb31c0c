"""Windows of documents to batches of few shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bayeslaw.errors import InputError, check_whole
from inference.texts.packing import PackedRows, pack_rows
from inference.texts.tokens import Encoding
from inference.texts.windows import Window

MOST_SHAPES, TOKENS_PER_SHAPE = 8, 8192
# Lengths told apart exactly up to here, and to one part in as many beyond.
_EXACT = 512


@dataclass(frozen=True)
class Batch:
    """Windows that go through a model together.

    Attributes
    ----------
    inputs
        Input positions of each row.
    rows
        Rows of the shape; those beyond the windows are padding.
    windows
        Indices into the list of windows, row by row.
    counts
        Number of windows of each row that has some; empty where each has one.
    """

    inputs: int
    rows: int
    windows: tuple[int, ...]
    counts: tuple[int, ...] = ()

    def places(self, windows: Sequence[Window]) -> Iterator[tuple[Window, int, int]]:
        """Yield each of its windows with its row and the position that it begins at there.

        Parameters
        ----------
        windows
            All windows.

        Yields
        ------
        tuple
            Window, row, and first position.
        """
        which = iter(self.windows)
        for row, count in enumerate(self.counts or (1,) * len(self.windows)):
            start = 0
            for _ in range(count):
                window = windows[next(which)]
                yield window, row, start
                start += window.inputs

    def parts(self, windows: Sequence[Window], values: np.ndarray) -> Iterator[tuple[Window, np.ndarray]]:
        """Yield each of its windows with the values of the tokens it scores.

        Parameters
        ----------
        windows
            All windows.
        values
            Those of all tokens that the batch scores, row by row, [token].

        Yields
        ------
        tuple
            Window and values, [token].
        """
        start = 0
        for window in (windows[which] for which in self.windows):
            stop = start + window.stop - window.first
            yield window, values[start:stop]
            start = stop


@dataclass(frozen=True)
class BatchArrays:
    """What a model gets for a batch.

    Attributes
    ----------
    inputs
        int32 [row, position], the ids fed.
    targets
        int32 [row, position], the ids predicted at those positions.
    lengths
        int32 [row], positions in use; 1 in a row of padding, so that no row attends to nothing. [row, position] where
        rows hold several windows: those of the window that a position belongs to, 1 in padding.
    scored
        bool [row, position], whether the target's log-probability counts here.
    positions
        int32 [row, position], where rows hold several windows: the number of each position within its window, from 0;
        0 in padding. None where each window has a row.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    scored: np.ndarray
    positions: np.ndarray | None = None


def plan_batches(
    windows: Sequence[Window],
    *,
    batch_tokens: int,
    most_shapes: int | None = None,
    shape_cost: int = 0,
    multiple: int = 1,
    packed: bool = False,
) -> list[Batch]:
    """Gather windows of similar length into batches, with the least padding that few shapes allow.

    The lengths of rows are found by dynamic programming. A class of windows of similar length fills batches of equally
    many rows, as few batches as the budget allows; windows of one length are in one class. Of all numbers of shapes
    allowed the one is taken whose padding and compilations cost least together. The plan depends on the lengths of the
    windows and on the options alone.

    Where windows may share rows (`packed`), they are put into rows as `inference.texts.packing.pack_rows` does.

    Parameters
    ----------
    windows
        Windows, as `plan_windows` returns them.
    batch_tokens
        Most input positions of a batch, padding included; a longer window has a batch to itself.
    most_shapes
        Most different shapes (rows, inputs); by default one for each 8,192 positions, up to 8: each shape is compiled,
        which takes longer than the padding that it spares in few texts.
    shape_cost
        How many positions go through the model in the time that a shape takes to compile: many where it is small.
    multiple
        What the length of rows is a multiple of, unless that is beyond the longest window.
    packed
        Whether rows may hold several windows.

    Returns
    -------
    list of Batch
        Longest windows first; each window is in one batch.

    Raises
    ------
    InputError
        If an option is not a whole number of at least 1 (`shape_cost`: 0).
    """
    check_whole("batch_tokens", batch_tokens, lowest=1, suggested=8192)
    lengths = np.array([window.inputs for window in windows], dtype=np.int64)
    if most_shapes is None:
        most_shapes = min(MOST_SHAPES, 1 + int(lengths.sum()) // TOKENS_PER_SHAPE)
    check_whole("most_shapes", most_shapes, lowest=1, suggested=MOST_SHAPES)
    check_whole("shape_cost", shape_cost, lowest=0, suggested=0)
    check_whole("multiple", multiple, lowest=1, suggested=8)
    if not len(lengths):
        return []
    if packed:
        shapes = pack_rows(lengths, batch_tokens=batch_tokens, multiple=multiple)
        return [batch for shape in shapes for batch in _packed_batches(shape)]
    # Stable, so that the plan is a function of the lengths.
    order = np.argsort(-lengths, kind="stable")
    # No row is longer than the longest window, which may be all that a model has positions for.
    rounded = np.minimum(-(-_round_up(lengths) // multiple) * multiple, lengths.max())
    bins, counts = np.unique(rounded, return_counts=True)
    batches, done = [], 0
    for inputs, count in _row_lengths(bins, counts, batch_tokens, most_shapes, shape_cost):
        rows = int(_rows(np.array(count), inputs, batch_tokens))
        for start in range(done, done + count, rows):
            chosen = order[start : min(start + rows, done + count)]
            batches.append(Batch(inputs, rows, tuple(chosen.tolist())))
        done += count
    return batches


def _packed_batches(shape: PackedRows) -> list[Batch]:
    single = all(len(row) == 1 for row in shape.windows)
    batches = []
    for start in range(0, len(shape.windows), shape.rows):
        rows = shape.windows[start : start + shape.rows]
        counts = () if single else tuple(map(len, rows))
        batches.append(Batch(shape.inputs, shape.rows, tuple(which for row in rows for which in row), counts))
    return batches


def batch_arrays(
    batch: Batch, windows: Sequence[Window], encodings: Sequence[Encoding], *, prefix: int | None, pad: int = 0
) -> BatchArrays:
    """Fill the arrays of a batch.

    Parameters
    ----------
    batch
        One of the batches planned for the windows.
    windows
        All windows.
    encodings
        Tokens of each document.
    prefix
        Id put in front of every window; None if and only if the windows were planned without.
    pad
        Id of unused positions.

    Returns
    -------
    BatchArrays
        Inputs, targets, lengths and what is scored.

    Raises
    ------
    InputError
        If the windows were planned with a prefix and none is given, or the other way round.
    """
    inputs = np.full((batch.rows, batch.inputs), pad, np.int32)
    targets = np.full((batch.rows, batch.inputs), pad, np.int32)
    scored = np.zeros((batch.rows, batch.inputs), bool)
    several = bool(batch.counts)
    lengths = np.ones((batch.rows, batch.inputs) if several else batch.rows, np.int32)
    positions = np.zeros((batch.rows, batch.inputs), np.int32) if several else None
    for window, row, start in batch.places(windows):
        if window.prefix != (prefix is not None):
            problem = (
                f"the prefix is {prefix}, and the windows were planned {'with' if window.prefix else 'without'} one"
            )
            raise InputError(problem, "a prefix for windows planned with one", "plan the windows anew")
        seen = encodings[window.document].ids[window.start : window.stop]
        count, stop = window.inputs, start + window.inputs
        inputs[row, start:stop] = seen[:-1] if prefix is None else np.concatenate([[prefix], seen[:-1]])
        targets[row, start:stop] = seen[-count:]
        scored[row, stop - (window.stop - window.first) : stop] = True
        if positions is None:
            lengths[row] = count
        else:
            lengths[row, start:stop] = count
            positions[row, start:stop] = np.arange(count)
    return BatchArrays(inputs, targets, lengths, scored, positions)


def _round_up(lengths: np.ndarray) -> np.ndarray:
    """Round lengths so that they fall into some hundred bins."""
    octave = np.frexp(lengths.astype(np.float64))[1].astype(np.int64) - _EXACT.bit_length()
    step = np.int64(1) << np.maximum(octave + 1, 0)
    return -(-lengths // step) * step


def _rows(counts: np.ndarray, inputs: int, batch_tokens: int) -> np.ndarray:
    """Return how many rows each of the fewest batches has if they are to be alike."""
    most = max(1, batch_tokens // inputs)
    return -(-counts // -(-counts // most))


def _row_lengths(
    bins: np.ndarray, counts: np.ndarray, batch_tokens: int, most_shapes: int, shape_cost: int
) -> list[tuple[int, int]]:
    """Choose rows' lengths for the least padding and compilation.

    The least number of positions for the windows of the first j bins in at most k shapes: the last shape takes the bins
    from some i to j, and those before are a smaller problem of the same kind.

    Returns
    -------
    list of tuple
        Length of rows and number of windows of each class, longest first.
    """
    passed = np.concatenate([[0], np.cumsum(counts)])
    size, shapes = len(bins), min(most_shapes, len(bins))
    least = np.full((shapes + 1, size + 1), np.iinfo(np.int64).max // 2)
    least[:, 0] = 0
    begins = np.zeros((shapes + 1, size + 1), np.int64)
    for j in range(1, size + 1):
        inputs = int(bins[j - 1])
        held = passed[j] - passed[:j]
        rows = _rows(held, inputs, batch_tokens)
        cost = -(-held // rows) * rows * inputs
        for k in range(1, shapes + 1):
            total = least[k - 1, :j] + cost
            begins[k, j] = np.argmin(total)
            least[k, j] = total[begins[k, j]]
    classes, j = [], size
    cheapest = int(np.argmin(least[1:, size] + shape_cost * np.arange(1, shapes + 1))) + 1
    for k in range(cheapest, 0, -1):
        if j == 0:
            break
        i = int(begins[k, j])
        classes.append((int(bins[j - 1]), int(passed[j] - passed[i])))
        j = i
    return classes
