"""Windows score each token once with the context that fits; batches lose little to padding in few shapes."""

from collections import Counter
from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from inference.decoder.configuration import DecoderConfig
from inference.decoder.rope_settings import Rope
from inference.scoring.batch_rules import shape_cost
from inference.texts.batches import Batch, batch_arrays, plan_batches
from inference.texts.tokens import Encoding
from inference.texts.windows import Window, plan_windows

LENGTHS = st.lists(st.integers(0, 60), max_size=8)
BOUNDS = st.integers(2, 20).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))


def encodings(lengths):
    """Documents whose ids tell document and position: 1000 times the one, plus the other."""
    return [
        Encoding(
            ids=np.arange(length, dtype=np.int32) + 1000 * document,
            offsets=np.zeros((length, 2), np.int64),
            covered=np.ones(length, bool),
            scored_bytes=length,
            scored_characters=np.ones(length, bool),
        )
        for document, length in enumerate(lengths)
    ]


def inputs_only(lengths):
    return [Window(0, 0, length, 0) for length in lengths]


def shapes(batches):
    return {(batch.rows, batch.inputs) for batch in batches}


def padded(batches):
    return sum(batch.rows * batch.inputs for batch in batches)


@settings(max_examples=150, deadline=None)
@given(LENGTHS, BOUNDS, st.booleans())
def test_each_token_is_scored_once_with_as_much_context_as_fits(lengths, bounds, prefix):
    window, stride = bounds
    windows = plan_windows(lengths, window=window, stride=stride, prefix=prefix)
    unscored = 0 if prefix else 1
    for document, length in enumerate(lengths):
        own = [item for item in windows if item.document == document]
        scored = [token for item in own for token in range(item.first, item.stop)]
        assert scored == list(range(unscored, length))
        for number, item in enumerate(own):
            assert 1 <= item.inputs <= window
            assert item.inputs == item.stop - item.start - unscored
            # Nothing is scored that the window does not predict, and no context is left out that would fit.
            assert item.first >= item.start + unscored
            assert item.start == 0 or item.inputs == window
            if number == 0:
                assert (item.start, item.first) == (0, unscored)
                assert item.inputs == min(window, length - unscored)
            elif number < len(own) - 1:
                assert item.stop - item.first == stride
            else:
                assert 1 <= item.stop - item.first <= stride


def test_windows_of_a_document_by_hand():
    with_prefix = plan_windows([10, 3], window=4, stride=3, prefix=True)
    assert [(item.document, item.start, item.stop, item.first) for item in with_prefix] == [
        (0, 0, 4, 0),
        (0, 3, 7, 4),
        (0, 6, 10, 7),
        (1, 0, 3, 0),
    ]
    without = plan_windows([10, 1], window=4, stride=2, prefix=False)
    assert [(item.start, item.stop, item.first) for item in without] == [(0, 5, 1), (2, 7, 5), (4, 9, 7), (5, 10, 9)]


@pytest.mark.parametrize(
    ("window", "stride", "said"),
    [(1, 1, "window is 1"), (0, 1, "window"), (8, 0, "stride is 0"), (8, 9, "stride is 9"), (8.5, 1, "window is 8.5")],
)
def test_bounds_out_of_range_are_refused(window, stride, said):
    with pytest.raises(InputError, match=said):
        plan_windows([5], window=window, stride=stride, prefix=True)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=80), st.integers(1, 5000), st.integers(1, 8), st.integers(1, 16)
)
def test_batches_hold_each_window_once_within_budget_and_few_shapes(lengths, budget, most_shapes, multiple):
    windows = inputs_only(lengths)
    batches = plan_batches(windows, batch_tokens=budget, most_shapes=most_shapes, multiple=multiple)
    assert sorted(index for batch in batches for index in batch.windows) == list(range(len(lengths)))
    assert len(shapes(batches)) <= most_shapes
    for batch in batches:
        assert 1 <= len(batch.windows) <= batch.rows
        assert batch.rows == 1 or batch.rows * batch.inputs <= budget
        assert max(lengths[index] for index in batch.windows) <= batch.inputs <= max(lengths)
        assert batch.inputs % multiple == 0 or batch.inputs == max(lengths)
    ordered = [lengths[index] for batch in batches for index in batch.windows]
    assert ordered == sorted(lengths, reverse=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 40), st.integers(1, 4))
def test_padding_is_the_least_of_all_ways_to_part_the_lengths(lengths, budget, most_shapes):
    counts = sorted(Counter(lengths).items())
    best = None
    for cuts in combinations_with_replacement(range(len(counts) + 1), most_shapes - 1):
        total = 0
        for start, stop in pairwise([0, *cuts, len(counts)]):
            if stop > start:
                inputs, count = counts[stop - 1][0], sum(number for _, number in counts[start:stop])
                # The cheapest number of rows of all that keep to the fewest batches.
                batches = -(-count // max(1, budget // inputs))
                total += batches * inputs * next(rows for rows in range(1, count + 1) if rows * batches >= count)
        best = total if best is None else min(best, total)
    assert padded(plan_batches(inputs_only(lengths), batch_tokens=budget, most_shapes=most_shapes)) == best


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.integers(0, 20_000))
def test_as_many_shapes_as_cost_least_with_their_padding(lengths, shape_cost):
    windows = inputs_only(lengths)

    def cost(batches):
        return padded(batches) + shape_cost * len(shapes(batches))

    found = plan_batches(windows, batch_tokens=4096, most_shapes=5, shape_cost=shape_cost)
    fixed = [plan_batches(windows, batch_tokens=4096, most_shapes=number) for number in range(1, 6)]
    assert cost(found) == min(cost(batches) for batches in fixed)


def test_a_small_model_compiles_one_shape_and_a_large_one_several():
    lengths = np.random.default_rng(2).integers(20, 1000, 200).tolist()
    sizes = {"width": 64, "heads": 1, "key_value_heads": 1, "head_width": 64, "mlp_width": 8}
    config = DecoderConfig(vocabulary=9, depth=3, **sizes, ropes=(Rope(1e4, 64),))
    small, large = (
        plan_batches(inputs_only(lengths), batch_tokens=2048, shape_cost=shape_cost(parameters, config))
        for parameters in (20_000, 160_000_000)
    )
    assert len(shapes(small)) == 1
    assert len(shapes(large)) == 8


def test_batches_of_a_class_are_alike():
    # Three rows would fit, but two batches hold four windows with two rows each.
    assert plan_batches(inputs_only([10] * 4), batch_tokens=30) == [Batch(10, 2, (0, 1)), Batch(10, 2, (2, 3))]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_plan_depends_on_the_lengths_alone(lengths, random):
    order = list(range(len(lengths)))
    random.shuffle(order)
    plan = plan_batches(inputs_only(lengths), batch_tokens=4096)
    shuffled = plan_batches(inputs_only([lengths[index] for index in order]), batch_tokens=4096)
    assert [(batch.rows, batch.inputs) for batch in plan] == [(batch.rows, batch.inputs) for batch in shuffled]
    assert plan == plan_batches(inputs_only(lengths), batch_tokens=4096)
    elsewhere = [Window(7, 100, 100 + length, 100 + length // 2) for length in lengths]
    assert plan_batches(elsewhere, batch_tokens=4096) == plan


@pytest.mark.parametrize("budget", [4096, 8192])
def test_ragged_texts_lose_under_a_tenth_to_padding(budget):
    lengths = (np.random.default_rng(1).integers(200, 3001, 300) // 4).tolist()
    batches = plan_batches(plan_windows(lengths, window=2048, stride=1024, prefix=True), batch_tokens=budget)
    assert len(shapes(batches)) <= 8
    assert sum(lengths) / padded(batches) > 0.905


def test_many_windows_are_planned_quickly_and_none_is_lost():
    lengths = (np.exp(np.random.default_rng(0).normal(6, 1.5, 100_000)).astype(int) + 1).tolist()
    windows = plan_windows(lengths, window=8192, stride=4096, prefix=True)
    batches = plan_batches(windows, batch_tokens=8192)
    assert len(shapes(batches)) <= 8
    assert sum(len(batch.windows) for batch in batches) == len(windows)
    assert sum(windows[index].stop - windows[index].first for batch in batches for index in batch.windows) == sum(
        lengths
    )


def test_nothing_to_plan():
    assert plan_batches([], batch_tokens=100) == []
    assert plan_windows([1], window=4, stride=2, prefix=False) == []


@pytest.mark.parametrize(
    "options", [{"batch_tokens": 0}, {"batch_tokens": 8, "most_shapes": 0}, {"batch_tokens": True}]
)
def test_options_that_are_no_counts_are_refused(options):
    with pytest.raises(InputError, match="whole number of at least 1"):
        plan_batches(inputs_only([3]), **options)


def test_arrays_by_hand():
    windows = [Window(0, 2, 6, 4), Window(1, 0, 2, 0)]
    arrays = batch_arrays(Batch(5, 3, (0, 1)), windows, encodings([8, 2]), prefix=77, pad=9)
    assert arrays.inputs.tolist() == [[77, 2, 3, 4, 9], [77, 1000, 9, 9, 9], [9] * 5]
    assert arrays.targets.tolist() == [[2, 3, 4, 5, 9], [1000, 1001, 9, 9, 9], [9] * 5]
    assert arrays.scored.astype(int).tolist() == [[0, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0] * 5]
    assert arrays.lengths.tolist() == [4, 2, 1]
    bare = batch_arrays(Batch(3, 1, (0,)), [Window(0, 2, 6, 4, prefix=False)], encodings([8]), prefix=None)
    assert bare.inputs.tolist() == [[2, 3, 4]]
    assert bare.targets.tolist() == [[3, 4, 5]]
    assert bare.scored.tolist() == [[False, True, True]]
    assert (bare.inputs.dtype, bare.targets.dtype, bare.lengths.dtype) == (np.int32,) * 3


@settings(max_examples=100, deadline=None)
@given(LENGTHS, BOUNDS, st.booleans(), st.integers(1, 50))
def test_arrays_score_every_token_once_behind_its_own_context(lengths, bounds, prefix, budget):
    documents = encodings(lengths)
    window, stride = bounds
    windows = plan_windows(lengths, window=window, stride=stride, prefix=prefix)
    prefix_id = 99_999 if prefix else None
    found = []
    for batch in plan_batches(windows, batch_tokens=budget):
        arrays = batch_arrays(batch, windows, documents, prefix=prefix_id)
        for inputs, targets, length, scored in zip(
            arrays.inputs, arrays.targets, arrays.lengths, arrays.scored, strict=True
        ):
            found += targets[scored].tolist()
            assert not scored[length:].any()
            assert inputs[1:length].tolist() == targets[: length - 1].tolist()
            if scored.any():
                # What is fed first is the prefix, or else the token before the first target.
                assert inputs[0] == (prefix_id if prefix else targets[0] - 1)
    unscored = 0 if prefix else 1
    assert sorted(found) == sorted(token for document in documents for token in document.ids[unscored:].tolist())


def test_a_prefix_that_the_plan_does_not_have_is_refused():
    with pytest.raises(InputError, match="planned without"):
        batch_arrays(Batch(3, 1, (0,)), [Window(0, 0, 3, 1, prefix=False)], encodings([3]), prefix=5)
    with pytest.raises(InputError, match="planned with one"):
        batch_arrays(Batch(3, 1, (0,)), [Window(0, 0, 3, 0)], encodings([3]), prefix=None)
