"""Columns that describe samples, put together from rows of losses that come a few at a time."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

# Rows of a table that are moved or compared at once.
ROWS = 1 << 16


def enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """Return an array with more entries, the new ones zero, where it stands if there is room.

    Parameters
    ----------
    values
        Some values, in one dimension, that nothing else looks into.
    size
        The new number of entries.
    """
    values.resize(size, refcheck=False)
    return values


class SampleColumn:
    """A column with one value a sample, of which the rows of all models of a sample say the same.

    Parameters
    ----------
    type_
        What it holds; anything but whole and floating-point numbers is kept as codes of the different values.
    """

    def __init__(self, type_: pa.DataType) -> None:
        number = pa.types.is_integer(type_) or pa.types.is_floating(type_)
        self.type = type_ if number else None
        self.values = np.zeros(0, type_.to_pandas_dtype() if number else np.int32)
        self.words: dict[Any, int] = {}
        self.filled = 0

    def row_values(self, column: pa.Array) -> np.ndarray:
        """Return the values of some rows as they are kept: numbers, NaN where there is none, or codes, there -1."""
        if self.type is not None:
            return column.cast(self.type).to_numpy(zero_copy_only=False)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        words = column.dictionary.to_pylist()
        codes = [-1 if word is None else self.words.setdefault(word, len(self.words)) for word in words]
        codes = np.array(codes or [-1], np.int32)
        return np.where(column.is_valid(), codes[column.indices.fill_null(0)], np.int32(-1))

    def add(self, size: int, samples: np.ndarray, values: np.ndarray) -> None:
        """Make room for new samples and give them their values.

        Parameters
        ----------
        size
            How many samples there are with the new ones.
        samples
            Samples, old ones among them, [row].
        values
            Their values, as of `row_values`, [row].
        """
        if values.dtype.kind == "f" and self.values.dtype.kind != "f":
            # Whole numbers with gaps.
            self.values = self.values.astype(np.float64)
        self.values = enlarged(self.values, size)
        new = samples >= self.filled
        self.values[samples[new]] = values[new]
        self.filled = size

    def agrees(self, samples: np.ndarray, values: np.ndarray) -> bool:
        """Say whether rows, samples [row] and values [row], hold what is known of their samples."""
        known = self.values[samples]
        equal = known == values
        return bool(equal.all()) or bool((equal | ((known != known) & (values != values))).all())

    def merge(self, start: int, places: np.ndarray) -> bool:
        """Move values to other samples, and say whether those that meet agree.

        Parameters
        ----------
        start
            The first sample that moves.
        places
            The new number of it and of those after it, as `SampleCodes.settle` returns them.
        """
        moved, same, self.filled = self.values[start:].copy(), True, start
        for first in range(0, len(places), ROWS):
            rows = slice(first, first + ROWS)
            self.add(max(self.filled, int(places[rows].max()) + 1), places[rows][::-1], moved[rows][::-1])
            same &= self.agrees(places[rows], moved[rows])
        return same

    def series(self) -> pd.Series:
        """Return the column: numbers, truth values, or a categorical of the different values."""
        if self.type is not None:
            return pd.Series(self.values, copy=False)
        words = list(self.words)
        if words and all(isinstance(word, bool) for word in words) and not (self.values < 0).any():
            return pd.Series(np.array(words)[self.values])
        return pd.Series(pd.Categorical.from_codes(self.values, pd.Index(words, dtype=object)), copy=False)
