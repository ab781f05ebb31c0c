"""YAML that nobody means: what is in it is refused in words, at once."""

import math
import os
import re
from contextlib import suppress

import pytest
import yaml
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from bayeslaw.fitting.settings_file import read_config, sections
from bayeslaw.inputs.foreign_yaml import DEEPEST, MOST_VALUES, parse_yaml
from inference.runs.model_list import FIELDS, read_requests

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(30))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}, *a{i}]}}\n" for i in range(30))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(200))
REFUSED = {
    "aliases": (LAUGHS, f"more than {MOST_VALUES:,} values"),
    "merges": (MERGES, f"more than {MOST_VALUES:,} values"),
    "chain of aliases": (CHAIN, f"more than {DEEPEST} levels"),
    "deep list": ("[" * 60 + "]" * 60, f"more than {DEEPEST} levels"),
    "very deep list": ("a: " + "[" * 5_000, "a.yaml"),
    "very deep mapping": ("a: " + "{b: " * 5_000 + "1" + "}" * 5_000, "a.yaml"),
    "deep block": ("".join(" " * level + "a:\n" for level in range(400)), "a.yaml"),
    "date": ("a: 2024-01-02", "line 1 holds a date ('2024-01-02')"),
    "time": ("\na: 2024-01-02T03:04:05Z", "line 2 holds a date"),
    "no date": ("a: 2024-13-45", "holds a date"),
    "set": ("a: !!set {b, c}", "holds a set"),
    "binary": ("a: !!binary aGVsbG8=", "holds binary data"),
    "ordered map": ("a: !!omap [b: 1]", "holds an ordered map"),
    "pairs": ("a: !!pairs [b: 1]", "holds pairs"),
    "NaN as a key": (".nan: 1", "the key '.nan' in line 1 is a float"),
    "date as a key": ("2024-01-02: 1", "the key '2024-01-02' in line 1 is a date"),
    "a hundred thousand digits": ("a: " + "1" * 10**5, "a number of 100,000 digits"),
    "a hundred thousand hexadecimal digits": ("a: 0x" + "f" * 10**5, "digits"),
    "twice": ("a: 1\nb: 2\na: 3", "'a' is given twice, the second time in line 3"),
    "no number": ("a: !!int ''", "a value is not what its tag says"),
    "no truth": ("a: !!bool maybe", "a value is not what its tag says"),
    "no float": ("a: !!float x", "a value is not what its tag says"),
    "Python": ("a: !!python/object/apply:os.getcwd []", "python/object"),
    "own tag": ("a: !x y", "!x"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "unknown alias": ("a: *b", "undefined alias"),
    "equals sign": ("a: =", "a.yaml"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_no_settings_hold_is_refused_by_both_readers(tmp_path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    for read in (lambda: read_config(path, "power"), lambda: read_requests([str(path)])):
        with pytest.raises(InputError, match=re.escape(said)) as caught:
            read()
        assert len(str(caught.value)) < 1000


def test_anchors_are_read():
    assert parse_yaml("a: &one {b: 1}\nc: *one\nd: {<<: *one, e: 2}") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": 2},
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize("kind", ["pipe", "device", "large"])
def test_only_regular_files_of_some_size_are_read(tmp_path, kind):
    path, said = tmp_path / "a.yaml", {"pipe": "a named pipe", "device": "a device", "large": "has at most"}[kind]
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    for read in (lambda: read_config(path, "power"), lambda: read_requests([str(path)])):
        with pytest.raises(InputError, match=said):
            read()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | st.just("Normal(0, 1)")
SCALARS |= st.sampled_from(["power", "joint", "partial", "normal", "", "1e999", "Normal(1e999, 1)", "\u202e", "~"])
KEYS = SCALARS.filter(lambda key: not isinstance(key, float))
VALUES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=3), max_leaves=6
)
PRIORS = ("floor", "amplitude", "exponent", "amplitude_spread", "loc", "scale", "distribution")
NOISE = ("distribution", "response", "standard_errors", "scale", "degrees_of_freedom", "by_group", "dependence")


def _filled(value, names):
    """Put values of a dictionary under names that mean something, as far as there are some."""
    return dict(zip(names, value.values(), strict=False)) if isinstance(value, dict) else value


@few_or_many(40, 400)
def test_any_values_in_a_fits_settings_are_taken_or_refused(tmp_path_factory, examples):
    @settings(deadline=None, max_examples=examples)
    @given(law=st.sampled_from(["power", "chinchilla", "collaboration", "diversity", "joint"]), data=st.data())
    def check(law, data):
        names = data.draw(st.permutations(sections()[1:])), data.draw(st.permutations(PRIORS))
        config = {name: data.draw(VALUES) for name in names[0][:2]}
        config |= {"priors": _filled(data.draw(VALUES), names[1])} if data.draw(st.booleans()) else {}
        config |= {"noise": _filled(data.draw(VALUES), data.draw(st.permutations(NOISE)))}
        path = tmp_path_factory.getbasetemp() / "any.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        with suppress(InputError):
            read_config(path, law)

    check()


@few_or_many(40, 400)
def test_any_values_in_a_list_of_models_are_taken_or_refused(tmp_path_factory, examples):
    @settings(deadline=None, max_examples=examples)
    @given(values=st.lists(VALUES, max_size=5), names=st.permutations(FIELDS[1:]), model=st.just("a/b") | VALUES)
    def check(values, names, model):
        path = tmp_path_factory.getbasetemp() / "any.yaml"
        entry = {"model": model, **dict(zip(names, values, strict=False))}
        path.write_text(yaml.safe_dump([entry], allow_unicode=True), encoding="utf-8")
        with suppress(InputError):
            [request] = read_requests([str(path)])
            assert all(math.isfinite(number) for number in (*request.facts.values(), *request.resources.values()))

    check()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "priors: {exponent: LogNormal(0, 1), floor: LogNormal(0, 1)}",
            {"priors": {"exponent": "LogNormal(0, 1)", "floor": "LogNormal(0, 1)"}},
        ),
        ("{a: TruncatedNormal(loc=1, scale=2, low=0), b: 3}", {"a": "TruncatedNormal(loc=1, scale=2, low=0)", "b": 3}),
        ("[Normal(0, 1), x, y]", ["Normal(0, 1)", "x", "y"]),
        ("{a: x, b: , c: (open}", {"a": "x", "b": None, "c": "(open"}),
        ("{a: 'x(', b: y}", {"a": "x(", "b": "y"}),
    ],
)
def test_calls_on_one_line_are_not_cut_at_their_commas(text, value):
    assert parse_yaml(text) == value
