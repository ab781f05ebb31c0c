"""``bayeslaw attainability``: what it prints, in words and as JSON, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.losses.folders import write_losses
from bayeslaw.simulation.tables import simulate_losses

KEYS = {
    "rule": str,
    "loss": float,
    "difference": float,
    "difference_lower": float,
    "difference_upper": float,
    "share": float,
    "share_lower": float,
    "share_upper": float,
    "unit": str,
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    losses = simulate_losses(samples=400, clusters=100)
    folder = tmp_path_factory.mktemp("attainability") / "table"
    write_losses(losses, folder)
    names = [str(name) for name in losses["lm"].to_numpy()]
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"sample": losses["sample"].to_numpy().astype(str), "x": generator.normal(size=400)})
    frame.to_csv(folder.parent / "features.csv", index=False)
    leaking = frame.assign(x=losses["nll"].to_numpy()[:, 5])
    leaking.to_csv(folder.parent / "leaking.csv", index=False)
    frame.assign(x=1.0).to_csv(folder.parent / "constant.csv", index=False)
    frame.assign(x=frame["x"].where(frame.index > 1)).to_csv(folder.parent / "gaps.csv", index=False)
    return folder, ",".join(names[5::6])


def run(table, *options, code=0):
    folder, members = table
    arguments = ["attainability", str(folder), "--members", members, *map(str, options)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result


def test_rows_as_json(table):
    records = json.loads(run(table, "--json").stdout)
    assert [record["rule"] for record in records] == ["oracle", "cascade", "mixture", "stacked", "best"]
    for record in records:
        assert list(record) == list(KEYS)
        for key, kind in KEYS.items():
            assert isinstance(record[key], kind), (key, record)
    assert records[0]["difference"] < 0
    assert records[0]["share"] == pytest.approx(1)


def test_words_name_unit_level_and_kind(table):
    result = run(table, "--features", table[0].parent / "features.csv", "--interval", "0.8")
    printed = " ".join(result.stdout.split())
    for words in (
        "nats per sample",
        "80% intervals",
        "studentised bootstrap over clusters of samples",
        "Of the rules that can be run",
        "chosen on other clusters",
        "below zero the rule is better",
        "Clopper-Pearson over clusters: 100",
        "no selection among these members can do better",
        "routed",
        "cascade_by_feature",
    ):
        assert words in printed, words
    assert "token_oracle is left out" in result.stderr


def test_rules_asked_for(table):
    records = json.loads(run(table, "--rules", "stacked, best", "--json").stdout)
    assert [record["rule"] for record in records] == ["stacked", "best"]


def test_co_failure_is_a_list_of_its_own(table):
    records = json.loads(run(table, "--co-failure", "--json").stdout)
    assert all(record["lower"] <= record["probability"] <= record["upper"] for record in records)
    assert [record["threshold"] for record in records] == sorted(record["threshold"] for record in records)
    assert {record["unit"] for record in records} == {"nats per sample"}
    assert "minus best member" not in run(table, "--co-failure").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rules", "routed"], "'routed' cannot be computed"),
        (["--rules", "orcale"], "'orcale' is not known"),
        (["--features", "constant.csv"], "'x' of the features is 1 on every sample"),
        (["--features", "gaps.csv"], "missing on 2 of 400 samples"),
        (["--features", "none.csv"], "there is no such file"),
        (["--interval", "90"], "the interval is 90"),
        (["--members", "nobody"], "model 'nobody' is not in the table"),
    ],
)
def test_what_cannot_be_computed_is_one_message(table, options, said):
    options = [str(table[0].parent / each) if each.endswith(".csv") else each for each in options]
    result = run(table, *options, code=2)
    assert said in result.stderr
    assert "fix:" in result.stderr
    assert result.stdout == ""


def test_one_member_and_one_cluster_are_refused(table, tmp_path):
    assert "a single model is its own oracle" in run((table[0], table[1].split(",")[0]), code=2).stderr
    write_losses(simulate_losses(samples=30, clusters=1), tmp_path / "one")
    assert "one cluster" in run((tmp_path / "one", table[1]), code=2).stderr


def test_a_feature_computed_from_losses_is_said(table):
    result = run(table, "--features", table[0].parent / "leaking.csv", "--rules", "routed")
    assert "warning loss-as-feature: the feature 'x' goes with the loss of" in result.stderr
