"""What ``bayeslaw fit`` prints: a summary, unless it is to be quiet."""

import json

import pytest
from quick_fits import quick_fits
from tables import family_table
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    table = family_table(one_law=True, noise=0.02)
    table[["family", "parameters", "loss"]].to_dataframe().to_csv(folder / "whole.csv", index_label="model")
    (folder / "law.yaml").write_text("law: power\npooling: complete\n")

    def fit(*options):
        command = ["fit", folder / "whole.csv", "--config", folder / "law.yaml", "--out", folder / "f.nc", *options]
        with quick_fits():
            return CliRunner().invoke(app, list(map(str, command)))

    return lambda *options: (fit(*options), folder / "f.nc")


def test_a_summary_is_printed_and_the_priors_are_not(run):
    done, file = run("--draws", "400", "--interval", "0.8")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{bl.summary(file, interval=0.8)}\n"
    assert "80 % equal-tailed intervals" in done.stdout
    assert "~" not in done.output
    assert f"wrote {file}" in done.stderr


def test_priors_are_printed_when_they_are_asked_for(run):
    done, file = run("--draws", "400", "--priors")
    assert done.stdout.endswith(f"\n\n{bl.load_fit(file).model}\n")


def test_quiet_is_quiet(run):
    done, _ = run("--draws", "400", "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_json_is_the_summary_and_nothing_else(run):
    done, file = run("--draws", "400", "--json", "--quiet")
    assert json.loads(done.stdout) == json.loads(json.dumps(bl.summary(file).to_dict()))


@pytest.mark.parametrize("how", [[], ["--quiet"], ["--json"]])
def test_errors_are_always_said_and_the_exit_code_is_one(run, how):
    # One chain does not show whether it has converged.
    done, _ = run("--draws", "400", "--chains", "1", *how)
    assert done.exit_code == 1
    assert "one-chain: There is one chain" in done.output
    assert ("error one-chain" in done.stderr) is bool(how)


def test_a_level_that_is_none_is_refused_before_work(run):
    done, _ = run("--interval", "90")
    assert done.exit_code == 2
    assert "interval" in done.stderr
