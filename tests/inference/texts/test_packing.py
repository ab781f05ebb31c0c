"""Ragged texts share rows: each is in one row, few positions are left, and arrays keep the texts apart."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.texts.batches import batch_arrays, plan_batches
from inference.texts.packing import LEAST_PART, SHORT_ROW, pack_rows
from inference.texts.tokens import Encoding
from inference.texts.windows import Window, plan_windows

SOME = st.lists(st.integers(1, 5000), min_size=1, max_size=60)


def encodings(lengths):
    """Documents whose ids tell document and position: 10,000 times the one, plus the other."""
    return [
        Encoding(
            ids=np.arange(length, dtype=np.int32) + 10_000 * (document + 1),
            offsets=np.zeros((length, 2), np.int64),
            covered=np.ones(length, bool),
            scored_bytes=length,
            scored_characters=np.ones(length, bool),
        )
        for document, length in enumerate(lengths)
    ]


def used(lengths, batches):
    return sum(lengths) / sum(batch.rows * batch.inputs for batch in batches)


@settings(max_examples=150, deadline=None)
@given(SOME, st.integers(1, 5000), st.integers(1, 16))
def test_each_window_is_in_one_row_that_holds_it(lengths, budget, multiple):
    shapes = pack_rows(np.array(lengths), batch_tokens=budget, multiple=multiple)
    rows = [(shape, row) for shape in shapes for row in shape.windows]
    assert sorted(which for _, row in rows for which in row) == list(range(len(lengths)))
    for shape, row in rows:
        assert row
        assert sum(lengths[which] for which in row) <= shape.inputs
        assert shape.inputs % multiple == 0
        assert shape.rows == 1 or shape.rows * shape.inputs <= budget
    for longer, shorter in pairwise(shapes):
        assert longer.inputs > shorter.inputs


@settings(max_examples=80, deadline=None)
@given(SOME)
def test_a_row_is_opened_by_what_is_a_good_part_of_it(lengths):
    # Attention is computed over the whole row: texts much shorter than it may fill it up, and are else put elsewhere.
    for shape in pack_rows(np.array(lengths), batch_tokens=4096, multiple=1):
        longest = max(lengths[row[0]] for row in shape.windows)
        assert longest <= shape.inputs <= 2 * longest
        for row in shape.windows:
            assert lengths[row[0]] == max(lengths[which] for which in row)
            assert longest <= SHORT_ROW or lengths[row[0]] >= longest // LEAST_PART


@pytest.mark.parametrize(("count", "seed"), [(32, 0), (32, 1), (32, 2), (300, 1)])
@pytest.mark.parametrize("budget", [2048, 8192])
def test_ragged_texts_leave_under_a_twentieth_unused(count, seed, budget):
    lengths = (np.random.default_rng(seed).integers(200, 3001, count) // 4).tolist()
    windows = plan_windows(lengths, window=2048, stride=1024, prefix=True)
    batches = plan_batches(windows, batch_tokens=budget, packed=True)
    assert used(lengths, batches) >= 0.95
    assert len({(batch.rows, batch.inputs) for batch in batches}) == 1
    # What is padded has more shapes to compile, and still leaves more.
    assert used(lengths, plan_batches(windows, batch_tokens=budget)) < used(lengths, batches)


def test_texts_of_one_length_have_a_row_each():
    batches = plan_batches([Window(number, 0, 50, 0) for number in range(6)], batch_tokens=100, packed=True)
    assert batches == plan_batches([Window(number, 0, 50, 0) for number in range(6)], batch_tokens=100)
    assert all(batch.counts == () for batch in batches)


def test_many_windows_are_packed_quickly():
    lengths = (np.exp(np.random.default_rng(0).normal(6, 1.5, 100_000)).astype(int) + 1).tolist()
    windows = plan_windows(lengths, window=8192, stride=4096, prefix=True)
    batches = plan_batches(windows, batch_tokens=8192, packed=True)
    assert sum(len(batch.windows) for batch in batches) == len(windows)
    assert len({(batch.rows, batch.inputs) for batch in batches}) <= 3
    assert sum(window.inputs for window in windows) / sum(batch.rows * batch.inputs for batch in batches) > 0.98


def test_arrays_by_hand():
    windows = [Window(0, 2, 6, 4), Window(1, 0, 2, 0), Window(2, 0, 5, 0)]
    (batch,) = plan_batches(windows, batch_tokens=12, packed=True)
    assert (batch.inputs, batch.rows, batch.windows, batch.counts) == (6, 2, (2, 0, 1), (1, 2))
    arrays = batch_arrays(batch, windows, encodings([8, 2, 5]), prefix=77, pad=9)
    assert arrays.inputs.tolist() == [
        [77, 30_000, 30_001, 30_002, 30_003, 9],
        [77, 10_002, 10_003, 10_004, 77, 20_000],
    ]
    assert arrays.targets.tolist()[1] == [10_002, 10_003, 10_004, 10_005, 20_000, 20_001]
    assert arrays.scored.astype(int).tolist() == [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    assert arrays.lengths.tolist() == [[5, 5, 5, 5, 5, 1], [4, 4, 4, 4, 2, 2]]
    assert arrays.positions is not None
    assert arrays.positions.tolist() == [[0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 0, 1]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=8), st.integers(2, 20), st.booleans(), st.integers(1, 60))
def test_arrays_score_every_token_once_behind_its_own_context(lengths, window, prefix, budget):
    documents, windows = encodings(lengths), plan_windows(lengths, window=window, stride=1 + window // 2, prefix=prefix)
    unscored, found = 0 if prefix else 1, []
    for batch in plan_batches(windows, batch_tokens=budget, packed=True):
        arrays = batch_arrays(batch, windows, documents, prefix=99 if prefix else None)
        parts = list(batch.parts(windows, arrays.targets[arrays.scored]))
        assert [windows[which] for which in batch.windows] == [planned for planned, _ in parts]
        for planned, part in parts:
            assert part.tolist() == documents[planned.document].ids[planned.first : planned.stop].tolist()
            found += part.tolist()
        for planned, row, start in batch.places(windows):
            seen = slice(start, start + planned.inputs)
            if arrays.positions is not None:
                assert arrays.positions[row, seen].tolist() == list(range(planned.inputs))
                assert (arrays.lengths[row, seen] == planned.inputs).all()
            assert arrays.inputs[row, start] == (99 if prefix else documents[planned.document].ids[planned.start])
            assert arrays.inputs[row, seen][1:].tolist() == arrays.targets[row, seen][:-1].tolist()
    assert sorted(found) == sorted(token for document in documents for token in document.ids[unscored:].tolist())
