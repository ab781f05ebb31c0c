"""What further scores are worth: closed forms of simple decisions, and the joint law's answer for small tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from joint_cases import small_losses, small_model, some_values
from scipy import stats
from scipy.special import ndtr
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.decision.information_value import Actions, effective_draws, importance_weights
from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws

DRAWS = 200_000
CANDIDATES = {"name": ["big", "other"], "family": ["alder", "unseen"], "parameters": [1e11, 3e10]}


def loss_of_choosing(mean: float, deviation: float) -> float:
    """Expected regret of taking the better of zero and a normal number unseen: Raiffa and Schlaifer's unit loss."""
    u = abs(mean) / deviation
    return float(deviation * (stats.norm.pdf(u) - u * ndtr(-u)))


def two_actions(mean: float, deviation: float, error: float = 0.0) -> Actions:
    """Return a known action of loss zero, and one whose loss a candidate decides, with sampling errors of both."""
    generator = np.random.default_rng(1)
    scored = np.column_stack([np.zeros(DRAWS), mean + deviation * generator.standard_normal(DRAWS)])
    return Actions(scored, scored + error * generator.standard_normal((DRAWS, 2)), np.array([-1, 0]))


@pytest.mark.parametrize("mean", [-0.5, 0.0, 1.0])
def test_regret_is_that_of_a_normal_loss_and_a_score_takes_it_all(mean):
    actions = two_actions(mean, 2.0)
    assert mean == 0 or actions.best == (mean < 0)
    assert actions.regret == pytest.approx(loss_of_choosing(mean, 2.0), abs=0.01)
    after = actions.after_scoring(0, np.zeros((DRAWS, 1)))
    assert after.regret == pytest.approx(0.0, abs=1e-9)
    assert after.error < 0.01
    # Known after the score: the errors of both cancel.
    assert after.regret_error == pytest.approx(0.0, abs=1e-9)
    assert actions.regret_error == pytest.approx(after.error)


def test_sampling_error_is_regret_that_no_candidate_takes_away():
    actions = two_actions(0.0, 2.0, error=1.0)
    # The difference of the two has both errors in it.
    assert actions.regret == pytest.approx(loss_of_choosing(0.0, np.sqrt(6.0)), abs=0.01)
    after = actions.after_scoring(0, np.zeros((DRAWS, 1))).regret
    assert actions.regret - after == pytest.approx(loss_of_choosing(0.0, 2.0), abs=0.01)


@pytest.mark.parametrize("growth", [0.5, 1.0, 1e9])
def test_more_samples_move_means_as_normal_means_are_moved(growth):
    generator = np.random.default_rng(2)
    scored = np.tile([0.0, 0.1], (DRAWS, 1))
    actions = Actions(scored, scored + 0.5 * generator.standard_normal((DRAWS, 2)), np.array([-1, -1]))
    now = loss_of_choosing(0.1, np.sqrt(0.5))
    gained = loss_of_choosing(0.1, np.sqrt(0.5 * growth / (1 + growth)))
    assert actions.regret == pytest.approx(now, abs=0.003)
    after = actions.after_samples(growth).regret
    assert after == pytest.approx(now - gained, abs=0.003)


def test_samples_tell_of_a_candidate_what_errors_share():
    generator = np.random.default_rng(3)
    shared, own = generator.standard_normal((2, 2000, 1))
    scored = np.zeros((2000, 2))
    both = Actions(scored, scored + np.hstack([shared, shared]), np.array([-1, 0]))
    assert both.after_samples(1.0).regret == pytest.approx(both.regret)
    apart = Actions(scored, scored + np.hstack([shared, own]), np.array([-1, 0]))
    told = apart.regret - apart.after_samples(1e9).regret
    assert told == pytest.approx(loss_of_choosing(0.0, 1.0), rel=0.1)


def test_a_score_tells_of_another_candidate_what_their_losses_share():
    generator = np.random.default_rng(4)
    parameter = generator.standard_normal(4000)
    scored = np.column_stack(
        [
            np.zeros(4000),
            parameter + 0.5 * generator.standard_normal(4000),
            parameter + 0.5 * generator.standard_normal(4000),
        ]
    )
    actions = Actions(scored, scored, np.array([-1, 0, 1]))
    densities = stats.norm.logpdf(scored[:, 1][None, :], parameter[:, None], 0.5)
    weights = importance_weights(densities)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    # E[third | second = y] = y Cov / Var = y / 1.25.
    near = np.abs(scored[:, 1]) < 2
    np.testing.assert_allclose((weights.T @ scored[:, 2])[near], scored[near, 1] / 1.25, atol=0.15)
    assert 1000 < effective_draws(densities) < 4000
    told = actions.after_scoring(0, densities).regret
    ignored = actions.after_scoring(0, np.zeros((4000, 4000))).regret
    assert told < ignored < actions.regret


def test_the_density_of_a_new_model_is_that_of_its_draws():
    model = small_model()
    values = {name: np.repeat(value[None], 4000, axis=0) for name, value in some_values(model).items()}
    curve = CurveAtDraws(model.curve, values)
    for family in (0, len(model.groups)):
        new, is_new = Models(np.array([3.0]), np.array([family])), int(family == len(model.groups))
        noise = curve.draw_noise(1, is_new, np.random.default_rng(0))
        drawn = curve.draw(new, noise, own_part=True)[:, 0]
        grid = np.linspace(drawn.min() * 0.999, drawn.max() * 1.2, 400)
        density = np.exp(curve.log_densities(new, noise, grid)).mean(axis=0)
        step = grid[1] - grid[0]
        assert density.sum() * step == pytest.approx(1.0, abs=0.03)
        assert (density * grid).sum() * step == pytest.approx(drawn.mean(), rel=0.01)
        assert np.isneginf(curve.log_densities(new, noise, np.array([-1.0]))).all()


@pytest.fixture(scope="module")
def found(joint_fit: bl.Fit) -> bl.NextScores:
    return bl.next_scores(joint_fit, CANDIDATES, samples=[1, 240, 24_000], max_size=2, draws=100)


def test_scores_are_ordered_and_never_harm(found: bl.NextScores, joint_fit: bl.Fit):
    assert {row.words for row in found.rows} >= {"big", "other", "1 more samples of the models scored"}
    gains = [row.per_cost for row in found.rows]
    assert gains == sorted(gains, reverse=True)
    now = {row.expected_regret_now for row in found.rows}
    assert len(now) == 1
    assert all(-1e-9 <= row.expected_regret_after <= row.expected_regret_now for row in found.rows)
    after = {row.samples: row.expected_regret_after for row in found.rows if row.samples}
    assert after[1] >= after[240] >= after[24_000]
    sizes = joint_fit.model.table.parameters
    of_big = next(row for row in found.rows if row.model == "big")
    assert of_big.cost == 1e11 * 240
    assert of_big.effective_draws is not None
    count = len(sizes) * (len(sizes) + 1) // 2
    assert found.pools == count + 2 * (1 + len(sizes))


def test_candidates_over_the_limit_are_named(joint_fit: bl.Fit):
    most = float(joint_fit.model.table.parameters.max())
    limited = bl.next_scores(joint_fit, CANDIDATES, samples=[5, 5], max_parameters=most, max_size=1, draws=50)
    assert "left out: big (100B)" in " ".join(limited.sentences)
    assert sum(row.samples == 5 for row in limited.rows) == 1


def test_costs_are_those_given_and_samples_cost_as_much_a_parameter(joint_fit: bl.Fit):
    costs = bl.next_scores(joint_fit, CANDIDATES | {"cost": [3.0, 1.0]}, samples=120, max_size=1, draws=50)
    by_words = {row.words: row.cost for row in costs.rows}
    total = joint_fit.model.table.parameters.sum()
    assert by_words["big"] == 3.0
    assert by_words["120 more samples of the models scored"] == pytest.approx(4.0 / 1.3e11 * total / 2)


def test_monte_carlo_errors_are_those_of_other_draws():
    """The spread of regrets over repeated sets of draws is what their errors say."""
    generator, found = np.random.default_rng(6), []
    for _ in range(200):
        scored = np.column_stack([np.zeros(400), 0.2 + generator.standard_normal(400)])
        actions = Actions(scored, scored + 0.5 * generator.standard_normal((400, 2)), np.array([-1, 0]))
        now, after = actions.regret, actions.after_scoring(0, np.zeros((400, 1)))
        errors = actions.regret_error, after.regret_error, after.error
        found.append((now, after.regret, now - after.regret, *errors))
    values, errors = np.array(found)[:, :3], np.array(found)[:, 3:]
    np.testing.assert_allclose(errors.mean(axis=0), values.std(axis=0), rtol=0.2)


def test_prices_are_costs_where_every_candidate_has_one(joint_fit: bl.Fit):
    asked = {"samples": 120, "max_size": 1, "draws": 50}
    priced = bl.next_scores(joint_fit, CANDIDATES | {"price": [3.0, 1.0]}, **asked)
    by_words = {row.words: row for row in priced.rows}
    total = joint_fit.model.table.parameters.sum()
    assert priced.cost_unit == "price x samples"
    assert (by_words["big"].cost, by_words["other"].cost) == (720.0, 240.0)
    assert by_words["120 more samples of the models scored"].cost == pytest.approx(4.0 / 1.3e11 * total * 120)
    assert by_words["big"].per_cost_error == by_words["big"].error / 720
    assert "reckoned from what the candidates cost per parameter" in " ".join(priced.sentences)
    some = bl.next_scores(joint_fit, CANDIDATES | {"price": [3.0, np.nan]}, **asked)
    assert some.cost_unit == "parameters x samples"
    assert "Prices are not used" in " ".join(some.sentences)
    both = bl.next_scores(joint_fit, CANDIDATES | {"price": [3.0, 1.0], "cost": [5.0, 6.0]}, **asked)
    assert {row.cost for row in both.rows if row.model} == {5.0, 6.0}


def test_without_candidates_more_samples_alone_are_looked_at(joint_fit: bl.Fit):
    found = bl.next(joint_fit, max_size=2, draws=50)
    assert [row.samples for row in found.rows] == [240]
    assert found.rows[0].effective_draws is None


def test_what_cannot_be_valued_is_said(joint_fit: bl.Fit, power_fit: bl.Fit):
    known = str(joint_fit.model.table.names[0])
    for candidates, more, words in (
        ({"name": [known], "family": ["alder"], "parameters": [1e9]}, {}, "is scored already"),
        ({"family": ["alder"], "parameters": [1e9]}, {}, "no column 'name'"),
        ({"name": ["a"], "parameters": [1e9]}, {}, "no column 'family'"),
        ({"name": ["a"], "family": ["alder"], "parameters": [-1]}, {}, "a: the parameters|parameters"),
        (CANDIDATES | {"cost": [0.0, 1.0]}, {}, "cost"),
        (None, {"max_parameters": 10}, "no pool has up to 10 parameters"),
        (None, {"samples": [0]}, "samples is"),
        (3, {}, "candidates is 3"),
    ):
        with pytest.raises(bl.InputError, match=words):
            bl.next_scores(joint_fit, candidates, draws=50, **more)
    with pytest.raises(bl.InputError, match="the law power, which knows no losses"):
        bl.next_scores(power_fit)


def test_the_command_answers_in_sentences_and_json(joint_file: Path, tmp_path: Path):
    path = tmp_path / "candidates.csv"
    pd.DataFrame(CANDIDATES).to_csv(path, index=False)
    asked = ["next", str(joint_file), "--candidates", str(path), "--max-size", "1", "--draws", "50"]
    run = CliRunner().invoke(app, [*asked, "--json", "--samples", "100"])
    assert run.exit_code == 0, run.output
    rows = json.loads(run.stdout)
    keys = {"cost", "expected_regret_now", "expected_regret_after", "per_cost", "error"}
    assert {frozenset(row) for row in rows} == {frozenset({"model"} | keys), frozenset({"samples"} | keys)}
    shown = CliRunner().invoke(app, asked).output
    assert "in truth best (the expected regret; Monte Carlo error" in shown
    assert "parameters x samples, per cost: nats per sample for one unit of cost" in " ".join(shown.split())
    refused = CliRunner().invoke(app, [*asked, "--max-parameters", "10"])
    assert refused.exit_code == 2
    assert "no pool has up to 10 parameters" in refused.output


SIZES = ([1e11], [1e11, 4e11])


@pytest.mark.slow
def test_outcomes_weigh_draws_as_a_refit_would():
    """What a candidate's mean loss tells of its family, by weights and by fits with the outcome in the table."""
    losses = small_losses()
    fit = bl.fit(bl.JointLaw(), losses, draws=500, chains=2)
    model, values = fit.model, fit.values()
    family = str(model.groups[0])
    new, both = (Models(np.log(np.array(sizes) / model.table.reference), np.zeros(len(sizes), int)) for sizes in SIZES)
    curve = CurveAtDraws(model.curve, values)
    noise = curve.draw_noise(1, 0, np.random.default_rng(0))
    other = bl.predict_draws(fit, {"members": [f"4e11:{family}"]}, kind="mean").to_numpy().ravel()
    drawn = curve.draw(new, noise, own_part=True)[:, 0]
    for outcome in np.quantile(drawn, [0.1, 0.9]):
        by_weights = (
            importance_weights(curve.log_densities(both, noise, np.array([outcome]), other[:, None]))[:, 0] @ other
        )
        column = losses.isel(lm=0)["nll"].to_numpy()
        column = column * outcome / bl.mean_losses(losses)["loss"].to_numpy()[0]
        more = pd.DataFrame({"model": ["outcome"], "family": [family], "parameters": [1e11]})
        again = bl.fit(bl.JointLaw(link=model.law.link), with_column(losses, more, column), draws=500, chains=2)
        refit = bl.predict_draws(again, {"members": [f"4e11:{family}"]}, kind="mean").to_numpy().ravel()
        # What the other was drawn as goes with the outcome beyond what both take from the law: without it .5 off.
        assert by_weights == pytest.approx(refit.mean(), abs=0.25 * other.std())


def with_column(losses, model: pd.DataFrame, column: np.ndarray):
    """Return a table with one model more."""
    first = losses.isel(lm=[0]).assign_coords(lm=model["model"].to_numpy())
    first = first.assign(
        nll=(("sample", "lm"), column[:, None]),
        family=("lm", model["family"].to_numpy()),
        parameters=("lm", model["parameters"].to_numpy(dtype=float)),
    )
    return xr.concat([losses, first], dim="lm", data_vars="minimal")
