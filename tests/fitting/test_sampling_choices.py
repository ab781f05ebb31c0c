"""Warm-up, target acceptance and thinning: honoured by both samplers, recorded, part of what is gone on from."""

import json

import numpy as np
import pytest
from brute import WIDTHS
from dying import Killed, die_after
from joint_cases import small_losses
from known_gains import pools_of_known_gain
from quick_fits import normal_draws, quick_fits
from shared_fits import tiny_law, tiny_noise
from tables import tiny_table
from test_kept_fit import identical
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.kept_fit import checkpoint_beside, fit_to_file
from bayeslaw.posterior import kept_draws, solution
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.draws_memory import check_room
from bayeslaw.posterior.sampling_plan import SamplingPlan

USUAL = ((500, 0.9), (1000, 0.97), (2000, 0.995))


@pytest.mark.parametrize(
    ("plan", "attempts"),
    [
        (SamplingPlan(), USUAL),
        (SamplingPlan(warmup=100), ((100, 0.9), (1000, 0.97), (2000, 0.995))),
        (SamplingPlan(warmup=1500), ((1500, 0.9), (1500, 0.97), (2000, 0.995))),
        (SamplingPlan(target_acceptance=0.8), ((500, 0.8), (1000, 0.97), (2000, 0.995))),
        (SamplingPlan(3000, 0.99), ((3000, 0.99), (3000, 0.99), (3000, 0.995))),
    ],
)
def test_the_first_attempt_is_as_asked_and_later_ones_are_no_coarser(plan, attempts):
    assert plan.attempts(USUAL) == attempts


def test_thinning_keeps_every_last_draw_and_hides_no_divergence():
    position = np.arange(2 * 12 * 3.0).reshape(2, 12, 3)
    diverging = np.zeros((2, 12), dtype=bool)
    diverging[0, 4] = diverging[1, 11] = True
    energy = np.arange(24.0).reshape(2, 12)
    drawn = Draws(position, {"diverging": diverging, "reached_max_treedepth": ~diverging, "energy": energy})
    thinned = drawn.thinned(4)
    np.testing.assert_array_equal(thinned.position, position[:, 3::4])
    np.testing.assert_array_equal(thinned.statistics["energy"], energy[:, 3::4])
    np.testing.assert_array_equal(thinned.statistics["diverging"], [[False, True, False], [False, False, True]])
    assert thinned.statistics["reached_max_treedepth"].all()
    assert drawn.thinned(1) is drawn


@pytest.fixture(scope="module")
def tiny():
    return tiny_law(WIDTHS), tiny_table(), tiny_noise("loss")


def settings_of(fit: bl.Fit) -> dict[str, float]:
    return json.loads(fit.tree.attrs["settings"])


def test_nuts_honours_and_records_what_is_asked(tiny):
    law, table, noise = tiny
    asked = {"draws": 100, "chains": 2, "seed": 3, "warmup": 300, "target_acceptance": 0.8}
    whole = bl.fit(law, table, noise=noise, **{**asked, "draws": 300})
    thin = bl.fit(law, table, noise=noise, thin=3, **asked)
    # Both make 300 draws of the same chains, of which one keeps every third.
    np.testing.assert_array_equal(
        thin.tree["posterior"]["exponent"], whole.tree["posterior"]["exponent"].to_numpy()[:, 2::3]
    )
    recorded = settings_of(thin)
    assert recorded == {"warmup": 300, "target_accept": 0.8, "attempts": 1, "thin": 3} | {
        name: asked[name] for name in ("draws", "chains", "seed")
    }
    assert settings_of(whole)["thin"] == 1
    usual = bl.fit(law, table, noise=noise, draws=100, chains=2, seed=3)
    assert (settings_of(usual)["warmup"], settings_of(usual)["target_accept"]) == (500, 0.9)
    # Steps of a lower acceptance are larger, and so is the share that is refused.
    assert float(whole.tree["sample_stats"]["acceptance_rate"].mean()) < float(
        usual.tree["sample_stats"]["acceptance_rate"].mean()
    )


@pytest.mark.slow
def test_the_sampler_in_step_honours_and_records_what_is_asked():
    asked = {"draws": 60, "chains": 2, "warmup": 150, "target_acceptance": 0.85, "thin": 2}
    settings = settings_of(bl.fit("joint", small_losses(), **asked))
    assert (settings["draws"], settings["thin"]) == (60, 2)
    # The largest of what the attempts of its blocks were made with.
    assert settings["warmup"] >= 150
    assert settings["target_accept"] >= 0.85
    if settings["attempts"] == 1:
        assert (settings["warmup"], settings["target_accept"]) == (150, 0.85)


def test_a_killed_fit_goes_on_where_all_numbers_are_the_same_and_anew_where_one_is_not(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_draws, "SECONDS_BETWEEN", 0.0)
    law, table, noise = tiny
    asked = {"draws": 60, "chains": 2, "seed": 0, "parameters": "total", "progress": False}
    asked |= {"warmup": 100, "target_acceptance": 0.9, "thin": 2}
    whole = bl.fit(law, table, noise=noise, **asked)
    for changed in ({}, {"thin": 3}, {"warmup": 120}, {"target_acceptance": 0.95}):
        path, told = tmp_path / "fit.nc", list[str]()
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, 6)
            with pytest.raises(Killed):
                fit_to_file(law, table, path, noise=noise, **asked)
        fitted = fit_to_file(law, table, path, noise=noise, say=told.append, **(asked | changed))
        assert identical(fitted, whole) is (not changed)
        (said,) = told
        assert ("going on" in said) is (not changed)
        assert all(name in said for name in changed)
        assert not checkpoint_beside(path).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("warmup", 19),
        ("warmup", 100.5),
        ("warmup", True),
        ("target_acceptance", 0.0),
        ("target_acceptance", 1),
        ("target_acceptance", float("nan")),
        ("target_acceptance", "high"),
        ("thin", 0),
        ("thin", 1.5),
        ("draws", 49),
        ("chains", 0),
    ],
)
def test_what_no_sampler_can_be_run_with_is_refused(tiny, name, value):
    law, table, noise = tiny
    with pytest.raises(InputError, match=name):
        bl.fit(law, table, noise=noise, **{name: value})


def test_numbers_of_numpy_are_numbers(tiny):
    law, table, noise = tiny
    with quick_fits():
        fitted = bl.fit(
            law, table, noise=noise, draws=np.int64(60), thin=np.int32(2), target_acceptance=np.float32(0.9)
        )
    assert (settings_of(fitted)["draws"], settings_of(fitted)["thin"]) == (60, 2)


def test_thinned_draws_count_in_memory():
    with pytest.raises(InputError, match="thin less"):
        check_room(1000, 4, coordinates=100, rows=8, thin=10**9)


@pytest.mark.slow
def test_the_members_of_a_law_of_gains_are_sampled_as_asked():
    with quick_fits():
        fitted = bl.fit("diversity", pools_of_known_gain(), draws=60, thin=2, chains=2, keep=())
    assert fitted.members is not None
    assert settings_of(fitted.members)["thin"] == settings_of(fitted)["thin"] == 2


@pytest.fixture
def at_the_sampler(monkeypatch):
    """Return what reaches the sampler, and sample quickly in its place."""
    seen = {}

    def note(*given, **choices):
        seen.update(choices)
        return normal_draws(*given, **choices)

    with quick_fits():
        monkeypatch.setattr(solution, "sample_until_trusted", note)
        yield seen


def test_the_command_passes_them_on(at_the_sampler, tiny, tmp_path):
    done, _ = fit_by_command(tiny, tmp_path)
    assert done.exit_code in (0, 1), done.output
    assert {name: at_the_sampler[name] for name in ("draws", "chains", "thin")} == {"draws": 60, "chains": 2, "thin": 2}
    assert at_the_sampler["attempts"][0] == (80, 0.7)


@pytest.mark.slow
def test_a_fit_by_the_command_records_them(tiny, tmp_path):
    done, out = fit_by_command(tiny, tmp_path)
    assert done.exit_code in (0, 1), done.output
    found = settings_of(bl.load_fit(out))
    assert (found["draws"], found["chains"], found["thin"]) == (60, 2, 2)
    assert found["attempts"] > 1 or (found["warmup"], found["target_accept"]) == (80, 0.7)


def fit_by_command(tiny, folder):
    table, law, out = folder / "whole.csv", folder / "law.yaml", folder / "f.nc"
    law.write_text(json.dumps({**tiny[0].specification, "noise": tiny[2].specification}))
    tiny_table()[["family", "parameters", "loss"]].to_dataframe().to_csv(table, index_label="model")
    options = ["--draws", "60", "--warmup", "80", "--chains", "2", "--target-acceptance", "0.7", "--thin", "2"]
    done = CliRunner().invoke(app, ["fit", str(table), "--config", str(law), "--out", str(out), "--quiet", *options])
    return done, out


def test_the_command_refuses_to_keep_none(tmp_path):
    table = tmp_path / "whole.csv"
    tiny_table()[["family", "parameters", "loss"]].to_dataframe().to_csv(table, index_label="model")
    out = tmp_path / "f.nc"
    refused = CliRunner().invoke(app, ["fit", str(table), "--law", "power", "--out", str(out), "--thin", "0"])
    assert refused.exit_code == 2
    assert "thin" in refused.stderr
