"""Layers are cut into few blocks to compile, and every layer is in one run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.decoder.layer_plan import LONGEST_UNIT, BlockKind, place_of, plan_layers

KINDS = {letter: BlockKind(letter, "mlp") for letter in "abc"}


def plan(letters):
    return plan_layers([KINDS[letter] for letter in letters])


def cut(letters):
    return [("".join(kind.mixer for kind in run.unit), run.repeats) for run in plan(letters)]


@pytest.mark.parametrize(
    ("letters", "runs"),
    [
        ("aaaa", [("a", 4)]),
        ("abbbbb", [("a", 1), ("b", 5)]),
        ("aaab" * 12, [("aaab", 12)]),
        ("c" + "ab" * 5, [("c", 1), ("ab", 5)]),
        ("ab" * 3 + "c" * 4, [("ab", 3), ("c", 4)]),
        ("a", [("a", 1)]),
        ("", []),
    ],
)
def test_repeats_are_found(letters, runs):
    assert cut(letters) == runs


@given(st.text("abc", min_size=1, max_size=24))
def test_every_layer_is_in_one_run(letters):
    runs = plan(letters)
    found = {
        run.layers(place)[i]: kind for run in runs for place, kind in enumerate(run.unit) for i in range(run.repeats)
    }
    assert [found[layer].mixer for layer in range(len(letters))] == [*letters]
    assert sum(len(run.unit) * run.repeats for run in runs) == len(letters)
    assert sum(len(run.unit) for run in runs) <= len(letters)


def test_many_layers_take_no_time():
    assert [run.repeats for run in plan("a" * 3000)] == [3000]
    assert all(len(run.unit) <= LONGEST_UNIT for run in plan("abc" * 50 + "ba" * 60))


def test_parameters_belong_to_layers_of_their_run():
    runs = plan("c" + "aab" * 3)
    place = place_of(("blocks", 1, 2, "attention", "query", "weight"), runs)
    assert place == (("attention", "query"), "weight", range(3, 10, 3), None)
    assert place_of(("blocks", 0, 0, "mlp_norm", "weight"), runs).layers == range(1)
    assert place_of(("final_norm", "weight"), runs) == (("final_norm",), "weight", None, None)


def test_what_layers_share_belongs_to_the_first_of_them():
    runs = plan_layers([BlockKind("a", "none", memory=memory) for memory in (-1, 1, 0, 1, 0)])
    assert place_of(("shared", 0, "norm", "weight"), runs) == (("shared", "norm"), "weight", None, 2)
    assert place_of(("shared", 1, "norm", "weight"), runs) == (("shared", "norm"), "weight", None, 1)
