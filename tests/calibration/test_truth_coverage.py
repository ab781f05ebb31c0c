"""Coverage at a stated truth: what tables are drawn from, how they are fitted, and what is said of wrong truths."""

import json
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from quick_fits import quick_fits
from scipy import stats
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.calibration.stated_truth import law_at_truth
from bayeslaw.calibration.truth_file import truth_from_text
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.likelihood.noise import NOISE_SCALE

SIZES = np.geomspace(1e8, 1e10, 8)
TRUTH = {"floor": 0.3, "amplitude": 1.2, "exponent": 0.3, "noise_scale": 0.02}
COMPLETE = bl.PowerLaw(pooling="complete")


def table(families=("a",)):
    frame = [pd.DataFrame({"family": family, "parameters": SIZES, "loss": 5 + SIZES**-0.1}) for family in families]
    return bl.models_from_frame(pd.concat(frame, ignore_index=True))


def stated_quickly(law, truth, data):
    """Return a law at a truth, by a quick fit of the table: nothing of its draws is looked at."""
    with quick_fits():
        return law_at_truth(law, truth, data, noise=None, seed=0)


@pytest.fixture(scope="module")
def stated():
    return stated_quickly(COMPLETE, TRUTH, table())


def test_tables_are_drawn_from_the_truth(stated):
    reference = np.exp(np.log(SIZES).mean())
    mean = 0.3 + 1.2 * (SIZES / reference) ** -0.3
    away = [(stated.simulate(seed).data - mean) / 0.02 for seed in range(60)]
    assert stats.kstest(np.ravel(away), "norm").pvalue > 1e-3
    outcomes = stated.simulate(1).outcomes
    expected = 0.3 + 1.2 * (stated.targets["parameters"].to_numpy() / reference) ** -0.3
    np.testing.assert_allclose(outcomes["mean"], expected, rtol=1e-6)
    assert not np.array_equal(outcomes["new"], outcomes["mean"])


def test_priors_are_scaled_to_each_table_not_to_the_one_given(stated):
    """Losses of the table given are near five, those of the truth near one: its priors would be far off."""
    losses = stated.simulate(3).data
    with jax.enable_x64(True), quick_fits():
        _, rows = stated.posterior(losses)
        own = bl.fit(COMPLETE, models_with(losses), draws=50, chains=1, keep=()).model
    numbers = [dict(own.sites[name].arguments)[key] for name in ("amplitude", "exponent") for key in ("loc", "scale")]
    numbers += [dict(own.sites[NOISE_SCALE].arguments)[key] for key in ("loc", "scale")]
    np.testing.assert_allclose(rows.numbers, numbers)


def models_with(losses):
    return bl.models_from_frame(pd.DataFrame({"family": "a", "parameters": SIZES, "loss": losses}))


def test_a_prior_without_mass_at_the_truth_is_found():
    """What tables drawn from the prior itself cannot show."""
    away = bl.PowerLaw(pooling="complete", floor="LogNormal(0.5, 0.05)")
    found = bl.truth_coverage(away, TRUTH, table(), simulations=12, seed=1)
    rows = found.coverage.set_index(["kind", "where", "level"])
    assert rows.loc[("parameter", "floor", 0.95), "coverage"] == 0.0
    assert rows.loc[("mean", "beyond", 0.9), "coverage"] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("simulations", [16, pytest.param(40, marks=pytest.mark.slow)])
def test_the_default_prior_holds_the_truth_beyond_the_data(simulations):
    found = bl.truth_coverage(COMPLETE, TRUTH, table(), simulations=simulations, seed=1)
    assert (found.failed, found.law, found.simulations) == (0, "power", simulations)
    assert found.truth == pytest.approx(TRUTH)
    rows = found.coverage.set_index(["kind", "where", "level"])
    assert set(rows.index.get_level_values("kind")) == {"mean", "new", "parameter"}
    for kind, where in (("mean", "within"), ("mean", "beyond"), ("new", "beyond"), ("parameter", "floor")):
        one = rows.loc[(kind, where, 0.9)]
        assert one["coverage"] > 0.9 - 4 * max(one["standard_error"], 0.03)
        assert 0 < one["width"] < 2
    assert rows.xs(0.5, level="level")["width"].isna().all()


@pytest.mark.slow
def test_truths_by_group_and_at_a_billion_and_a_floor_of_zero():
    law = bl.PowerLaw(pooling={"exponent": "complete"})
    given = {"floor": {"a": 0.0, "b": 0.4}, "amplitude_1e9": 1.5, "exponent": 0.3, "noise_scale": 0.02}
    stated = stated_quickly(law, given, table(("a", "b")))
    assert stated.values["floor"].tolist() == [0.0, 0.4]
    reference = np.exp(np.log(SIZES).mean())
    np.testing.assert_allclose(stated.values["amplitude"], 1.5 * (reference / 1e9) ** -0.3)
    assert set(stated.targets["family"]) == {"a", "b"}


@pytest.fixture
def fitted_once(monkeypatch, stated):
    """Have one fit of the table for all truths that are refused after it."""
    # The function hides the module of its name.
    module = sys.modules["bayeslaw.calibration.row_calibration"]
    monkeypatch.setattr(module, "fit", lambda law, data, **choices: stated.rows.template)


WRONG = {
    "misspelt": (TRUTH | {"flor": 1.0}, "use 'floor'"),
    "lacking": ({"floor": 0.3, "amplitude": 1.0, "exponent": 0.3}, "does not state noise_scale"),
    "twice": (TRUTH | {"amplitude_1e9": 1.0}, "states amplitude twice"),
    "negative": (TRUTH | {"amplitude": -1.0}, "positive finite number"),
    "no number": (TRUTH | {"exponent": "fast"}, "exponent as 'fast'"),
    "no noise": (TRUTH | {"noise_scale": 0.0}, "positive finite number"),
    "by group": (TRUTH | {"floor": {"a": 0.3}}, "floor does not vary"),
    "empty": ({}, "a mapping from each parameter to its value"),
}


@pytest.mark.usefixtures("fitted_once")
@pytest.mark.parametrize("name", WRONG)
def test_a_truth_that_cannot_be_is_refused(name):
    truth, said = WRONG[name]
    with pytest.raises(InputError) as error:
        bl.truth_coverage(COMPLETE, truth, table(), simulations=10)
    assert said in str(error.value)


def test_groups_that_are_not_there_are_named():
    truth = TRUTH | {"floor": {"a": 0.3, "c": 0.2}}
    law = bl.PowerLaw(pooling={"exponent": "complete"})
    with pytest.raises(InputError, match="state b"):
        stated_quickly(law, truth, table(("a", "b")))


def test_only_laws_of_rows_have_a_stated_truth():
    with pytest.raises(InputError, match="a law of rows"):
        bl.truth_coverage("joint", TRUTH, simulations=10)


def run(*arguments):
    with quick_fits():
        return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


@pytest.fixture
def files(tmp_path):
    frame = pd.DataFrame(
        {"model": [f"m{i}" for i in range(8)], "family": "a", "parameters": SIZES, "loss": 5 + SIZES**-0.1}
    )
    frame.to_csv(tmp_path / "models.csv", index=False)
    (tmp_path / "law.yaml").write_text("law: power\npooling: complete\n")
    (tmp_path / "truth.yaml").write_text("floor: 0.3\namplitude: 1.2\nexponent: 0.3\nnoise_scale: 0.02\n")
    return tmp_path


def test_more_pairs_than_a_file_name_may_be_long_are_pairs():
    pairs = ",".join(f"parameter_{number:03d}={number}" for number in range(30))
    assert truth_from_text(pairs)["parameter_029"] == 29


def test_the_command_takes_a_file_or_pairs(files):
    common = ("--config", files / "law.yaml", "--table", files / "models.csv", "--simulations", 10, "--json")
    of_file = run(*common, "--truth", files / "truth.yaml")
    of_pairs = run(*common, "--truth", "floor=0.3, amplitude=1.2,exponent=0.3,noise_scale=0.02")
    assert (of_file.exit_code, of_pairs.exit_code) == (0, 0), of_file.output + of_pairs.output
    one, other = json.loads(of_file.stdout), json.loads(of_pairs.stdout)
    assert one["coverage"] == other["coverage"]
    assert one["truth"] == pytest.approx(TRUTH)
    shown = run(*common[:-1], "--truth", files / "truth.yaml")
    assert "hold the stated truth" in " ".join(shown.stdout.split())


@pytest.mark.usefixtures("fitted_once")
@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("missing.yaml", "cannot be read"),
        ("floor=low,exponent=0.3", "write name=number"),
        ("floor=1,floor=2", "states floor twice"),
        ("floor=1,amplitude=1", "does not state exponent"),
    ],
)
def test_bad_truths_are_one_message(truth, said, files):
    result = run("--config", files / "law.yaml", "--table", files / "models.csv", "--truth", truth)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_folder_for_a_stated_truth_is_refused(files):
    result = run("--law", "power", "--truth", "floor=1", "--out", files / "out")
    assert result.exit_code == 2
    assert "--json" in result.stderr


def test_a_file_of_something_else_is_refused(files):
    (files / "list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="is list"):
        truth_from_text(str(files / "list.yaml"))
