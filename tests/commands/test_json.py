"""What ``--json`` prints: the keys and types that programs rely on, on standard output and nothing else there."""

import json
import math

import h5py
import pytest
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.losses.folders import write_losses
from bayeslaw.prediction.predictions import predict
from bayeslaw.simulation.tables import simulate_losses

NUMBER = (int, float)
MODEL = {"model": str, "family": str, "parameters": NUMBER, "loss": NUMBER, "loss_unit": str}
BAND = {
    "parameters": NUMBER,
    "kind": str,
    "interval": NUMBER,
    "unit": str,
    "mean": NUMBER,
    "lower": NUMBER,
    "upper": NUMBER,
    "extrapolation": NUMBER,
}
FINDING = {"code": str, "severity": str, "message": str, "remedy": str}
CLAIM = {"claim": str, "quantity": str, "probability": NUMBER, "prior_probability": NUMBER, "unit": str}
DIAGNOSTICS = {
    "rhat_max": NUMBER,
    "rhat_limit": NUMBER,
    "ess_bulk_min": NUMBER,
    "ess_tail_min": NUMBER,
    "divergences": int,
    "bfmi_min": NUMBER,
}


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


def printed(*arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout, parse_constant=refuse_constant)


def has(record, shape):
    """Assert that a record has at least the keys of a shape, with values of their types."""
    for key, kind in shape.items():
        assert isinstance(record[key], kind), (key, record)
        assert not isinstance(record[key], bool)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json") / "table"
    write_losses(simulate_losses(samples=60, clusters=10), folder)
    return folder


def test_losses(table):
    record = printed("losses", table, "--json")
    assert record["unit"] == "sample"
    assert record["samples"] == 60
    assert len(record["models"]) == 18
    for model in record["models"]:
        has(model, MODEL | {"wins": NUMBER})
        assert model["loss_unit"] == "nats per sample"
    assert sum(model["wins"] for model in record["models"]) == pytest.approx(1)
    assert record["warnings"]
    assert all(isinstance(warning, str) for warning in record["warnings"])


def test_losses_of_whole_models(tmp_path):
    file = tmp_path / "whole.csv"
    file.write_text("model,family,parameters,loss\na,x,1e7,3\nb,x,1e8,2.5\nc,y,1e9,2.2\n")
    record = printed("losses", file, "--unit", "token", "--json")
    assert record["samples"] is None
    for model in record["models"]:
        has(model, MODEL)
        assert model["wins"] is None
        assert model["standard_error"] is None
        assert model["loss_unit"] == "nats per token"


def test_losses_of_one_cluster_have_no_standard_error(tmp_path):
    (tmp_path / "losses.csv").write_text("cluster,a,b\nd,1,2\nd,2,1\n")
    (tmp_path / "models.csv").write_text("model,family,parameters\na,x,1e7\nb,x,1e8\n")
    record = printed("losses", tmp_path / "losses.csv", "--models", tmp_path / "models.csv", "--json")
    assert [model["standard_error"] for model in record["models"]] == [None, None]


def test_check(collaboration_file):
    record = printed("check", collaboration_file, "--json")
    assert record["trusted"] is True
    has(record["diagnostics"], DIAGNOSTICS)
    # Two pairs of regimes: exponent and floor, slope and loss at three budgets inside the data and one beyond.
    assert len(record["claims"]) == 2 * (2 + 2 * 4)
    for claim in record["claims"]:
        has(claim, CLAIM)
        assert 0 <= claim["probability"] <= 1
        assert "nats per sample" in claim["unit"]
    assert [finding["code"] for finding in record["findings"]] == ["no-sampling-error"]
    for finding in record["findings"]:
        has(finding, FINDING)
        assert finding["severity"] in ("error", "warning", "info")


@pytest.mark.slow
def test_check_of_a_law_without_claims(power_file):
    record = printed("check", power_file, "--json")
    assert record["claims"] == []
    has(record["diagnostics"], DIAGNOSTICS)


def test_check_says_why_there_are_no_claims(collaboration_fit, tmp_path):
    collaboration_fit.keep(["log_likelihood"]).save(tmp_path / "f.nc")
    record = printed("check", tmp_path / "f.nc", "--json")
    assert record["claims"] == []
    assert "no-prior" in [finding["code"] for finding in record["findings"]]


def test_a_fit_that_must_not_be_trusted_is_whole_json_and_exit_code_one(collaboration_fit, tmp_path):
    collaboration_fit.save(tmp_path / "f.nc")
    with h5py.File(tmp_path / "f.nc", "r+") as file:
        diverging = file["sample_stats/diverging"]
        assert isinstance(diverging, h5py.Dataset)
        diverging[...] = 1
    record = printed("check", tmp_path / "f.nc", "--json", exit_code=1)
    assert record["trusted"] is False
    assert record["findings"][0]["code"] == "divergences"
    sizes = collaboration_fit.tree["posterior"].sizes
    assert record["diagnostics"]["divergences"] == sizes["chain"] * sizes["draw"]


def test_predict(collaboration_file, collaboration_fit):
    budgets = [7e9, 7e12]
    options = ["--regime", "single", "--regime", "heterogeneous", "--interval", "0.5", "--json"]
    rows = printed("predict", collaboration_file, "--parameters", *budgets, *options)
    assert [(row["parameters"], row["regime"]) for row in rows] == [
        (7e9, "single"),
        (7e9, "heterogeneous"),
        (7e12, "single"),
        (7e12, "heterogeneous"),
    ]
    for row in rows:
        has(row, BAND)
        assert row["lower"] < row["mean"] < row["upper"]
        assert "family" not in row
        assert "members" not in row
    assert {(row["kind"], row["interval"], row["unit"]) for row in rows} == {("new", 0.5, "nats per sample")}
    targets = {"parameters": [row["parameters"] for row in rows], "regime": [row["regime"] for row in rows]}
    assert [row["mean"] for row in rows] == predict(collaboration_fit, targets, interval=0.5)["mean"].tolist()


def test_predict_members(collaboration_file):
    pools = ["7e9:alder,3e9:birch", "7e9:alder"]
    rows = printed("predict", collaboration_file, "--members", pools[0], "--members", pools[1], "--json")
    assert [(row["members"], row["parameters"], row["regime"]) for row in rows] == [
        (pools[0], 1e10, "heterogeneous"),
        (pools[1], 7e9, "single"),
    ]


def test_predict_families(power_file, power_fit):
    rows = printed("predict", power_file, "--parameters", "7e9", "--kind", "mean", "--json")
    assert [row["family"] for row in rows] == [*power_fit.model.groups, "new"]
    for row in rows:
        has(row, BAND | {"family": str})
        assert row["kind"] == "mean"


def test_predict_tokens(chinchilla_file):
    rows = printed("predict", chinchilla_file, "--parameters", "7e9", "--training-tokens", "1.4e11", "--json")
    assert len(rows) == 1
    # Student-t noise on log losses has no finite expectation, and JSON no infinity.
    assert rows[0].pop("mean") is None
    has(rows[0], {name: kind for name, kind in BAND.items() if name != "mean"} | {"training_tokens": NUMBER})


def test_compare(chinchilla_fit, chinchilla_file, tmp_path):
    chinchilla_fit.save(tmp_path / "same.nc")
    record = printed("compare", chinchilla_file, tmp_path / "same.nc", "--json")
    assert isinstance(record["unit"], str)
    assert isinstance(record["warnings"], list)
    assert {row["fit"] for row in record["fits"]} == {str(chinchilla_file), str(tmp_path / "same.nc")}
    assert [row["rank"] for row in record["fits"]] == [0, 1]
    assert all(math.isfinite(row["elpd"]) for row in record["fits"])


WHEN_ROW = {"regime": str, **dict.fromkeys(("parameters", "probability_better", "advantage", "lower", "upper"), NUMBER)}


def test_when(collaboration_file):
    record = printed("when", collaboration_file, "--budgets", "1B,7B", "--json")
    assert set(record) == {"unit", "rule", "rows", "crossover", "sentences"}
    assert (record["unit"], record["rule"]) == ("nats per sample", "oracle")
    assert [row["parameters"] for row in record["rows"]] == [1e9, 7e9] * 2
    for row in record["rows"]:
        assert set(row) == set(WHEN_ROW)
        has(row, WHEN_ROW)
        assert row["lower"] <= row["advantage"] <= row["upper"]
    for row in record["crossover"]:
        assert set(row) == {"regime", "probability_exists", "median", "lower", "upper"}
        has(row, {"regime": str, "probability_exists": NUMBER})
    assert all(isinstance(sentence, str) for sentence in record["sentences"])


@pytest.mark.slow
def test_when_of_several_rules(joint_file):
    options = ("--budgets", "1e10", "--size", "2", "--json")
    records = printed("when", joint_file, "--rule", "oracle", "--rule", "mixture", *options)
    assert [record["rule"] for record in records] == ["oracle", "mixture"]
    assert printed("when", joint_file, "--rule", "oracle", *options) == records[0]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_notes_stay_out_of_it(collaboration_file, quiet):
    command = ["predict", str(collaboration_file), "--parameters", "7e30", "--json", *quiet]
    result = CliRunner().invoke(app, command)
    assert len(json.loads(result.stdout)) == 3
    assert ("warning extrapolation" in result.stderr) is not bool(quiet)
