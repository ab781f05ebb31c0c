"""Spans tile a text, and every token belongs to one of them."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from inference.texts.spans import UNITS, span_bytes, span_of_tokens, span_starts

TEXTS = st.text(st.sampled_from("ab\u00e9\u4e16\U0001f600 \n\r\t\u3000\u2028\u0085\x1f."), max_size=60)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def pieces(text, unit):
    starts = span_starts(text, unit).tolist()
    return [text[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("document", ["  One two.\nThree\n \n\nfour  five\n"]),
        ("paragraph", ["  One two.\nThree", "\n \n\nfour  five\n"]),
        ("line", ["  One two.", "\nThree", "\n \n\nfour  five\n"]),
        ("word", ["  One", " two.", "\nThree", "\n \n\nfour", "  five\n"]),
    ],
)
def test_spans_by_hand(unit, expected):
    assert pieces("  One two.\nThree\n \n\nfour  five\n", unit) == expected


def test_line_ends_of_other_systems():
    assert pieces("a\r\nb", "paragraph") == ["a\r\nb"]
    assert pieces("a\r\n\r\nb", "paragraph") == ["a", "\r\n\r\nb"]
    assert pieces("a\r\rb\rc", "paragraph") == ["a", "\r\rb\rc"]
    assert pieces("a\rb\r\nc\n\rd", "line") == ["a", "\rb", "\r\nc", "\n\rd"]
    assert pieces("a\u2028b", "line") == ["a\u2028b"]


@settings(max_examples=200, deadline=None)
@given(st.one_of(TEXTS, ANY_TEXT), st.sampled_from(UNITS))
def test_spans_tile_the_text_and_their_bytes_add_up(text, unit):
    starts = span_starts(text, unit)
    assert starts.dtype == np.int64
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    parts = pieces(text, unit)
    assert "".join(parts) == text
    assert span_bytes(text, starts).tolist() == [len(part.encode()) for part in parts]
    # White space belongs to what follows.
    assert all(not part[-1].isspace() for part in parts[:-1])
    assert all(part[0].isspace() for part in parts[1:])


def test_bytes_at_the_bounds_of_utf8():
    text = "\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"
    starts = np.arange(len(text))
    assert span_bytes(text, starts).tolist() == [1, 2, 2, 3, 3, 4, 4] == [len(letter.encode()) for letter in text]


@settings(max_examples=200, deadline=None)
@given(st.one_of(TEXTS, ANY_TEXT))
def test_units_against_a_plain_split(text):
    stripped = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in stripped.split("\n") if line.strip()]
    # Blank characters other than line feeds are passed over, so that a blank line may hold some.
    blank = "".join({character for character in stripped if character.isspace() and character != "\n"})
    bare = stripped.translate({ord(character): " " for character in blank})
    paragraphs = [part for part in re.split(r"\n *\n", bare) if part.strip()]
    assert [part.strip() for part in pieces(text, "word")] == (text.split() or [""])
    assert [part.strip() for part in pieces(text, "line")] == ([line.strip() for line in lines] or [""])
    assert len(pieces(text, "paragraph")) == max(1, len(paragraphs))


def slow_spans(text, offsets, starts):
    """The rule, read aloud: one token at a time."""
    owners = []
    for first, stop in offsets:
        own = next((place for place in range(first, stop) if not text[place].isspace()), None)
        owners.append(None if own is None else max(i for i, start in enumerate(starts) if start <= own))
    following = len(starts) - 1
    for index in range(len(owners) - 1, -1, -1):
        if owners[index] is None:
            owners[index] = following
        following = owners[index]
    return owners


@settings(max_examples=200, deadline=None)
@given(st.data(), TEXTS.filter(len), st.sampled_from(UNITS))
def test_tokens_belong_to_the_span_of_their_first_visible_character(data, text, unit):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    # Cuts may repeat (tokens without width), and some tokens of one character are doubled, as those of its bytes are.
    bounds = [0, *cuts, len(text)]
    offsets = [pair for pair in pairwise(bounds) for _ in range(1 + (pair[1] - pair[0] == 1))]
    starts = span_starts(text, unit)
    owners = span_of_tokens(text, np.array(offsets), starts)
    assert owners.tolist() == slow_spans(text, offsets, starts.tolist())
    assert (np.diff(owners) >= 0).all()
    losses = np.random.default_rng(0).exponential(size=len(owners)).astype(np.float32)
    sums = np.bincount(owners, weights=losses, minlength=len(starts))
    assert math.isclose(sums.sum(), losses.sum(dtype=np.float64), rel_tol=1e-12)


def test_white_space_tokens_go_with_what_follows():
    text = " a  b \n"
    offsets = np.array([[0, 1], [1, 2], [2, 3], [3, 5], [5, 6], [6, 7]])
    assert span_of_tokens(text, offsets, span_starts(text, "word")).tolist() == [0, 0, 1, 1, 1, 1]
    # No token stands for "a": the space before it goes with the next token all the same.
    assert span_of_tokens(" a b", np.array([[0, 1], [3, 4]]), np.array([0, 2])).tolist() == [1, 1]
    # A token that spans a word's end belongs to the word it begins in; offsets beyond the text are cut.
    assert span_of_tokens("ab cd", np.array([[-1, 4], [4, 9]]), np.array([0, 2])).tolist() == [0, 1]
    assert span_of_tokens("  ", np.array([[0, 1], [1, 2]]), np.array([0])).tolist() == [0, 0]
    assert span_of_tokens("a", np.zeros((0, 2), int), np.array([0])).tolist() == []


def test_a_long_text_has_the_words_that_splitting_finds():
    text = "Zwölf große Boxkämpfer\tjagen 世界  über den Sylter Deich.\r\n\n" * 80_000
    starts = span_starts(text, "word")
    assert len(text) > 4_500_000
    assert len(starts) == len(text.split())
    assert span_bytes(text, starts).sum() == len(text.encode())
    assert len(span_starts(text, "paragraph")) == 80_000
    owners = span_of_tokens(text, np.stack([starts, np.append(starts[1:], len(text))], axis=1), starts)
    assert (owners == np.arange(len(starts))).all()


def test_an_unknown_unit_is_refused():
    with pytest.raises(InputError, match="use 'word'"):
        span_starts("a b", "words")
