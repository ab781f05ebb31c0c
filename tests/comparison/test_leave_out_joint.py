"""What the joint law predicts of the models and families left out of its fit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.loo import compare as rank_by_elpd
from joint_cases import small_model
from posteriors import joint_filled
from scipy import special, stats

from bayeslaw.comparison.comparisons import compare
from bayeslaw.comparison.joint_refits import JointRefits, elpd_caveat
from bayeslaw.comparison.k_folds import k_fold
from bayeslaw.comparison.kept_curve import KeptCurve, keep_models
from bayeslaw.comparison.left_out import leave_out
from bayeslaw.comparison.left_out_folds import make_folds
from bayeslaw.comparison.stacking import Stack
from bayeslaw.fitting.fit_attributes import common_attributes
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.fitting.joint_fitting import table_attrs
from bayeslaw.fitting.joint_tree import build_joint_tree
from bayeslaw.joint.curve import Models
from bayeslaw.joint.joint_model import BY_FAMILY, JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.law import CURVE_SITES, JointLaw
from bayeslaw.laws import PowerLaw
from bayeslaw.laws.results import Densities
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.draws import Draws
from bayeslaw.simulation.tables import simulate_losses

LOSSES = simulate_losses(samples=40, clusters=40, families=3, sizes=3, seed=2)
HELD = {"the best": [2], "the smallest": [0], "a family": [3, 4, 5], "two of two": [1, 8]}
FEW, MORE = ("the best", "a family"), ("the smallest", "two of two")


def model_of(losses):
    table = joint_table(losses, link="log", parameters="total")
    return JointModel(JointLaw().resolved("log"), table)


@pytest.fixture(scope="module")
def model():
    return model_of(LOSSES)


def held_rows(which):
    return np.isin(np.arange(9), HELD[which])


def draw_sites(model, key):
    """Draw the sites of the curve."""
    values = model.draw_prior(jax.random.PRNGKey(key))
    return {name: values[name] for name in (*CURVE_SITES, *BY_FAMILY) if name in values}


def reduced(held):
    """Return the joint law of a table that never held some models, and which of the families it has."""
    without = model_of(LOSSES.isel(lm=np.flatnonzero(~held)))
    everything = sorted(set(LOSSES["family"].to_numpy()))
    return without, np.array([everything.index(name) for name in without.groups])


def of_families(values, families):
    return {name: array[families] if name in BY_FAMILY else array for name, array in values.items()}


# Densities.


@pytest.mark.slow
@pytest.mark.parametrize("which", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_the_kept_have_the_density_of_a_table_of_their_own(model, which):
    held = held_rows(which)
    with jax.enable_x64(True):
        values = draw_sites(model, 5)
        found = float(jax.jit(KeptCurve(model.curve, keep_models(model, held)).log_likelihood)(values))
        other, families = reduced(held)
        expected = float(jax.jit(other.curve.log_likelihood)(of_families(values, families)))
    assert found == pytest.approx(expected, rel=1e-9)


def with_loss(model, row, loss):
    mean = model.table.mean.copy()
    mean[row] = loss
    return JointModel(model.law, replace(model.table, mean=mean))


@pytest.mark.parametrize("which", ["the best", pytest.param("the smallest", marks=pytest.mark.slow)])
def test_one_model_has_the_density_with_which_a_new_one_is_predicted(model, which):
    held, (row,) = held_rows(which), HELD[which]
    with jax.enable_x64(True):
        values, (other, families) = draw_sites(model, 1), reduced(held)
        log_size = np.array([np.log(model.table.parameters[row] / other.table.reference)])
        new = Models(log_size, families[[model.group_index[row]]])
        nothing = {"floor": np.zeros(0), "scale": np.zeros(0)}

        @jax.jit
        def loss_at(place):
            noise = {"model": place[None], **nothing}
            return other.curve.draw(of_families(values, families), new, noise, own_part=True)[0]

        for place in (-2.0, 1.3):
            # The draw is a monotone function of a standard normal number, so its density is that over the slope.
            loss, slope = map(float, jax.jvp(loss_at, (jnp.asarray(place),), (jnp.asarray(1.0),)))
            there = with_loss(model, row, loss)
            rows, joint = jax.jit(KeptCurve(there.curve, keep_models(there, held)).held_log_densities)(values)
            expected = stats.norm.logpdf(place) - np.log(slope)
            assert float(rows[row]) == pytest.approx(expected, abs=1e-5)
            assert float(joint) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("which", ["a family", pytest.param("two of two", marks=pytest.mark.slow)])
def test_several_models_have_the_density_of_a_dense_normal(model, which):
    held = held_rows(which)
    with jax.enable_x64(True):
        kept = KeptCurve(model.curve, keep_models(model, held))
        values = draw_sites(model, 3) | {"floor_offset": jnp.full(3, -1.5)}
        rows, joint = map(np.asarray, kept.held_log_densities(values))
        curve, scale = kept.curve, np.asarray(values["family_scale"])[model.group_index]
        covariance = np.asarray(curve.covariance(values, curve.models, curve.models, scale, scale))
        covariance = covariance + (float(values["model_spread"]) ** 2 + 1e-9) * np.eye(9)
        mean, floors = np.asarray(curve.mean(curve.models.log_size)), np.asarray(curve.floors(values)[0])
    above = np.log(model.table.mean - floors[model.group_index])
    gain = np.linalg.solve(covariance[np.ix_(~held, ~held)], covariance[np.ix_(~held, held)]).T
    centre = mean[held] + gain @ (above - mean)[~held]
    spread = covariance[np.ix_(held, held)] - gain @ covariance[np.ix_(~held, held)]
    assert joint == pytest.approx(
        stats.multivariate_normal(centre, spread).logpdf(above[held]) - above[held].sum(), rel=1e-8
    )
    np.testing.assert_allclose(
        rows[held], stats.norm.logpdf(above[held], centre, np.sqrt(np.diag(spread))) - above[held], rtol=1e-8
    )


def test_a_loss_below_the_floor_has_no_density(model):
    held = held_rows("the best")
    with jax.enable_x64(True):
        low = with_loss(model, 2, 1e-3)
        values = draw_sites(model, 0) | {"floor_share": jnp.asarray(0.9), "floor_spread": jnp.asarray(0.01)}
        rows, joint = map(np.asarray, KeptCurve(low.curve, keep_models(low, held)).held_log_densities(values))
        gradient = jax.jit(jax.grad(lambda v: KeptCurve(low.curve, keep_models(low, held)).log_likelihood(v)))(values)
    assert rows[2] == joint == -np.inf
    assert all(np.isfinite(np.asarray(each)).all() for each in gradient.values())


# Refits.


def importance(model, held, draws=20_000):
    """Elpd of the losses left out: draws of the prior, weighed by the density of a table without the models."""
    other, families = reduced(held)

    def weigh(key):
        values = model.draw_prior(key)
        kept = KeptCurve(model.curve, keep_models(model, held)).held_log_densities(values)
        return other.curve.log_likelihood(of_families(values, families)), kept[0][held], kept[1]

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.PRNGKey(0), draws)
        weight, rows, joint = map(np.asarray, jax.jit(lambda keys: jax.lax.map(weigh, keys))(keys))
    weight = weight - special.logsumexp(weight)
    found = log_averages(rows, weight), log_averages(joint[:, None], weight)
    assert max(error.max() for _, error in found) < 0.25
    return found


def log_averages(log_values, log_weights):
    """Log averages with their errors by the delta method."""
    value = special.logsumexp(log_weights[:, None] + log_values, axis=0)
    influence = np.exp(log_weights)[:, None] * (np.exp(log_values - value) - 1)
    return value, np.sqrt((influence**2).sum(axis=0))


@pytest.fixture(scope="module")
def refits(model):
    return JointRefits(model, draws=400, chains=2)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["the best", "a family"])
def test_refits_find_what_weighted_draws_of_the_prior_find(model, refits, which):
    held = held_rows(which)
    found = refits.left_out(held, seed=0)
    assert found.rows.shape == (800, held.sum())
    assert found.rhat < 1.05
    for drawn, (expected, error) in zip((found.rows, found.joint[:, None]), importance(model, held), strict=True):
        value, own_error = log_averages(drawn, np.full(800, -np.log(800)))
        assert (np.abs(value - expected) < 4 * np.hypot(error, own_error)).all()
        assert own_error.max() < 0.25


# Fits.


@pytest.fixture(scope="module")
def joint_fit(model):
    """Return a fit whose draws scatter around the centres of the priors; what is left out is refitted in any case."""
    with jax.enable_x64(True):
        target = joint_filled(model)
        scatter = 0.05 * np.random.default_rng(0).standard_normal((2, 60, len(target.start)))
        draws = Draws(target.start + scatter, {"diverging": np.zeros((2, 60), dtype=bool)})
        attrs = common_attributes(Noise(), LOSSES, "total") | table_attrs(model.law, model.table)
        return Fit(build_joint_tree(model, draws, seed=0, attrs=attrs))


class NoSampling:
    """Densities by name of the models left out, in place of refits."""

    def __init__(self, model, draws, chains):
        self.model = model

    def all_rows(self, held):
        return None

    def left_out(self, held, *, seed):
        rows = np.repeat(np.where(self.model.table.mean > 0, 1.0, 0.0)[None, held], 50, axis=0)
        return Densities(rows, rows.sum(axis=1), 1.0, 0)


@pytest.mark.parametrize("by", ["model", "family"])
def test_every_fold_of_a_factor_fit_is_refitted(joint_fit, monkeypatch, by):
    monkeypatch.setattr("bayeslaw.comparison.joint_refits.JointRefits", NoSampling)
    found = leave_out(joint_fit, by=by, method="weights", draws=50, chains=1)
    assert {fold.method for fold in found.folds} == {"exact"}
    assert list(found.table.index) == [fold.name for fold in make_folds(joint_fit, by)]
    assert found.elpd == pytest.approx(9)
    assert found.joint == pytest.approx(9)
    assert found.elpd_data.n_data_points == len(found.folds)
    ranking = rank_by_elpd({"one": found.elpd_data, "other": found.elpd_data})
    assert list(ranking["elpd_diff"]) == [0, 0]


def test_k_fold_refits_the_joint_law(joint_fit, monkeypatch):
    monkeypatch.setattr("bayeslaw.comparison.joint_refits.JointRefits", NoSampling)
    assert float(k_fold(joint_fit, folds=3, draws=50, chains=1).elpd) == pytest.approx(9)


@pytest.fixture(scope="module")
def power_fit():
    return fit(PowerLaw(pooling="complete"), LOSSES, draws=60, chains=1)


@pytest.mark.slow
def test_single_rows_of_the_factor_law_are_warned_about(joint_fit, power_fit):
    found = compare({"joint": joint_fit, "power": power_fit})
    assert set(found.table.index) == {"joint", "power"}
    assert f"joint: {elpd_caveat()}" in found.warnings


@pytest.mark.slow
def test_the_factor_law_and_a_law_of_models_predict_together(joint_fit, power_fit):
    both = Stack({"joint": joint_fit, "power": power_fit}, {"joint": 0.5, "power": 0.5})
    at = {"parameters": [1e9, 8e10], "family": ["alder", "new"]}
    table = both.predict(at, samples=None, rule="oracle")
    assert list(table["members"]) == ["1000000000:alder", "80000000000:new"]
    assert (table["lower"].to_numpy() < table["upper"].to_numpy()).all()
    draws = both.predict_draws(at)
    assert draws.sizes["draw"] == 60
    assert both.predict({"members": ["1e9:alder"]})["parameters"].item() == 1e9


@pytest.mark.parametrize(
    "held", [pytest.param([0], id="model", marks=pytest.mark.slow), pytest.param([0, 1, 2, 3], id="family")]
)
def test_the_density_of_a_refit_by_hand_is_that_of_jax(held):
    """One model left out, and all of a family, whose floor then follows the population."""
    refits = JointRefits(small_model(), draws=100, chains=2)
    left = np.zeros(8, dtype=bool)
    left[held] = True
    with jax.enable_x64(True):
        posterior, data = refits.posterior_of_kept, refits.data(left)
        positions = posterior.start + 0.3 * np.random.default_rng(0).standard_normal((3, len(posterior.start)))
        both = jax.jit(jax.vmap(jax.value_and_grad(posterior.potential), (0, None)))
        value, slope = both(positions, data)
        found, gradient, _ = posterior.by_hand(data).evaluate(positions)
    np.testing.assert_allclose(found, -np.asarray(value), rtol=1e-8)
    np.testing.assert_allclose(gradient, -np.asarray(slope), rtol=1e-7, atol=1e-7 * np.abs(slope).max())
