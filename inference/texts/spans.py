"""Spans of a text (document, paragraphs, lines, words), and the span each token belongs to."""

from functools import cache

import numpy as np

from bayeslaw.errors import check_choice

UNITS = ("document", "paragraph", "line", "word")
# Ends of lines that white space must hold between two spans of a unit.
_LINE_ENDS = {"word": 0, "line": 1, "paragraph": 2}


def code_points(text: str) -> np.ndarray:
    """Return the characters of a text as numbers.

    Parameters
    ----------
    text
        A text without lone surrogates.

    Returns
    -------
    numpy.ndarray
        uint32 [character].
    """
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def character_bytes(text: str) -> np.ndarray:
    """Return how many bytes of UTF-8 each character of a text takes.

    Parameters
    ----------
    text
        A text without lone surrogates.

    Returns
    -------
    numpy.ndarray
        int64 [character], 1 to 4.
    """
    points = code_points(text)
    return 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)


def span_starts(text: str, unit: str) -> np.ndarray:
    """Split a text into spans that tile it.

    Words are parted by white space (`str.isspace`), lines by white space with at least one line feed or carriage return
    in it (blank lines are no lines), paragraphs by white space with at least two (a pair of both counts once). White
    space between two spans belongs to the second, at the end of the text to the last; so does a model's token, which
    mostly begins with the space before its word.

    Parameters
    ----------
    text
        A text without lone surrogates.
    unit
        ``"document"``, ``"paragraph"``, ``"line"`` or ``"word"``.

    Returns
    -------
    numpy.ndarray
        int64 [span], the character each span starts at; the first is 0. Span i is ``text[starts[i]:starts[i + 1]]``.

    Raises
    ------
    InputError
        If the unit is not known.
    """
    check_choice("unit", unit, UNITS)
    if unit == "document":
        return np.zeros(1, np.int64)
    points = code_points(text)
    blank = _is_space(points)
    # A gap is white space between two characters that are none; a span starts where a gap starts.
    changes = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    gap_starts, gap_stops = changes[blank[changes]], changes[~blank[changes]]
    if blank[:1].any():
        gap_stops = gap_stops[1:]
    gap_starts = gap_starts[: len(gap_stops)]
    line_end = points == ord("\n")
    line_end[:-1] |= (points[:-1] == ord("\r")) & (points[1:] != ord("\n"))
    passed = np.concatenate([[0], np.cumsum(line_end)])
    parts = passed[gap_stops] - passed[gap_starts] >= _LINE_ENDS[unit]
    return np.concatenate([[0], gap_starts[parts]]).astype(np.int64)


def span_of_tokens(text: str, offsets: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Find the span that each token belongs to.

    A token belongs to the span where its first character that is no white space lies. A token without such a character
    belongs to the span of the next token that has one, after the last of those to the last span.

    Parameters
    ----------
    text
        The text.
    offsets
        [token, 2], the characters that each token stands for: first, and behind the last.
    starts
        [span], as `span_starts` returns them.

    Returns
    -------
    numpy.ndarray
        int64 [token], indices of spans.
    """
    length = len(text)
    visible = np.flatnonzero(~_is_space(code_points(text)))
    first, stop = np.clip(np.asarray(offsets, np.int64).reshape(-1, 2), 0, length).T
    following = np.append(visible, length)[np.searchsorted(visible, first)]
    span_of_token = np.where(following < stop, np.searchsorted(starts, following, side="right") - 1, -1)
    # From the end, so that a token without a visible character finds the next one that has some.
    tokens = np.arange(len(span_of_token))
    source = np.minimum.accumulate(np.where(span_of_token >= 0, tokens, len(span_of_token))[::-1])[::-1]
    return np.append(span_of_token, len(starts) - 1)[source].astype(np.int64)


def span_bytes(text: str, starts: np.ndarray) -> np.ndarray:
    """Return the size of each span.

    Parameters
    ----------
    text
        The text.
    starts
        [span], as `span_starts` returns them.

    Returns
    -------
    numpy.ndarray
        int64 [span], bytes of UTF-8; they add up to those of the text.
    """
    passed = np.concatenate([[0], np.cumsum(character_bytes(text))])
    return np.diff(passed[np.append(starts, len(text))])


@cache
def _space_table() -> np.ndarray:
    # Unicode has no white space beyond the ideographic space.
    return np.array([chr(point).isspace() for point in range(0x3001)] + [False])


def _is_space(points: np.ndarray) -> np.ndarray:
    table = _space_table()
    return table[np.minimum(points, len(table) - 1)]
