"""The benchmark of curves of one model: its rows, its scores, its laws against references, its sampler, its stack."""

import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.special import logsumexp

from bayeslaw.errors import InputError

pytestmark = pytest.mark.tools

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    specification = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


# In this order, since each imports those before it by name.
protocol, laws, power, sampler, predict, benchmark = (
    load(f"curves{part}") for part in ("_protocol", "_laws", "_power", "_sampler", "_predict", "")
)


def noisy_curve(name="a", unit=1.0, rows=7, new=3, noise=0.02, seed=0):
    generator = np.random.default_rng(seed)
    budget = 1e6 * 3.0 ** np.arange(rows + new)
    loss = unit * (0.5 + 0.4 * (budget / 1e8) ** -0.3) * np.exp(generator.normal(0, noise, budget.size))
    return protocol.Curve("simulated", name, budget[:rows], loss[:rows], budget[rows:], loss[rows:])


def benchmark_rows(**changed):
    budgets = [1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6]
    columns = {
        "Domain": "LM",
        "Task": "val_loss",
        "Model": "1e7",
        "Seen Examples": budgets,
        "Loss": [2.0, 1.8, 1.7, 1.6, 1.55, 1.5, 1.48],
        "Training": [1, 1, 1, 1, 1, 0, 0],
    }
    return pd.DataFrame(columns | changed)


def write(tmp_path, *frames):
    path = tmp_path / "curves.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


def test_rows_are_split_by_their_mark_in_order_of_budget_without_copies(tmp_path):
    other = benchmark_rows(Domain="NMT", Model="2 Enc, 2 Dec")
    first, second = protocol.read_curves(write(tmp_path, benchmark_rows()[::-1], other, other.iloc[:3]))
    assert (first.domain, first.name) == ("LM", "val_loss 1e7")
    assert (second.domain, second.name) == ("NMT", "val_loss 2 Enc, 2 Dec")
    for curve in (first, second):
        np.testing.assert_array_equal(curve.budget, [1e6, 2e6, 4e6, 8e6, 16e6])
        np.testing.assert_array_equal(curve.loss, [2.0, 1.8, 1.7, 1.6, 1.55])
        np.testing.assert_array_equal(curve.new_budget, [32e6, 64e6])
        np.testing.assert_array_equal(curve.new_loss, [1.5, 1.48])
        assert curve.reference == pytest.approx(4e6)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"Loss": [2.0, 1.8, 1.7, -1.6, 1.55, 1.5, 1.48]}, "-1.6"),
        ({"Training": [1, 1, 1, 1, 1, 0, 2]}, "2"),
        ({"Training": [1, 1, 1, 1, 0, 0, 0]}, "4 rows to fit"),
        ({"Training": [1, 1, 1, 1, 0, 1, 0]}, "beyond"),
        ({"Training": 1}, "0 to score"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, changed, named):
    with pytest.raises(InputError, match=named):
        protocol.read_curves(write(tmp_path, benchmark_rows(**changed)))


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(InputError, match="Training"):
        protocol.read_curves(write(tmp_path, benchmark_rows().drop(columns="Training")))


def test_hiding_rows_takes_the_last_fitted_ones_and_never_the_scored():
    curve = noisy_curve(rows=10)
    short = protocol.holdout(curve, 0.3)
    np.testing.assert_array_equal(short.budget, curve.budget[:7])
    np.testing.assert_array_equal(short.new_loss, curve.loss[7:])
    assert len(protocol.holdout(curve, 0.9).budget) == protocol.FEWEST_ROWS


def test_scores_are_those_worked_out_by_hand():
    one = protocol.Curve("A", "one", np.arange(1.0, 6), np.ones(5), np.array([6.0, 7.0]), np.array([1.0, np.e]))
    two = protocol.Curve("A", "two", np.arange(1.0, 6), np.ones(5), np.array([6.0]), np.array([np.exp(0.5)]))
    three = protocol.Curve("B", "three", np.arange(1.0, 6), np.ones(5), np.array([6.0]), np.array([1.0]))
    mixture = protocol.Prediction(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), np.array([0.25, 0.75]))
    found = protocol.score(
        [one, two, three],
        [
            protocol.Prediction(np.array([[0.3, 0.6]]), np.array([[0.1, 0.5]]), np.ones(1)),
            mixture,
            protocol.Prediction(np.array([[0.2]]), np.array([[0.2]]), np.ones(1)),
        ],
    )
    # Errors 0.3 and 0.4; the mean of the mixture is 0.75, so 0.25; 0.2.
    assert found.rmsle == pytest.approx({"A": (np.sqrt(0.125) + 0.25) / 2, "B": 0.2})
    normal = lambda z, deviation: np.exp(-0.5 * z**2) / deviation / np.sqrt(2 * np.pi)  # noqa: E731
    mixed = 0.25 * normal(0.5, 1) + 0.75 * normal(-0.25, 2)
    rows = np.log([normal(3, 0.1), normal(0.8, 0.5), mixed, normal(1, 0.2)])
    assert found.density == pytest.approx(rows.mean())
    assert found.density_by_curve == pytest.approx((rows[:2].mean() + rows[2] + rows[3]) / 3)
    # Three standard deviations lie outside of a central 90 %, less than one and a half inside.
    assert found.coverage90 == pytest.approx(3 / 4)
    assert found.coverage90_by_curve == pytest.approx((0.5 + 1 + 1) / 3)


def test_a_prediction_that_is_not_finite_is_refused():
    curve = noisy_curve(new=1)
    with pytest.raises(ValueError, match="not finite"):
        protocol.score([curve], [protocol.Prediction(np.array([[np.nan]]), np.ones((1, 1)), np.ones(1))])


def test_least_squares_finds_the_power_law_that_made_the_losses():
    exact = noisy_curve(noise=0.0)
    found = protocol.least_squares(exact)
    np.testing.assert_allclose(found.point, np.log(exact.new_loss), atol=1e-6)


def broken_log_loss(free, budget, curve, share):
    """Evaluate the broken law from its formula, in plain NumPy."""
    u, fitted = np.log(budget / curve.reference), np.log(curve.budget / curve.reference)
    low, high = fitted[0], fitted[-1]
    width, place = 0.1 * (high - low), low + share * (high - low)
    rise = lambda at: width * np.log1p(np.exp((at - place) / width))  # noqa: E731
    chord = np.interp(u, [low, high], [rise(low), rise(high)])
    beyond = u > high
    chord[beyond] = rise(high) + (rise(high) - rise(low)) / (high - low) * (u[beyond] - high)
    floor, amplitude, exponent, _, change = free
    return np.log(np.exp(floor) + np.exp(amplitude - np.exp(exponent) * u + change * (chord - rise(u))))


def test_the_broken_density_is_that_of_its_formula_and_of_its_priors():
    curves = [noisy_curve(), noisy_curve("b", rows=9, seed=1)]
    data = laws.batch(curves, (0.375, 0.875))
    position = laws.draw_priors(data, 3, seed=4)
    prior, likelihood = laws.log_densities(data)(position)
    mean, deviation = laws.predict_rows(position, np.zeros((4, 1)) + 9.0, data)
    for lane, (curve, share) in enumerate((c, s) for c in curves for s in (0.375, 0.875)):
        one = {name: values[lane] for name, values in data.items() if name != "priors"}

        def free_of(at, one=one):
            with jax.enable_x64(True):
                values, _ = laws.free_quantities(jnp.asarray(at), one)
                return np.array([float(values[name]) for name in laws.QUANTITIES])

        table = np.array([data["priors"][name][lane] for name in laws.QUANTITIES[1:]])
        for draw in range(3):
            at = position[lane, draw]
            free = free_of(at)
            slopes = [(free_of(at + step) - free_of(at - step)) / 2e-5 for step in 1e-5 * np.eye(5)]
            volume = np.linalg.slogdet(np.array(slopes))[1]
            # The floor's share of the loss at the highest budget is uniform.
            rest = free[1] - np.exp(free[2]) * float(data["high"][lane])
            floor_density = stats.logistic.logpdf(free[0] - rest)
            expected = floor_density + stats.norm.logpdf(free[1:], *table.T).sum() + volume
            assert prior[lane, draw] == pytest.approx(expected, abs=1e-4)
            law = broken_log_loss(free, curve.budget, curve, share)
            rows = stats.norm.logpdf(np.log(curve.loss), law, np.exp(free[3]))
            assert likelihood[lane, draw] == pytest.approx(rows.sum(), rel=1e-6)
            ahead = broken_log_loss(free, curve.reference * np.exp([9.0]), curve, share)
            assert mean[lane, draw] == pytest.approx(ahead, rel=1e-6)
            assert deviation[lane, draw, 0] == pytest.approx(np.exp(free[3]))


def test_the_exponent_rises_by_the_change_around_the_break():
    data = {"low": np.array(0.0), "high": np.array(10.0), "break_share": np.array(0.5)}
    unbroken = {"floor": -100.0, "amplitude": 0.0, "exponent": np.log(0.3)}

    def bend(u):
        return float(laws.log_mean({**unbroken, "change": 1.0}, u, data) - laws.log_mean(unbroken, u, data))

    with jax.enable_x64(True):
        slope = lambda u: (bend(u + 0.01) - bend(u - 0.01)) / 0.02  # noqa: E731
        early, late, ends = slope(-8.0), slope(18.0), [bend(at) for at in (0.0, 10.0)]
    assert early - late == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(ends, 0.0, atol=1e-12)


def test_draws_from_the_prior_are_of_the_prior():
    data = laws.batch([noisy_curve()])
    position = laws.draw_priors(data, 4000, seed=2)[0]
    one = {name: values[0] for name, values in data.items() if name != "priors"}
    with jax.enable_x64(True):
        free, _ = jax.vmap(lambda at: laws.free_quantities(at, one))(jnp.asarray(position))
    free = {name: np.asarray(values) for name, values in free.items()}
    assert set(free) == {"floor", *data["priors"]}
    assert stats.kstest(1 / (1 + np.exp(-position[:, 2])), "uniform").pvalue > 1e-3
    for name, (location, scale) in ((name, priors[0]) for name, priors in data["priors"].items()):
        assert np.mean(free[name]) == pytest.approx(location, abs=4 * scale / np.sqrt(4000))
        assert np.std(free[name]) == pytest.approx(scale, rel=0.06)


def test_the_density_of_proposals_integrates_to_one_and_is_that_of_their_draws():
    generator = np.random.default_rng(2)
    weight = generator.dirichlet(np.ones(500), 1)
    mixture = sampler._mixture(generator, generator.normal(3, 0.5, (1, 500, 1)), weight)
    grid = 3 + 0.5 * np.sinh(np.linspace(-8, 8, 20_001))
    density = np.exp(mixture.log_density(grid[None, :, None]))[0]
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-4)
    below = np.trapezoid(np.where(grid < 2.5, density, 0), grid)
    drawn = mixture.draw(generator, 40_000)[0, :, 0]
    assert (drawn < 2.5).mean() == pytest.approx(below, abs=0.01)


def test_the_sampler_finds_posteriors_and_evidence_known_in_closed_form():
    generator = np.random.default_rng(0)
    design = generator.normal(size=(2, 8, 3))
    noise, response = np.array([0.01, 2.0]), generator.normal(size=(2, 8))

    def densities(position):
        residual = response[:, None] - np.einsum("cri,cdi->cdr", design, position)
        rows = stats.norm.logpdf(residual, 0, noise[:, None, None])
        return stats.norm.logpdf(position).sum(-1), rows.sum(-1)

    found = sampler.sample(densities, generator.standard_normal((2, 2000, 3)), seed=3)
    assert (found.pareto_k < sampler.TRUSTED_K).all()
    assert (found.effective > 300).all()
    for curve in range(2):
        precision = np.eye(3) + design[curve].T @ design[curve] / noise[curve] ** 2
        covariance = np.linalg.inv(precision)
        mean = covariance @ design[curve].T @ response[curve] / noise[curve] ** 2
        marginal = np.eye(8) * noise[curve] ** 2 + design[curve] @ design[curve].T
        evidence = stats.multivariate_normal.logpdf(response[curve], np.zeros(8), marginal)
        assert found.log_evidence[curve] == pytest.approx(evidence, abs=0.15)
        weight, offset = found.weight[curve], found.position[curve] - mean
        deviation = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(weight @ offset / deviation, 0, atol=0.2)
        np.testing.assert_allclose(np.sqrt(weight @ offset**2) / deviation, 1, rtol=0.15)


def weighted_moments(mean, weight):
    centre = weight @ mean
    return centre, np.sqrt(weight @ (mean - centre) ** 2)


def test_the_broken_law_agrees_with_importance_sampling_from_the_prior():
    curve = noisy_curve(rows=5, noise=0.1)
    found = predict.predict_curves("broken", [curve]).predictions[0]
    data = laws.batch([curve], predict.BREAKS["broken"])
    position = laws.draw_priors(data, 100_000, seed=8)
    likelihood = laws.log_densities(data)(position)[1]
    ahead = np.repeat(np.log(curve.new_budget / curve.reference)[None], len(predict.BREAKS["broken"]), axis=0)
    mean, deviation = laws.predict_rows(position, ahead, data)
    weight = np.exp(likelihood - logsumexp(likelihood)).ravel()
    assert 1 / (weight**2).sum() > 300
    centre, spread = weighted_moments(mean.reshape(-1, 3), weight)
    found_centre, found_spread = weighted_moments(found.mean, found.weight)
    np.testing.assert_allclose((found_centre - centre) / spread, 0, atol=0.15)
    np.testing.assert_allclose(found_spread, spread, rtol=0.15)
    noise = lambda deviation, weight: np.sqrt(weight @ deviation[:, 0] ** 2)  # noqa: E731
    assert noise(found.deviation, found.weight) == pytest.approx(noise(deviation.reshape(-1, 3), weight), rel=0.15)


def test_power_is_the_law_with_the_default_priors_on_each_curve_by_itself():
    # Curves of one shape in other units: what they have in common must not matter.
    curves = [noisy_curve(noise=0.1, unit=3.0), noisy_curve("b", unit=200.0, noise=0.1, rows=6, seed=5)]
    fit = power.fit_power(curves, pooling="separate", seed=1, draws=400)
    assert type(fit.law).__name__ == "PowerLaw"
    assert set(fit.law.pooling_by_parameter.values()) == {"separate"}
    predictions = power.predict_power(fit, curves, seed=1)
    generator = np.random.default_rng(6)
    for curve, found in zip(curves, predictions, strict=True):
        priors = [fit.model.sites[name] for name in ("amplitude", "exponent", "noise_scale")]
        table = np.array([[dict(prior.arguments)["loc"], dict(prior.arguments)["scale"]] for prior in priors])
        draws = np.exp(table[:, :1] + table[:, 1:] * generator.standard_normal((3, 2_000_000)))[..., None]
        amplitude, exponent, noise = draws
        share = generator.random(noise.shape)
        # Of the loss at the largest budget of the curve.
        floor = share / (1 - share) * amplitude * (curve.budget.max() / curve.reference) ** -exponent
        law = lambda budget, c=curve, f=floor, a=amplitude, e=exponent: np.log(  # noqa: E731
            c.loss.min() * (f + a * (budget / c.reference) ** -e)
        )
        log_weight = stats.norm.logpdf(np.log(curve.loss), law(curve.budget), noise).sum(1)
        weight = np.exp(log_weight - logsumexp(log_weight))
        assert 1 / (weight**2).sum() > 300
        centre, spread = weighted_moments(law(curve.new_budget), weight)
        found_centre, found_spread = weighted_moments(found.mean, found.weight)
        np.testing.assert_allclose((found_centre - centre) / spread, 0, atol=0.2)
        np.testing.assert_allclose(found_spread, spread, rtol=0.2)
        assert (found.deviation**2).mean() == pytest.approx(weight @ noise[:, 0] ** 2, rel=0.25)


def test_the_law_without_a_break_is_the_power_law_by_another_sampler():
    curves = [noisy_curve(noise=0.05, rows=8), noisy_curve("b", noise=0.05, rows=8, seed=5)]
    found, expected = (predict.predict_curves(name, curves).predictions for name in ("unbroken", "power"))
    for one, other in zip(found, expected, strict=True):
        centre, spread = weighted_moments(other.mean, other.weight)
        found_centre, found_spread = weighted_moments(one.mean, one.weight)
        np.testing.assert_allclose((found_centre - centre) / spread, 0, atol=0.25)
        np.testing.assert_allclose(found_spread, spread, rtol=0.25)


def test_stacking_weights_are_the_best_on_a_grid():
    generator = np.random.default_rng(1)
    densities = [generator.normal(0, 1, (2, rows)) for rows in (1, 40, 3)]

    def negative(share):
        mixed = [np.log(share * np.exp(rows[0]) + (1 - share) * np.exp(rows[1])).mean() for rows in densities]
        return -np.mean(mixed)

    best = optimize.minimize_scalar(negative, bounds=(0, 1), method="bounded").x
    assert 0.05 < best < 0.95
    np.testing.assert_allclose(predict.stacking_weights(densities), [best, 1 - best], atol=1e-3)


def test_the_stack_is_weighted_by_hidden_rows_and_never_by_those_scored(monkeypatch):
    curves = [noisy_curve(rows=10), noisy_curve("b", rows=10, seed=1)]
    seen = []

    def fake(name, shortened, *, seed):
        seen.extend(shortened)
        off = {"unbroken": 0.0, "broken": 0.3}[name]
        made = [np.log(curve.new_loss)[None] + off for curve in shortened]
        return predict.Outcome([protocol.Prediction(m, np.full_like(m, 0.02), np.ones(1)) for m in made], 1.0)

    monkeypatch.setattr(predict, "predict_curves", fake)
    rows = np.zeros((1, 3))
    flat = [protocol.Prediction(rows, np.ones_like(rows), np.ones(1)) for _ in curves]
    other = [protocol.Prediction(rows + 5, np.ones_like(rows), np.ones(1)) for _ in curves]
    stacked = predict.stack({"unbroken": predict.Outcome(flat, 2.0), "broken": predict.Outcome(other, 3.0)}, curves)
    assert stacked.weights["unbroken"] == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(stacked.predictions[0].point, 0.0, atol=1e-5)
    assert stacked.seconds == 7.0
    assert {curve.new_budget.max() for curve in seen} == {curve.budget.max() for curve in curves}
    mixed = predict.mix([flat[0], other[0]], np.array([0.25, 0.75]))
    np.testing.assert_allclose(mixed.point, 3.75)


def test_the_command_prints_a_record_of_each_law(tmp_path, capsys):
    path = write(tmp_path, benchmark_rows(), benchmark_rows(Domain="NMT"))
    assert benchmark.main([str(path), "--law", "broken", "least_squares", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["curves"] == 2
    assert found["scored_rows"] == 4
    assert list(found["laws"]) == ["least_squares", "broken"]
    assert set(found["laws"]["broken"]["rmsle"]) == {"LM", "NMT"}
    assert benchmark.main([str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err
