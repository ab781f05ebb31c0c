"""Several windows in one row, so that ragged texts leave little of a batch unused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A row computes attention over all of its length: only what is a good part of it opens one, but in rows this short.
SHORT_ROW, LEAST_PART = 1024, 8
# Rows may be longer than the longest window, if they are then better filled.
LONGEST_ROW, MOST_LENGTHS = 2.0, 17
# What is used of rows from which on shorter ones are preferred to fuller ones.
ENOUGH = 0.96
# Windows that are put into rows in all, over the lengths that are tried.
MOST_TRIES = 50_000


@dataclass(frozen=True)
class PackedRows:
    """Rows of one shape, in batches of one shape.

    Attributes
    ----------
    inputs
        Positions of a row.
    rows
        Rows of a batch.
    windows
        Of each row, which windows it holds, in their order.
    """

    inputs: int
    rows: int
    windows: list[list[int]]

    @property
    def positions(self) -> int:
        """Positions of all batches, with those that hold nothing."""
        return -(-len(self.windows) // self.rows) * self.rows * self.inputs


def pack_rows(lengths: np.ndarray, *, batch_tokens: int, multiple: int) -> list[PackedRows]:
    """Put windows into rows, longest first, each into the row that it leaves least of (best fit decreasing).

    Parameters
    ----------
    lengths
        Positions of each window.
    batch_tokens
        Most positions of a batch; a longer window has a batch to itself.
    multiple
        What the length of rows is a multiple of.

    Returns
    -------
    list of PackedRows
        One for each shape, longest rows first: few, since short windows share rows with long ones only where these
        leave room, and are else put into rows of another shape. Each window is in one row.
    """
    left, found = np.argsort(-lengths, kind="stable").tolist(), []
    while left:
        chosen, left = _one_shape(lengths, left, batch_tokens, multiple)
        found.append(chosen)
    return found


def _one_shape(
    lengths: np.ndarray, order: Sequence[int], batch_tokens: int, multiple: int
) -> tuple[PackedRows, list[int]]:
    """Return rows for the longest of the windows left, and which are left then."""
    longest = int(lengths[order[0]])
    least = 1 if longest <= SHORT_ROW else longest // LEAST_PART
    tried = min(MOST_LENGTHS, max(3, MOST_TRIES // len(order)))
    options = []
    for inputs in np.unique(np.linspace(longest, LONGEST_ROW * longest, tried).astype(int)).tolist():
        inputs = -(-inputs // multiple) * multiple
        if inputs > max(batch_tokens, -(-longest // multiple) * multiple):
            break
        rows, left = _best_fit(lengths, order, inputs, least)
        most = max(1, batch_tokens // inputs)
        packed = PackedRows(inputs, -(-len(rows) // -(-len(rows) // most)), rows)
        used = sum(int(lengths[row].sum()) for row in rows) / packed.positions
        if used >= ENOUGH:
            return packed, left
        options.append((used, packed, left))
    return max(options, key=lambda option: option[0])[1:]


def _best_fit(lengths: np.ndarray, order: Sequence[int], inputs: int, least: int) -> tuple[list[list[int]], list[int]]:
    """Put windows into rows of `inputs` positions; those shorter than `least` open none, and may be left."""
    rows: list[list[int]] = []
    left: list[int] = []
    # Rows by what is free of them, and a bit for each number of positions that some row has free.
    free: list[list[int]] = [[] for _ in range(inputs + 1)]
    some = 0
    for window, length in zip(order, lengths[order].tolist(), strict=True):
        fitting = some >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = free[room].pop()
            if not free[room]:
                some &= ~(1 << room)
        elif length >= least:
            room, row = inputs, len(rows)
            rows.append([])
        else:
            left.append(window)
            continue
        rows[row].append(window)
        free[room - length].append(row)
        some |= 1 << (room - length)
    return rows, left
