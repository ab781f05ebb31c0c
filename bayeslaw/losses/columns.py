"""Columns of the frames that users bring: numbers, labels, names, and what is wrong with them."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, nearest
from bayeslaw.losses.sizes import read_size

# Fixed-width text, the sums of squares and single precision must all hold what a table has.
MOST_CHARACTERS, LARGEST = 1_000, 1e30
# Losses that are checked at once.
ROWS, SHOWN = 1 << 16, 100
# Their text would be names such as "b'llama'".
NO_NAMES = (bytes, bytearray, list, tuple, dict, set, frozenset, np.ndarray)
NOT_GIVEN = ("", "NA", "N/A", "NaN", "nan", "null", "None")


def tidy(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return a frame with text column names, none twice, and a named index turned into columns."""
    source = source_of(frame, what)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.set_axis([str(column).strip() for column in frame.columns], axis=1)
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        fix = "remove or rename one of them"
        raise InputError(f"column {repeated[0]!r} is twice in {source}", "every column and model once", fix)
    return frame.reset_index(drop=True)


def source_of(frame: pd.DataFrame, default: str) -> str:
    """Return where a frame was read from, for messages."""
    return str(frame.attrs.get("source", default))


def series(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return one column; its type is narrowed, since names are unique in a tidy frame."""
    return cast(pd.Series, frame[name])


def column_list(table: pd.DataFrame, given: str | Sequence[str] | None) -> list[str]:
    """Return the columns that a list or a text separated by commas names.

    Raises
    ------
    InputError
        If the table has no such column.
    """
    if given is None:
        return []
    if isinstance(given, str):
        given = [given] if given in table else [part.strip() for part in given.split(",") if part.strip()]
    for name in given:
        if name not in table:
            known = [str(column) for column in table.columns]
            raise InputError(f"there is no column {name!r}", "a column of the table", nearest(name, known))
    return list(given)


def labels(column: pd.Series, what: str) -> np.ndarray:
    """Return a column of names as text.

    Parameters
    ----------
    column
        The column.
    what
        What it names, for the message.

    Returns
    -------
    numpy.ndarray
        The names without white space around them, as Python text: equal ones share their memory where they can.

    Raises
    ------
    InputError
        If an entry is empty, or longer than a name may be.
    """
    codes, words = _coded(column)
    for word in words:
        if isinstance(word, NO_NAMES):
            problem = f"a {what} is {shown(word)}, of the type {type(word).__name__}"
            raise InputError(problem, f"a {what} that is text or a number", "turn the column into text")
    text = np.array([str(word).strip() for word in words], dtype=object)
    empty = np.append(text == "", True)[codes]
    if empty.any():
        problem = f"row {int(empty.argmax())} (from 0) has no {what}"
        raise InputError(problem, f"a {what} in every row", "fill it in, or remove the row")
    for word in text:
        check_length(word, what)
    return text[codes]


def _coded(column: pd.Series) -> tuple[np.ndarray, list[object]]:
    """Return the number of each row's value, -1 where there is none, and the values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), column.cat.categories.tolist()
    return np.where(column.isna().to_numpy(dtype=bool), -1, np.arange(len(column))), column.tolist()


def check_length(name: str, what: str) -> None:
    """Refuse a name that is so long that it is none."""
    if len(name) > MOST_CHARACTERS:
        problem = f"a {what} has {len(name):,} characters: {shown(name)}"
        raise InputError(problem, f"a {what} of at most {MOST_CHARACTERS:,} characters", "shorten it")


def shown(value: object) -> str:
    """Return a value for a message, its beginning where it is long."""
    text = repr(str(value)[:SHOWN])
    return text if len(str(value)) <= SHOWN else f"{text}..."


def numbers(column: pd.Series, what: str, names: np.ndarray | pd.Index) -> np.ndarray:
    """Return a column as float64, NaN where it is empty.

    Parameters
    ----------
    column
        The column.
    what
        What its numbers are, for the message.
    names
        The name of each row, for the message.

    Raises
    ------
    InputError
        If an entry is not a number.
    """
    if pd.api.types.is_complex_dtype(column):
        fix = "take the real part, if the other is zero"
        raise InputError(f"the {what} are complex numbers", "real numbers, such as 3.25", fix)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = _parsed(column)
    wrong = np.isnan(values) & ~column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_bool_dtype(column):
        wrong[:] = True
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"the {what} of {str(names[row])!r} is {shown(column.iloc[row])}, which is not a number"
        raise InputError(problem, "a number such as 3.25", "correct it; leave the field empty where nothing is known")
    return values


def sizes(column: pd.Series, what: str, names: np.ndarray) -> np.ndarray:
    """Return a column of sizes such as ``7e9``, ``7B`` or ``70,000,000`` as float64, NaN where it is empty.

    Parameters
    ----------
    column, what, names
        As in `numbers`.

    Raises
    ------
    InputError
        If an entry is no size.
    """
    if pd.api.types.is_numeric_dtype(column) or not any(isinstance(value, str) for value in column):
        return numbers(column, what, names)
    given = zip(column, column.isna(), names, strict=True)
    return np.array(
        [np.nan if empty else read_size(f"the {what} of {str(name)!r}", value) for value, empty, name in given]
    )


def check_positive(values: np.ndarray, what: str, names: np.ndarray | pd.Index, *, zero: bool = False) -> None:
    """Refuse numbers that are negative, infinite, without sense or (unless `zero` says so) zero; NaN passes."""
    wrong = ~np.isnan(values) & ~((values >= 0 if zero else values > 0) & (values <= LARGEST))
    if wrong.any():
        row = int(wrong.argmax())
        accepted = f"{what} of zero or more" if zero else f"{what} above zero and finite"
        if np.isfinite(values[row]) and values[row] > LARGEST:
            accepted = f"{what} of at most {LARGEST:g}"
        raise InputError(f"the {what} of {str(names[row])!r} is {values[row]:g}", accepted, "correct it")


def check_unique(names: np.ndarray, what: str, source: str) -> None:
    """Refuse a name that is there twice."""
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        twice = str(unique[counts.argmax()])
        problem = f"{what} {twice!r} is {counts.max()} times in {source}"
        fix = (
            f"remove the repeats, or name another {what} column" if what == "sample" else "rename or remove the repeats"
        )
        raise InputError(problem, f"every {what} once", fix)


def holds_fractions(column: pd.Series) -> bool:
    """Say whether a column is one of floating-point numbers, also where gaps turned it into text."""
    if pd.api.types.is_float_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column):
        return False
    values = _parsed(column.loc[~column.isin(NOT_GIVEN) & column.notna()])
    # Not a number: text. Whole numbers: codes that describe, such as a sentence's number.
    return len(values) > 0 and bool(np.isfinite(values).all() and (values % 1 != 0).any())


def _parsed(column: pd.Series) -> np.ndarray:
    return np.asarray(pd.to_numeric(column.astype(object), errors="coerce"), dtype=np.float64)


def joined_labels(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Join several labels of each row into one, such that different rows stay different."""
    if len(columns) == 1:
        return columns[0]
    escaped = [[str(label).replace("\\", "\\\\").replace("/", "\\/") for label in column] for column in columns]
    return np.array(["/".join(row) for row in zip(*escaped, strict=True)], dtype=object)


def description(column: pd.Series) -> np.ndarray:
    """Return a column that describes samples as an array: numbers as they are, the rest as text."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    # Fixed-width text would give every row the length of the longest passage.
    codes, words = _coded(column)
    return np.array([*(str(word) for word in words), ""], dtype=object)[codes]


def check_losses(values: np.ndarray, where: Callable[[tuple[int, ...]], str]) -> None:
    """Refuse losses that are negative, infinite or too large to be added up, and say where; NaN passes.

    Parameters
    ----------
    values
        The losses.
    where
        Names the loss at some index.

    Raises
    ------
    InputError
        If there is such a loss.
    """
    for start in range(0, len(values), ROWS):
        # Half precision has no number as large as the largest.
        rows = values[start : start + ROWS].astype(np.float64, copy=False)
        wrong = (rows < 0) | (rows > LARGEST)
        if not wrong.any():
            continue
        first, *rest = (int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        value = rows[(first, *rest)]
        what, fix = "negative", "give minus the log-probability"
        if value > 0:
            infinite = np.isinf(value)
            what = "infinite" if infinite else f"beyond {LARGEST:g}, of which sums and squares are no numbers"
            fix = "correct it, or leave the field empty"
        problem = f"the loss of {where((start + first, *rest))} is {what} ({value:g})"
        raise InputError(problem, f"finite losses of zero or more, and at most {LARGEST:g}", fix)
