"""Tables of the joint law's own prior: held to the law's density, and each part to its equation."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from numpyro import distributions as dist
from scipy import stats

from bayeslaw.calibration.joint_calibration import CalibratedJointLaw, joint_design
from bayeslaw.errors import InputError
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.links import SMOOTH_LINKS
from bayeslaw.joint.simulated_tables import TOLERANCE, JointDesign, _curve, simulate_joint

SIZES = (1e8, 5e8, 2e9, 2e8, 8e8, 4e9, 1e10, 2e10, 2e10)
FAMILIES = ("birch", "birch", "birch", "alder", "alder", "alder", "alder", "birch", "cedar")
DESIGN = JointDesign(SIZES, FAMILIES, seen=6, samples=60)


def seen_model(simulation, law=None):
    link = simulation.design.link
    table = joint_table(simulation.seen, link=link, parameters="total")
    return JointModel((law or JointLaw()).resolved(link), table)


@pytest.fixture(scope="module", params=["log", "softplus"])
def simulation(request):
    return simulate_joint(JointLaw(), dataclasses.replace(DESIGN, link=request.param), seed=3)


def test_means_and_moments_are_those_that_the_law_takes_as_given(simulation):
    losses, design = simulation.losses, simulation.design
    np.testing.assert_allclose(losses.mean(axis=0), simulation.mean, rtol=1e-9)
    assert abs(np.log(simulation.mean[:6].min() / design.lowest)) < TOLERANCE
    with jax.enable_x64(True):
        latent = np.asarray(SMOOTH_LINKS[design.link].latent(losses))
    np.testing.assert_allclose(np.log(latent.std(axis=0))[:6].mean(), np.log(design.deviation), rtol=1e-6)
    assert simulation.seen.sizes == {"sample": 60, "lm": 6}
    assert simulation.whole.sizes == {"sample": 60, "lm": 9}
    assert (simulation.seen["nll"] == simulation.whole["nll"][:, :6]).all()


def test_floors_and_their_places_agree(simulation):
    model, truth = seen_model(simulation), simulation.truth
    assert model.groups == ("alder", "birch")
    with jax.enable_x64(True):
        floors, _ = model.curve.floors(truth)
    # The law's centre moves with the lowest loss seen, as the offset does.
    np.testing.assert_allclose(floors, truth["floor"], rtol=1e-6)
    assert (truth["floor"][model.group_index] < model.table.mean).all()


def test_every_site_has_a_truth(simulation):
    model = seen_model(simulation)
    for name, shape in model.shapes.items():
        assert np.shape(simulation.truth[name]) == shape, name
    with jax.enable_x64(True):
        assert np.isfinite(float(model.log_likelihood(simulation.truth)))


@pytest.mark.parametrize(("curves", "atol"), [(4_000, 0.08), pytest.param(12_000, 0.05, marks=pytest.mark.slow)])
def test_the_curve_varies_as_the_density_says(curves, atol):
    """Thousands of curves with the same sites: covariance over models as `Curve.covariance` has it."""
    sites = {
        "exponent": 0.3,
        "floor_share": 0.4,
        "floor_spread": 0.1,
        "amplitude_spread": 0.3,
        "exponent_spread": 0.2,
        "exponent_drift": 0.3,
        "model_spread": 0.25,
    }
    rng, law = np.random.default_rng(0), JointLaw()
    drawn = []
    for exponent in stats.norm(0.3, 0.2).rvs(curves, random_state=rng):
        curve = _curve(sites | {"exponent": exponent}, DESIGN, np.zeros(9, dtype=bool), 0.3, rng)
        drawn.append(np.log(curve["mean"] - curve["floor"][DESIGN.family]))
    model = seen_model(simulate_joint(law, DESIGN, seed=0))
    # The mean of the families' own scale of variance, an inverse gamma variable.
    scale = np.full(9, 2.5 / 1.5)
    everything = dataclasses.replace(model.models, log_size=DESIGN.log_size, family=DESIGN.family)
    with jax.enable_x64(True):
        expected = np.asarray(model.curve.covariance(sites, everything, everything, scale, scale))
        expected = expected + np.asarray(model.curve.own_variance(sites, 9))
    found = np.cov(np.array(drawn).T)
    width = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found / np.outer(width, width), expected / np.outer(width, width), atol=atol)
    level = np.log(0.5 * DESIGN.lowest) - 0.3 * DESIGN.log_size
    np.testing.assert_allclose(np.mean(drawn, axis=0), level, atol=5 * width.max() / np.sqrt(curves))


def test_models_without_own_part_lie_on_the_curve():
    law = JointLaw(model_spread=dist.LogNormal(np.log(0.5), 0.01), exponent_drift=dist.LogNormal(-20.0, 0.01))
    drawn = simulate_joint(law, DESIGN, without_own_part=(0, 1, 2), seed=5)
    truth, family = drawn.truth, DESIGN.family[:6]
    line = truth["floor"][family] + truth["amplitude"][family] * np.exp(
        -truth["exponent"][family] * DESIGN.log_size[:6]
    )
    np.testing.assert_allclose(drawn.mean[:3], line[:3], rtol=1e-6)
    floor = truth["floor"][family]
    own_part = np.log((drawn.mean[:6] - floor) / (line - floor))
    assert (np.abs(own_part[3:]) > 1e-3).all()


def test_correlations_scatter_around_the_structure():
    sure = JointLaw(structure_freedom=dist.LogNormal(np.log(1e9), 0.01))
    drawn = simulate_joint(sure, DESIGN, seed=1)
    with jax.enable_x64(True):
        structure = np.asarray(seen_model(drawn, sure).dependence.structure(drawn.truth))
    np.testing.assert_allclose(drawn.correlation[:6, :6], structure, atol=1e-3)
    loose = simulate_joint(JointLaw(structure_freedom=dist.LogNormal(np.log(5.0), 0.01)), DESIGN, seed=1)
    assert np.abs(loose.correlation[:6, :6] - structure).max() > 0.01


def test_the_same_seed_gives_the_same_table():
    first, second = (simulate_joint(JointLaw(), DESIGN, seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.losses, second.losses)
    assert not np.array_equal(first.losses, simulate_joint(JointLaw(), DESIGN, seed=3).losses)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seen": 2}, "2 models seen"),
        ({"seen": 10}, "10 models seen"),
        ({"families": ("alder",)}, "1 families"),
        ({"link": "identity"}, "softplus"),
        ({"lowest": 0.0}, "not positive"),
        ({"samples": 1}, "not positive"),
    ],
)
def test_an_unusable_design_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        dataclasses.replace(DESIGN, **change)


def test_priors_that_never_give_the_lowest_loss_are_refused(monkeypatch):
    monkeypatch.setattr("bayeslaw.joint.simulated_tables.ATTEMPTS", 100)
    law = JointLaw(floor_share=dist.Uniform(0.8, 0.85), floor_spread=dist.LogNormal(-9.0, 0.01))
    # Floors near 1.65 and losses above them by a little, or by far more than 0.35: never 2.
    monkeypatch.setattr("bayeslaw.joint.simulated_tables.LEVEL_SHARE", 1e-9)
    with pytest.raises(InputError, match="lowest loss"):
        simulate_joint(law, DESIGN, seed=0)


@pytest.fixture(scope="module")
def small():
    """Return the joint law on four models, with as few steps as tests need."""
    sizes, families = (1e8, 1e9, 1e8, 1e9), ("alder", "alder", "birch", "birch")
    design = JointDesign((*sizes, 1e10, 1e10), (*families, "alder", "alder"), seen=4, samples=40)
    return CalibratedJointLaw(JointLaw(), design)


@pytest.fixture(scope="module", params=[0, pytest.param(1, marks=pytest.mark.slow)])
def table(small, request):
    return small.simulate(request.param).data


def test_the_density_is_that_which_is_fitted(small):
    with jax.enable_x64(True):
        for seed in range(2):
            simulated = small.simulate(seed)
            model = small.model(simulated.data)
            values = {name: simulated.truth[name] for name in model.shapes}
            assert model.law == JointLaw().resolved("log")
            expected = float(model.log_likelihood(values))
            assert float(simulated.truth["log_likelihood"]) == pytest.approx(expected, rel=1e-10)


def test_predictions_far_from_all_models_seen_are_numbers(table):
    """A new model of which some draws are a hundred standard deviations of quality away."""
    with jax.enable_x64(True):
        model = JointModel(JointLaw().resolved("log"), table)
        values = {name: np.asarray(value)[None] for name, value in model.draw_prior(jax.random.PRNGKey(0)).items()}
    for quality in (-100.0, 100.0):
        dependence = DependenceAtDraws(model.dependence, values)
        drawn = dependence.draw_deviation(np.array([[quality]]), np.array([0]), 3 * np.ones((1, 1)))
        assert 1e-6 < drawn.item() < 1e6


def test_targets_and_labels_name_models(small):
    assert small.targets["where"].tolist() == ["model, family seen", "pool, family seen", "pool of all"]
    assert small.labels("floor") == ("floor[alder]", "floor[birch]")
    assert small.labels("own_offset")[0] == "own_offset[alder-0]"
    assert small.labels("length") == ("length",)
    assert json.loads(json.dumps(small.identity)) == small.identity
    whole = CalibratedJointLaw(JointLaw(), joint_design())
    assert {"model, new family", "pool, new family"} < set(whole.targets["where"])
