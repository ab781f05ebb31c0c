"""Weights, means, standard errors and column roles of the loss table."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.missing import missing_note
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.losses.statistics import clustered_standard_error, loss_unit, mean_losses, sample_weights, win_shares
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale

MODELS = pd.DataFrame({"model": ["a", "b"], "family": ["x", "y"], "parameters": [1e6, 2e6]})


def frame(**columns):
    return pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 2.0], **columns})


def test_means_without_bytes_are_nats_per_unit():
    table = losses_from_frames(frame(), MODELS, unit="word")
    means = mean_losses(table)
    assert loss_unit(table) == means.attrs["loss_unit"] == "nats per word"
    assert means["loss"].to_numpy() == pytest.approx([7 / 3, 2.0])
    # Each sample its own cluster: the textbook standard error of a mean.
    expected = [np.std(column, ddof=1) / math.sqrt(3) for column in ([1, 2, 4], [3, 1, 2])]
    assert means["standard_error"].to_numpy() == pytest.approx(expected)


def test_means_with_bytes_are_bits_per_byte():
    table = losses_from_frames(frame(bytes=[1, 2, 5]), MODELS, unit="word")
    assert loss_unit(table) == "bits per byte"
    assert sample_weights(table).tolist() == [1.0, 2.0, 5.0]
    assert mean_losses(table)["loss"].to_numpy() == pytest.approx([7 / 8 / math.log(2), 6 / 8 / math.log(2)])
    assert loss_scale(table) == pytest.approx(1 / math.log(2))


def test_a_model_whose_loss_is_proportional_to_bytes_has_no_error():
    table = losses_from_frames(frame(bytes=[2, 4, 8]), MODELS)
    assert mean_losses(table)["standard_error"].to_numpy()[0] == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.5, 20), st.integers(0, 3)), min_size=4, max_size=30))
def test_standard_error_against_a_plain_loop(rows):
    values, weights, clusters = (np.array(column) for column in zip(*rows, strict=True))
    ratio, total, groups = values.sum() / weights.sum(), weights.sum(), sorted(set(clusters.tolist()))
    error = clustered_standard_error(values, weights, clusters)
    if len(groups) == 1:
        assert np.isnan(error)
        return
    squares = 0.0
    for group in groups:
        squares += sum(v - ratio * w for v, w, c in rows if c == group) ** 2
    expected = math.sqrt(len(groups) / (len(groups) - 1) * squares) / total
    assert float(error) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_repeating_every_sample_in_its_cluster_changes_nothing():
    rng = np.random.default_rng(0)
    values, clusters = rng.exponential(size=(40, 3)), rng.integers(0, 8, 40)
    once = clustered_standard_error(values, None, clusters)
    twice = clustered_standard_error(np.repeat(values, 2, axis=0), None, np.repeat(clusters, 2))
    assert twice == pytest.approx(once)
    assert (clustered_standard_error(np.repeat(values, 2, axis=0)) < clustered_standard_error(values)).all()


def test_win_shares_split_ties_and_follow_weights():
    losses = pd.DataFrame({"a": [1.0, 2.0, 5.0], "b": [1.0, 3.0, 4.0]})
    assert win_shares(losses_from_frames(losses, MODELS)) == pytest.approx([1.5 / 3, 1.5 / 3])
    weighted = losses_from_frames(losses.assign(bytes=[2, 2, 6]), MODELS)
    assert win_shares(weighted) == pytest.approx([0.3, 0.7])


def test_clusters_join_columns_and_stay_apart():
    table = losses_from_frames(
        frame(doc=["p", "p/q", "p"], sentence=["q/r", "r", "q/r"]), MODELS, cluster="doc,sentence"
    )
    assert cluster_codes(table).tolist() == [0, 1, 0]
    assert table.attrs["cluster"] == "doc,sentence"
    assert {"doc", "sentence"} <= set(table.data_vars)


def test_a_column_called_cluster_is_the_cluster():
    table = losses_from_frames(frame(cluster=[1, 1, 2]), MODELS)
    assert table["cluster"].to_numpy().tolist() == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("columns", "options", "names"),
    [
        ({}, {}, ["0", "1", "2"]),
        ({"id": [7, 8, 9]}, {}, ["7", "8", "9"]),
        ({"id": [7, 8, 9], "item_id": ["p", "q", "r"]}, {}, ["p", "q", "r"]),
        ({"id": [7, 8, 9], "key": ["p", "q", "r"]}, {"sample": "key"}, ["p", "q", "r"]),
    ],
)
def test_sample_names(columns, options, names):
    assert losses_from_frames(frame(**columns), MODELS, **options)["sample"].to_numpy().tolist() == names


def test_roles_of_the_other_columns():
    table = losses_from_frames(
        frame(n_tokens=[1, 2, 1], word=["p", None, "r"], position=[4, 5, 6], score=[0.5, 1.5, 2.5]),
        MODELS,
        describe="score",
    )
    assert table["tokens"].to_numpy().tolist() == [1.0, 2.0, 1.0]
    assert table["word"].to_numpy().tolist() == ["p", "", "r"]
    assert table["position"].dtype.kind == "i"
    assert table["score"].to_numpy().tolist() == [0.5, 1.5, 2.5]


def test_a_column_does_not_describe_samples_and_hold_losses_at_once():
    name = str(MODELS["model"].iloc[0])
    with pytest.raises(InputError, match=f"'{name}' is declared to describe samples, and holds the losses"):
        losses_from_frames(frame(), MODELS, describe=name)


def test_minus_zero_is_zero_and_integers_are_losses():
    table = losses_from_frames(pd.DataFrame({"a": [-0.0, 1.0], "b": [1, 2]}), MODELS)
    assert table["nll"].dtype == np.float64
    assert not np.signbit(table["nll"].to_numpy()).any()


def test_model_columns_and_their_aliases():
    models = MODELS.rename(columns={"parameters": "params"}).assign(
        params_active=[5e5, None],
        non_embedding_parameters=[9e5, 1e6],
        training_tokens=[1e9, 2e9],
        price=[0, 1],
        note="n",
    )
    table = losses_from_frames(frame(), models)
    assert table["parameters"].to_numpy().tolist() == [1e6, 2e6]
    assert table["active_parameters"].to_numpy()[0] == 5e5
    assert {"non_embedding_parameters", "training_tokens", "price"} <= set(table.data_vars)
    assert "note" not in table


def test_missing_models_and_samples_are_dropped_and_recorded():
    gaps = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, None, 2.0]})
    without_model = losses_from_frames(gaps, MODELS, missing="drop-models")
    assert without_model["lm"].to_numpy().tolist() == ["a"]
    assert json.loads(without_model.attrs["missing"])["models"] == ["b"]
    assert "b" in missing_note(without_model)
    without_sample = losses_from_frames(gaps, MODELS, missing="drop-samples")
    assert without_sample["sample"].to_numpy().tolist() == ["0", "2"]
    assert json.loads(without_sample.attrs["missing"])["samples"] == 1
    assert missing_note(without_sample).startswith("1 sample ")
    assert missing_note(losses_from_frames(frame(), MODELS)) == ""


BAD_TABLES = {
    "undeclared floats": (frame(c=[0.1, 0.2, 0.3]), {}, "'c' holds floating-point"),
    "undeclared floats with gaps as text": (frame(c=["0.1", "", "0.3"]), {}, "'c' holds floating-point"),
    "model without a column": (frame().drop(columns="b"), {}, "'b' has no column"),
    "text": (frame().assign(b=["1", "two", "3"]), {}, "'two', which is not a number"),
    "truth values": (frame().assign(b=[True, False, True]), {}, "not a number"),
    "not a number": (frame().assign(b=[1, np.nan, 1]), {}, "'b' lacks 1 of 3"),
    "infinite": (frame().assign(b=[1, np.inf, 1]), {}, "sample '1' by model 'b' is infinite"),
    "negative": (frame().assign(b=[1, 1, -1e-9]), {}, "sample '2' by model 'b' is negative"),
    "duplicate sample": (frame(id=["p", "q", "p"]), {}, "'p' is 2 times"),
    "sample without a name": (frame(id=["p", None, "q"]), {}, "has no sample name"),
    "bytes zero": (frame(bytes=[1, 0, 2]), {}, "bytes of '1' is 0"),
    "bytes missing": (frame(bytes=[1, None, 2]), {}, "bytes of '1' are missing"),
    "cluster missing": (frame(doc=["p", None, "q"]), {"cluster": "doc"}, "has no doc"),
    "no such cluster": (frame(docid=[1, 1, 2]), {"cluster": "docd"}, "no column 'docd'"),
    "no such sample column": (frame(), {"sample": "key"}, "no column 'key'"),
    "reserved name": (frame(family=["p", "q", "r"]), {}, "'family' has a name"),
    "no rows": (frame().iloc[:0], {}, "no rows"),
    "unknown policy": (frame(), {"missing": "drop-model"}, "'drop-model' is not known"),
    "empty unit": (frame(), {"unit": " "}, "unit is empty"),
    "nothing left": (frame().assign(a=np.nan, b=np.nan), {"missing": "drop-models"}, "leave nothing"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case):
    losses, options, message = BAD_TABLES[case]
    with pytest.raises(InputError, match=message) as caught:
        losses_from_frames(losses, MODELS, **options)
    assert caught.value.accepted
    assert caught.value.fix


def test_columns_with_a_role_are_not_offered_for_a_model():
    with pytest.raises(InputError) as caught:
        losses_from_frames(frame(docid=[1, 1, 2]).drop(columns="b"), MODELS, cluster="docid")
    assert "docid" not in caught.value.fix
    assert "table of models" in caught.value.fix


def test_a_repeated_column_is_refused():
    losses = frame()
    losses.columns = ["a", "a"]
    with pytest.raises(InputError, match="column 'a' is twice"):
        losses_from_frames(losses, MODELS)


BAD_MODELS = {
    "duplicate model": (MODELS.assign(model=["a", "a"]), "'a' is 2 times"),
    "zero parameters": (MODELS.assign(parameters=[0, 1]), "parameters of 'a' is 0"),
    "negative parameters": (MODELS.assign(parameters=[1, -1]), "parameters of 'b' is -1"),
    "infinite parameters": (MODELS.assign(parameters=[1, np.inf]), "parameters of 'b' is inf"),
    "missing parameters": (MODELS.assign(parameters=[None, 1]), "'a' has no parameters"),
    "text parameters": (MODELS.assign(parameters=["7X", "1"]), "'7X', which is not a number"),
    "no parameters column": (MODELS.drop(columns="parameters"), "no column 'parameters'"),
    "no family column": (MODELS.drop(columns="family"), "no column 'family'"),
    "no family": (MODELS.assign(family=["x", None]), "has no family"),
    "parameters twice": (MODELS.assign(params=1.0), "gives parameters twice"),
    "zero training tokens": (MODELS.assign(tokens=[0, 1]), "training tokens of 'a' is 0"),
    "no rows": (MODELS.iloc[:0], "no rows"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_models(case):
    models, message = BAD_MODELS[case]
    with pytest.raises(InputError, match=message):
        losses_from_frames(frame(), models)


def test_whole_models():
    points = pd.DataFrame(
        {"family": "x", "params": [1e6, 2e6], "tokens": [1e9, 2e9], "loss": [3.0, -0.0], "se": [0.1, None]}
    )
    table = models_from_frame(points)
    assert table["lm"].to_numpy().tolist() == ["0", "1"]
    assert table["training_tokens"].to_numpy().tolist() == [1e9, 2e9]
    assert not np.signbit(table["loss"].to_numpy()).any()
    assert table.attrs["kind"] == "models"
    assert loss_unit(table) == "nats"
    assert loss_unit(models_from_frame(points, unit="token")) == "nats per token"
    assert mean_losses(table)["standard_error"].to_numpy() == pytest.approx([0.1, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": [1.0, -1.0]}, "model '1' is negative"),
        ({"loss": [1.0, None]}, "'1' lacks its loss"),
        ({"loss": [1.0, "x"]}, "not a number"),
        ({"se": [0.0, 1.0]}, "standard error of '0' is 0"),
        ({"family": ["x", ""]}, "has no family"),
    ],
)
def test_bad_whole_models(change, message):
    points = pd.DataFrame({"family": "x", "params": [1e6, 2e6], "loss": [3.0, 2.0]}).assign(**change)
    with pytest.raises(InputError, match=message):
        models_from_frame(points)
