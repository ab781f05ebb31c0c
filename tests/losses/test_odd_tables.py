"""Tables that people make by mistake: totals among samples, samples twice, values filled in, facts in other units."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayeslaw as bl
from bayeslaw.datasets.load import load_dataset
from bayeslaw.errors import InputError
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.losses.odd_columns import near_copies
from bayeslaw.losses.odd_rows import odd_rows
from bayeslaw.losses.sample_lengths import odd_lengths
from bayeslaw.losses.table_errors import loss_errors

FIRST = "zoo-llama-1.5m"
ROWS = 400


@pytest.fixture(scope="module")
def lines():
    kept = ["nll", "family", "parameters", "training_tokens", "active_parameters", "bytes", "cluster"]
    return load_dataset("zoo", unit="line")[kept].isel(sample=slice(0, ROWS))


def column(losses, values, name=FIRST):
    nll = losses["nll"].to_numpy().copy()
    index = losses["lm"].to_numpy().tolist().index(name)
    nll[:, index] = values(nll[:, index])
    return losses.assign(nll=(("sample", "lm"), nll))


def with_row(losses, nll, size, *, name="last", last=True):
    row = losses.isel(sample=[0]).assign_coords(sample=np.array([name], dtype=object))
    row = row.assign(nll=(("sample", "lm"), nll[None]), bytes=("sample", [float(size)]))
    return xr.concat([losses, row] if last else [row, losses], dim="sample", data_vars="minimal")


def again(losses, rows):
    repeated = losses.isel(sample=rows)
    named = [f"again {name}" for name in repeated["sample"].to_numpy()]
    return xr.concat(
        [losses, repeated.assign_coords(sample=np.array(named, dtype=object))], "sample", data_vars="minimal"
    )


def codes(losses):
    return [error.code for error in loss_errors(losses)]


def message(losses, code):
    return next(error.message for error in loss_errors(losses) if error.code == code)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    ("statistic", "named", "said"),
    [
        (np.sum, "x", "sum"),
        (np.mean, "x", "mean"),
        (np.median, "Median", "median"),
        (np.sum, "TOTAL", "sum"),
        (lambda nll, axis: nll.std(axis=axis, ddof=1), "std", "standard deviation"),
        (lambda nll, axis: nll.mean(axis=axis).round(1), "average", "mean"),
    ],
)
def test_a_row_that_sums_up_the_others(lines, statistic, named, said, last):
    nll = statistic(lines["nll"].to_numpy(), axis=0)
    told = message(with_row(lines, nll, 40, name=named, last=last), "summary-row")
    assert f"sample '{named}'" in told
    assert f"are the {said} of" in told


def test_sums_and_means_at_once_and_of_clusters(lines):
    nll = lines["nll"].to_numpy()
    both = with_row(with_row(lines, nll.sum(axis=0), 9000, name="x"), nll.mean(axis=0), 40, name="y")
    assert {"x", "y"} <= set(" ".join(error.message for error in loss_errors(both)).replace("'", " ").split())
    sums = pd.DataFrame(nll).groupby(lines["cluster"].to_numpy()).sum()
    names = np.array([f"sum of {name}" for name in sums.index], dtype=object)
    first = lines.isel(sample=slice(0, len(names))).assign_coords(sample=names)
    sums = first.assign(nll=(("sample", "lm"), sums.to_numpy()), cluster=("sample", sums.index.to_numpy()))
    told = message(xr.concat([lines, sums], "sample", data_vars="minimal"), "summary-row")
    assert "the sum of those of its cluster" in told


def test_a_sample_may_have_the_name_of_a_sum(lines):
    assert codes(with_row(lines, lines["nll"].to_numpy()[7] * 1.1, 40, name="total")) == []


def test_rows_that_are_there_twice(lines):
    told = message(again(lines, np.arange(ROWS // 3)), "repeated-rows")
    assert "25.0% of the rows" in told
    order = np.random.default_rng(0).permutation(2 * ROWS)
    assert "repeated-rows" in codes(again(lines, np.arange(ROWS)).isel(sample=order))
    # Some lines are the same, such as a closing bracket; rounded losses may agree by chance.
    assert codes(again(lines, np.arange(ROWS // 20))) == []
    rounded = again(lines, np.arange(ROWS)).isel(lm=[0, 1])
    coarse = (rounded["nll"] / 20).round() * 20 + 1
    assert "repeated-rows" not in codes(rounded.assign(nll=coarse))


def test_rows_of_a_large_table_that_are_there_twice(lines, monkeypatch):
    twice = again(lines, np.arange(ROWS))
    monkeypatch.setattr("bayeslaw.losses.odd_rows.MOST_ROWS", 200)
    assert "repeated-rows" in [error.code for error in odd_rows(twice)]
    assert list(odd_rows(lines)) == []


@pytest.mark.parametrize("value", [99.0, 999.0, 0.001])
def test_values_that_stand_for_missing_ones(lines, value):
    told = message(column(lines, lambda nll: np.where(np.arange(ROWS) % 50 == 3, value, nll)), "filled-losses")
    assert f"the loss of {FIRST} is {value:g} on 8 of 400" in told
    rows = (np.arange(ROWS) % 50 == 3)[:, None]
    every = lines.assign(nll=(("sample", "lm"), np.where(rows, value, lines["nll"].to_numpy())))
    assert f"all 24 models have the loss {value:g} on 8 of the samples" in message(every, "filled-losses")


def test_columns_that_were_changed_each_by_itself(lines):
    nll = lines["nll"].to_numpy()
    for values in (np.sort(nll, axis=0), np.sort(nll, axis=0)[::-1]):
        bare = lines.drop_vars("bytes").assign(nll=(("sample", "lm"), values))
        assert codes(bare) == ["sorted-columns"]
    ranks = nll.argsort(axis=0).argsort(axis=0) + 1.0
    assert "scaled-columns" in codes(lines.assign(nll=(("sample", "lm"), ranks)))
    # Rows in the order of one model's losses are honest.
    assert codes(lines.isel(sample=np.argsort(nll[:, 0]))) == []


def test_losses_grow_with_the_bytes_of_their_samples(lines):
    size = lines["bytes"].to_numpy()
    shuffled = lines.assign(bytes=("sample", np.random.default_rng(0).permutation(size)))
    assert "losses of the models do not grow" in message(shuffled, "lengths")
    assert "the column bytes is moved" in message(lines.assign(bytes=("sample", np.roll(size, 1))), "lengths")
    assert "samples 1 earlier" in message(lines.assign(bytes=("sample", np.roll(size, -1))), "lengths")
    means = lines["nll"] / lines["bytes"] * 3
    half = lines.assign(nll=lines["nll"].where(np.arange(24) % 2 == 0, means))
    assert "losses of zoo-gpt_neox-40k, zoo-gpt_neox-250k" in message(half, "lengths")


@pytest.mark.parametrize(("tokens", "wrong"), [(0.0, True), (2.0, True), (0.4, False), (1.0, False)])
def test_a_token_has_a_byte(lines, tokens, wrong):
    given = lines.assign(tokens=("sample", lines["bytes"].to_numpy() * tokens))
    assert [error.code for error in odd_lengths(given)] == ["lengths"] * wrong


def test_copies_that_differ_a_little_are_noted(lines):
    noise = 1 + 0.003 * np.random.default_rng(0).standard_normal(ROWS)
    values = lines["nll"].sel(lm=FIRST).to_numpy()
    copy = column(lines, lambda _: values * noise, "zoo-qwen3-1.5m")
    [note] = near_copies(copy)
    assert note.severity == "warning"
    assert "zoo-llama-1.5m and zoo-qwen3-1.5m usually differ by 0.2" in note.message
    assert list(near_copies(lines)) == []


def facts(losses, name, factor, model=FIRST):
    values = losses[name].to_numpy() if name in losses else losses["parameters"].to_numpy() / 1e7
    at = losses["lm"].to_numpy() == model if model else np.ones(len(values), dtype=bool)
    return losses.assign({name: ("lm", np.where(at, values * factor, values))})


@pytest.mark.parametrize(
    ("name", "factor", "model", "code"),
    [
        ("training_tokens", 1e-9, FIRST, "few-training-tokens"),
        ("training_tokens", 1e-6, None, "few-training-tokens"),
        ("active_parameters", 1e-6, FIRST, "part-below-total"),
        ("active_parameters", 1e-9, None, "part-below-total"),
        ("price", 1000, FIRST, "price-out-of-line"),
        ("price", 1 / 1000, FIRST, "price-out-of-line"),
        ("parameters", 1000, "zoo-llama-250k", "size-against-name"),
    ],
)
def test_facts_in_another_unit(lines, name, factor, model, code):
    assert code in codes(facts(lines, name, factor, model))
    assert code not in codes(facts(lines, name, 1))


def test_sizes_of_a_family_in_another_unit(lines):
    names = np.array([f"m{index}" for index in range(24)])
    unnamed = lines.drop_vars("active_parameters").assign_coords(lm=names)
    factor = np.where(unnamed["family"].to_numpy() == "llama", 1000, 1)
    wrong = unnamed.assign(parameters=unnamed["parameters"] * factor)
    assert "each model of llama" in message(wrong, "size-out-of-line")
    assert codes(unnamed) == []


def answers(losses):
    harder = losses["nll"].to_numpy() / losses["bytes"].to_numpy()[:, None]
    wrong = (harder > np.quantile(harder, 0.5)).astype(float)
    return losses.drop_vars("bytes").assign(nll=(("sample", "lm"), wrong)).assign_attrs(metric="error_rate")


def test_answers_in_another_order_or_given_twice(lines):
    honest = answers(lines)
    assert codes(honest) == []
    assert f"{FIRST}: it is right as often" in message(
        column(honest, np.random.default_rng(0).permutation), "unaligned"
    )
    other = honest["nll"].sel(lm="zoo-gpt2-1.5m").to_numpy()
    assert "zoo-gpt2-1.5m and zoo-llama-1.5m answer" in message(column(honest, lambda _: other), "duplicate-columns")
    assert "right and wrong may be exchanged" in message(column(honest, lambda wrong: 1 - wrong), "unaligned")
    mean = with_row(honest.assign(bytes=lines["bytes"]), honest["nll"].to_numpy().mean(axis=0), 40).drop_vars("bytes")
    assert codes(mean) == ["summary-row"]
    # Who guesses has nothing in common with the others.
    guesses = np.random.default_rng(1).permutation(np.arange(ROWS) % 4 != 0).astype(float)
    assert codes(column(honest, lambda _: guesses, "zoo-llama-15k")) == []


def test_one_model_twice_on_a_few_samples(lines):
    few = lines.isel(sample=slice(0, 5))
    other = few["nll"].sel(lm="zoo-gpt2-1.5m").to_numpy()
    assert "zoo-gpt2-1.5m, zoo-llama-1.5m have identical" in message(column(few, lambda _: other), "duplicate-columns")
    assert codes(few) == []


def models(change=None, **columns):
    size, tokens = (grid.ravel() for grid in np.meshgrid(np.logspace(8, 10, 5), np.logspace(9, 11, 4)))
    frame = pd.DataFrame({"parameters": size, "training_tokens": tokens, "family": "a"})
    frame["loss"] = 1.7 + 400 * size**-0.34 + 410 * tokens**-0.28
    frame["model"] = [f"m{index}" for index in range(len(frame))]
    frame = frame.assign(**columns)
    return models_from_frame(frame if change is None else change(frame))


@pytest.mark.parametrize(
    ("value", "code"), [(999.0, "loss-out-of-line"), (np.exp(2.6), "loss-out-of-line"), (0.0, "zero-losses")]
)
def test_the_loss_of_one_whole_model(value, code):
    table = models(lambda frame: frame.assign(loss=frame["loss"].where(frame.index != 14, value)))
    [error] = loss_errors(table)
    assert error.code == code
    assert "m14" in error.message


def test_whole_models_that_are_none():
    assert loss_errors(models()) == []
    mean = {"loss": models()["loss"].to_numpy().mean(), "parameters": 3e9, "training_tokens": 3e10}
    row = pd.DataFrame([mean | {"family": "a", "model": "Average"}])
    assert codes(models(lambda frame: pd.concat([frame, row]))) == ["summary-row"]
    losses = models()["loss"].to_numpy()
    assert codes(models(loss=losses * 6).assign_attrs(unit="token")) == ["above-uniform"]
    assert codes(models(loss=losses * 6).assign_attrs(unit="line")) == []
    twice = models(lambda frame: pd.concat([frame, frame.assign(model="n" + frame["model"])]))
    assert "20 of 40 rows" in message(twice, "repeated-rows")
    assert codes(models(loss=2.5)) == ["constant-losses"]
    assert codes(models(lambda frame: frame.assign(training_tokens=frame["training_tokens"] / 1e9))) == [
        "few-training-tokens"
    ]


def hand_made(**changes):
    nll = np.abs(np.random.default_rng(0).normal(3, 1, (20, 3))) + 0.1
    variables = {
        "nll": (("sample", "lm"), nll),
        "family": ("lm", ["x", "x", "y"]),
        "parameters": ("lm", [1e8, 1e9, 1e10]),
    }
    coords = {"sample": [f"s{row}" for row in range(20)], "lm": ["a", "b", "c"]}
    return xr.Dataset(variables | changes, coords=coords, attrs={"kind": "losses", "unit": "word"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price": ("lm", ["x", "y", "z"])}, "price holds values of type"),
        ({"price": ("lm", [-1.0, 1, 1])}, "the price of 'a' is -1"),
        ({"training_tokens": ("lm", [0.0, 1, 1])}, "the training tokens of 'a' is 0"),
        ({"training_tokens": ("sample", np.ones(20))}, "training_tokens is on sample"),
        ({"active_parameters": ("lm", [np.inf, 1, 1])}, "the active parameters of 'a' is inf"),
        ({"tokens": ("sample", -np.ones(20))}, "tokens holds -1"),
        ({"tokens": ("lm", np.ones(3))}, "tokens is on lm"),
        ({"cluster": ("sample", np.where(np.arange(20) == 4, np.nan, 1.0))}, "sample 's4' has no cluster"),
        ({"tokens": ("sample", ["x"] * 20)}, "tokens holds values of type"),
        ({"scored_bytes": (("sample", "lm"), np.full((20, 3), np.nan))}, "scored_bytes holds nan"),
    ],
)
def test_what_a_table_made_by_hand_says_of_models_and_samples(changes, said):
    with pytest.raises(InputError, match=said):
        bl.loss_report(hand_made(**changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [("missing", "{"), ("missing", "[]"), ("missing", 7), ("rebuilt_tokenizers", "x"), ("cluster", ["a"])],
)
def test_attributes_that_cannot_be_read(name, value):
    with pytest.raises(InputError, match=f"the attribute '{name}' of the table"):
        bl.loss_report(hand_made().assign_attrs({name: value}))


FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 3.0]})
MODELS = pd.DataFrame({"model": ["a", "b"], "family": "x", "parameters": [1e8, 1e9]})


@pytest.mark.parametrize(
    ("losses", "facts_of_models", "said"),
    [
        (FRAME.assign(a=FRAME["a"] + 0j), MODELS, "the loss by 'a' are complex numbers"),
        (FRAME, MODELS.assign(family=[b"x", b"y"]), "a family is .*, of the type bytes"),
        (FRAME.assign(cluster=[[1], [2]]), MODELS, "a cluster is .*, of the type list"),
        (FRAME, MODELS.assign(model=["org/A", "b"]), "column 'a' and model 'org/A' one name"),
    ],
)
def test_frames_with_columns_of_other_things(losses, facts_of_models, said):
    with pytest.raises(InputError, match=said):
        bl.losses_from_frames(losses, facts_of_models)


@pytest.mark.parametrize("factor", [1 / 30, 10.0])
def test_rows_of_a_second_run_in_another_unit_are_told(lines, factor):
    second = np.arange(ROWS) >= ROWS * 17 // 20
    scaled = lines["nll"].to_numpy() * np.where(second, factor, 1.0)[:, None]
    told = [
        one.message for one in odd_lengths(lines.assign(nll=(("sample", "lm"), scaled))) if "two runs" in one.message
    ]
    assert len(told) == 1
    assert ("under 0.1" if factor < 1 else "over 8") in told[0]
    assert not [one for one in odd_lengths(lines) if "two runs" in one.message]
