"""``bayeslaw compare`` on the command line."""

import importlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.comparison.left_out import FoldScore, LeftOut

RUN = CliRunner()


@pytest.fixture(scope="module")
def files(tiny_fit, tiny_log_fit, partial_fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    compared = {"plain": tiny_fit, "log": tiny_log_fit, "other": partial_fit}
    named = {name: fitted.keep(["log_likelihood"]) for name, fitted in compared.items()} | {"bare": tiny_fit.keep(())}
    for name, fitted in named.items():
        fitted.save(folder / f"{name}.nc")
    return {name: str(folder / f"{name}.nc") for name in named}


def found(files, *arguments):
    result = RUN.invoke(app, ["compare", files["plain"], files["log"], *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_single_rows_are_compared_as_json(files):
    record = json.loads(found(files, "--json"))
    assert (record["left_out"], record["unit"]) == ("row", "nats")
    assert {row["fit"] for row in record["fits"]} == {files["plain"], files["log"]}
    assert record["fits"][0]["elpd_diff"] == 0
    bare = RUN.invoke(app, ["compare", files["bare"], files["log"], "--json"])
    made = {row["fit"].replace("bare", "plain"): row["elpd"] for row in json.loads(bare.stdout)["fits"]}
    assert made == pytest.approx({row["fit"]: row["elpd"] for row in record["fits"]}, rel=1e-5)
    weights = json.loads(found(files, "--json", "--stack"))["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    assert weights == pytest.approx({row["fit"]: row["weight"] for row in record["fits"]})


@pytest.fixture
def scored(monkeypatch):
    """Score folds by the response of the fit in place of refitting; return what was asked for."""
    asked = []

    def leave_out(fit, **options):
        asked.append(options)
        score = 2.0 if fit.noise.response == "log_loss" else 1.0
        folds = [
            FoldScore(name, 1, score, 0.1, score, 0.1, "exact", float("nan"), 1.0, 0, np.array([score]))
            for name in ("a", "b", "c")
        ]
        return LeftOut(tuple(folds), options["by"], fit.unit)

    # By name, since the package's `compare` is the function.
    monkeypatch.setattr(importlib.import_module("bayeslaw.comparison.comparisons"), "leave_out", leave_out)
    return asked


def test_models_left_out_are_ranked_by_fold(files, scored):
    options = ["--leave-out", "model", "--method", "weights", "--draws", "70", "--seed", "3"]
    record = json.loads(found(files, *options, "--json"))
    assert scored[0] == scored[1]
    assert {**scored[0], "progress": False} == {
        "by": "model",
        "method": "weights",
        "draws": 70,
        "chains": 4,
        "seed": 3,
        "progress": False,
    }
    assert [row["fit"] for row in record["fits"]] == [files["log"], files["plain"]]
    assert record["fits"][1]["elpd_diff"] == -3
    assert [fold["model"] for fold in record["folds"][files["log"]]] == ["a", "b", "c"]
    text = found(files, *options)
    assert "each model left out" in text
    weights = json.loads(found(files, *options, "--json", "--stack"))["weights"]
    assert weights == pytest.approx({files["log"]: 1.0, files["plain"]: 0.0}, abs=1e-4)
    shown = found(files, *options, "--stack")
    assert "weight" in shown
    assert "elpd_diff" not in shown


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["plain"], [], "1 fit was given"),
        (["plain", "plain"], [], "named twice"),
        (["plain", "other"], [], "different rows"),
        (["plain", "log"], ["--draws", "100"], "add --leave-out model"),
        (["plain", "log"], ["--leave-out", "model", "--draws", "3"], "draws is 3"),
    ],
)
def test_bad_input_is_one_message(files, names, options, message):
    result = RUN.invoke(app, ["compare", *(files[name] for name in names), *options])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
