"""Tables of right and wrong answers: how they are read, what their losses are, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.losses.joining import join_models
from bayeslaw.losses.table_warnings import loss_warnings

MODELS = pd.DataFrame({"model": ["a", "b"], "family": ["x", "y"], "parameters": [1e9, 2e9]})
RIGHT = pd.DataFrame({"sample": [str(n) for n in range(12)], "a": [1, 0, 1, 1, 0, 1] * 2, "b": [0, 1, 1, 1, 1, 1] * 2})


def table(**columns):
    return bl.losses_from_frames(RIGHT.assign(**columns), MODELS, metric="accuracy")


def test_losses_are_the_shares_of_wrong_answers():
    losses = table()
    np.testing.assert_array_equal(losses["nll"], 1 - RIGHT[["a", "b"]])
    assert losses.attrs["metric"] == "accuracy"
    assert bl.loss_unit(losses) == "wrong answers a sample"
    means = bl.mean_losses(losses)["loss"].to_numpy()
    np.testing.assert_allclose(1 - means, RIGHT[["a", "b"]].mean())
    assert bl.combine(losses, ["a", "b"], rule="oracle").sum() == (RIGHT[["a", "b"]].max(axis=1) == 0).sum()


def test_error_rates_are_taken_as_they_are():
    same = bl.losses_from_frames(RIGHT.assign(a=1 - RIGHT["a"], b=1 - RIGHT["b"]), MODELS, metric="error_rate")
    np.testing.assert_array_equal(same["nll"], table()["nll"])


def test_bytes_do_not_weigh_answers():
    losses = table(bytes=np.arange(1, 13))
    np.testing.assert_array_equal(bl.sample_weights(losses), np.ones(12))
    assert bl.loss_unit(losses) == "wrong answers a sample"


def test_scores_are_no_mistake_where_they_are_said_to_be_scores():
    assert "scores" not in {each.code for each in loss_warnings(table())}
    with pytest.warns(bl.LossTableWarning, match="--metric accuracy"):
        bl.losses_from_frames(RIGHT, MODELS)


@pytest.mark.parametrize("value", [-0.1, 1.0000001, 1.5, 73.0])
def test_accuracies_outside_zero_to_one_are_refused(value):
    with pytest.raises(bl.InputError, match=rf"accuracy of sample '3' by model 'b' is {value}\s") as caught:
        table(b=[0, 1, 1, value, *[1] * 8])
    assert "from 0 to 1" in str(caught.value)


def test_an_unknown_metric_is_refused():
    with pytest.raises(bl.InputError, match="accurracy"):
        bl.losses_from_frames(RIGHT, MODELS, metric="accurracy")


def test_a_folder_keeps_its_metric(tmp_path):
    bl.write_losses(table(), tmp_path / "scores")
    again = bl.read_losses(tmp_path / "scores")
    np.testing.assert_array_equal(again["nll"], table()["nll"])
    assert again.attrs["metric"] == "accuracy"
    assert bl.read_losses(tmp_path / "scores", metric="accuracy").equals(again)
    with pytest.raises(bl.InputError, match="is 'accuracy', not 'error_rate'"):
        bl.read_losses(tmp_path / "scores", metric="error_rate")


def test_a_folder_without_a_metric_is_turned_into_losses(tmp_path):
    with pytest.warns(bl.LossTableWarning):
        plain = bl.losses_from_frames(RIGHT, MODELS)
    bl.write_losses(plain, tmp_path / "plain")
    np.testing.assert_array_equal(bl.read_losses(tmp_path / "plain", metric="accuracy")["nll"], 1 - plain["nll"])


def test_tables_of_two_metrics_are_not_joined(tmp_path):
    rates = table().assign_attrs(metric="error_rate")
    with pytest.raises(bl.InputError, match="has the metric accuracy, not error_rate"):
        join_models(table(), rates, tmp_path)


def test_commands_read_accuracies(tmp_path):
    RIGHT.to_csv(tmp_path / "right.csv", index=False)
    MODELS.to_csv(tmp_path / "models.csv", index=False)
    asked = ["losses", str(tmp_path / "right.csv"), "--models", str(tmp_path / "models.csv"), "--json"]
    run = CliRunner().invoke(app, [*asked, "--metric", "accuracy", "--strict"])
    assert run.exit_code == 0, run.output
    assert '"loss_unit": "wrong answers a sample"' in run.stdout
    assert CliRunner().invoke(app, [*asked, "--metric", "accurate"]).exit_code == 2
    assert CliRunner().invoke(app, [*asked, "--strict"]).exit_code == 2


def test_whole_models_have_no_answers(tmp_path):
    MODELS.assign(loss=[0.4, 0.3]).to_csv(tmp_path / "models.csv", index=False)
    with pytest.raises(bl.InputError, match="table of whole models, and the metric is 'accuracy'"):
        bl.read_losses(tmp_path / "models.csv", metric="accuracy")


@pytest.mark.parametrize("rule", ["mixture", "stacked"])
def test_answers_are_not_mixed(rule):
    losses = table(cluster=np.arange(12))
    for refused in (
        lambda: bl.combine(losses, ["a", "b"], rule=rule),
        lambda: bl.make_pools(losses, rule=rule),
        lambda: bl.pools_of(losses, [["a", "b"]], rule=rule),
        lambda: bl.attainability(losses, ["a", "b"], rules=[rule]),
    ):
        with pytest.raises(bl.InputError, match=f"{rule}' mixes probabilities, and this table holds right and wrong"):
            refused()


def test_rules_that_need_no_probabilities_take_answers():
    losses = table(cluster=np.arange(12))
    found = bl.attainability(losses, ["a", "b"])
    assert {"oracle", "best"} <= set(found.table["rule"])
    assert not {"mixture", "stacked"} & set(found.table["rule"])
    assert "no mixture" in found.left_out["mixture"]
    assert "cascade" not in set(found.table["rule"])
    assert "would know the answer" in found.left_out["cascade"]
    # What is left out by default is refused by name, and not computed.
    with pytest.raises(bl.InputError, match="'cascade' goes on where an answer is wrong, and who knew that"):
        bl.attainability(losses, ["a", "b"], rules=["cascade"])
    with pytest.raises(bl.InputError, match="'cascade' goes on where an answer is wrong"):
        bl.combine(losses, ["a", "b"], rule="cascade")
    assert found.unit == "wrong answers a sample"
    assert bl.make_pools(losses, rule="oracle").attrs["loss_unit"] == "wrong answers a sample"
