"""The joint law's densities at many draws, with gradients by hand, beside JAX's and the NumPyro model's."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from joint_cases import small_losses, small_model, some_values
from numpyro.infer.util import log_density

from bayeslaw.errors import InputError
from bayeslaw.fitting.joint_posterior import BLOCKS, joint_data, joint_posterior, sampled_sites, site_values
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.curve_predictive import curve_predictive, lines_from_prior, prior_losses
from bayeslaw.joint.dependence_gradients import CorrelationGradient, balance
from bayeslaw.joint.family_lines import family_lines
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.numpyro_form import numpyro_form
from bayeslaw.joint.positive_definite import inverse_and_log_determinant
from bayeslaw.laws.prior_densities import draw_from

OTHER_PRIORS = {
    "floor_share": "Uniform(0, 1)",
    "floor_spread": "HalfNormal(0.2)",
    "floor_shrinkage": "Uniform(0, 1)",
    "exponent_drift": "Gamma(2, 20)",
    "length": "InverseGamma(3, 30)",
    "roughness": "TruncatedNormal(1.5, 0.3, low=0.5, high=2)",
    "own_level": "StudentT(4, -3, 1)",
    "own_slope": "Laplace(0, 0.5)",
    "structure_freedom": "LogUniform(5, 500)",
    "deviation_spread": "Weibull(0.1, 2)",
    "deviation_family_spread": "HalfCauchy(0.1)",
}


def other_model() -> JointModel:
    """Return a model with a prior of another kind at most sites, and two models of equal quality."""
    losses = small_losses()
    table = joint_table(losses, link=None, parameters="total")
    quality = table.quality.copy()
    quality[1] = quality[5]
    model = JointModel(JointLaw(floors="learned", **OTHER_PRIORS).resolved(table.link.name), table)
    model.__dict__["dependence"] = replace(model.dependence, quality=quality)
    return model


@pytest.mark.parametrize("make", [small_model, pytest.param(other_model, marks=pytest.mark.slow)])
def test_gradients_by_hand_are_those_of_jax_and_of_the_numpyro_model(make):
    with jax.enable_x64(True):
        model = make()
        posterior, data = joint_posterior(model), joint_data(model)
        rng = np.random.default_rng(0)
        positions = posterior.start + 0.4 * rng.standard_normal((4, len(posterior.start)))
        total = np.zeros(4)
        for block in posterior.blocks:
            mine = positions[:, list(block.coordinates)]
            heights, gradients, hint = block.posterior.by_hand(data).evaluate(mine)
            again = block.posterior.by_hand(data).evaluate(mine + 0.01, hint)
            expected = jax.jit(jax.vmap(jax.value_and_grad(block.posterior.potential), (0, None)))
            for found, at in (((heights, gradients), mine), (again[:2], mine + 0.01)):
                value, slope = map(np.asarray, expected(jnp.asarray(at), data))
                np.testing.assert_allclose(found[0], -value, rtol=1e-8)
                np.testing.assert_allclose(found[1], -slope, rtol=1e-8, atol=1e-8 * np.abs(slope).max())
            total += heights
        numpyro, values = numpyro_form(model), site_values(model)

        @jax.jit
        def height(position):
            sites, determinant = values(position, data)
            return log_density(numpyro, (), {}, sites)[0] + determinant

        expected = [float(height(jnp.asarray(position))) for position in positions]
    # They are the same but for a constant.
    np.testing.assert_allclose(total - total[0], np.subtract(expected, expected[0]), rtol=0, atol=1e-7)


def test_every_site_is_in_one_block():
    names = [name for part in BLOCKS.values() for name in part.sites]
    assert sorted(names) == sorted(other_model().sites)
    # A setting may hold a site at a value: it is then in no block.
    sampled = [name for block in BLOCKS for name in sampled_sites(small_model(), block)]
    assert sorted(sampled) == sorted(small_model().sites)
    assert set(names) - set(sampled) == {"floor_shrinkage"}


def test_a_prior_that_ties_sites_is_refused():
    with pytest.raises(ValueError, match="own_spread"):
        JointLaw(own_spread="LogNormal(own_level, 0.5)")


def one_mean(nll):
    return nll / nll.mean(axis=0) * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda nll: np.repeat(nll[:, :1], nll.shape[1], axis=1), "all models have the mean loss"),
        (one_mean, "all models have the mean loss 2.0000 nats"),
        (lambda nll: np.full_like(nll, 2.0), "the same loss on every sample"),
        (lambda nll: np.where(np.arange(nll.shape[1]) == 3, nll[:, 3].mean(), nll), "the same loss on every sample"),
    ],
    ids=["copies", "one mean", "constant", "one constant"],
)
def test_losses_that_show_no_curve_or_no_dependence_are_refused(change, words):
    losses = small_losses()
    losses["nll"] = (losses["nll"].dims, change(losses["nll"].to_numpy()))
    with pytest.raises(InputError, match=words):
        joint_table(losses, link=None, parameters="total")


@pytest.mark.parametrize("size", [3, 60])
def test_inverses_and_log_determinants(size):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, size, size))
    matrices = root @ root.swapaxes(1, 2) + np.eye(size)
    inverse, log_determinant = inverse_and_log_determinant(matrices)
    np.testing.assert_allclose(inverse @ matrices, np.broadcast_to(np.eye(size), matrices.shape), atol=1e-8)
    np.testing.assert_allclose(log_determinant, np.linalg.slogdet(matrices)[1])
    matrices[1, 0, 0] = -1.0
    inverse, log_determinant = inverse_and_log_determinant(matrices)
    assert np.isnan(log_determinant).tolist() == [False, True, False]
    np.testing.assert_allclose(inverse[2] @ matrices[2], np.eye(size), atol=1e-8)


def test_scales_give_unit_row_sums_from_any_start():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((5, 12, 12))
    matrices = root @ root.swapaxes(1, 2) + 0.1 * np.eye(12)
    for start in (None, np.exp(rng.standard_normal((5, 12))), np.full((5, 12), np.nan)):
        scale = balance(matrices, start).scale
        np.testing.assert_allclose((matrices * scale[:, :, None] * scale[:, None, :]).sum(axis=2), 1, atol=1e-8)


@pytest.mark.parametrize("distance", [1e-4, 1e-7, 1e-9])
def test_models_that_are_much_alike_have_a_density(distance):
    """Structures near singular, where rounding keeps row sums from one."""
    with jax.enable_x64(True):
        model = small_model()
        quality = model.table.quality.copy()
        quality[1] = quality[0] + distance
        dependence = replace(model.dependence, quality=quality)
        values = some_values(model)
        values |= {"own_level": np.asarray(-25.0), "own_slope": np.asarray(0.0), "own_spread": np.asarray(0.1)}
        values |= {"roughness": np.asarray(1.5), "family_difference": np.asarray(1e-6)}
        expected = float(dependence.log_likelihood_of_correlations(values))
    many = {name: array[None] for name, array in values.items()}
    gradient = CorrelationGradient(dependence)
    assert np.linalg.cond(gradient.structure(many).correlation[0]) > 1e5
    found = gradient.log_likelihood(many)[0][0]
    assert found == pytest.approx(expected, rel=1e-6)


def test_scales_are_found_as_well_as_rounding_allows():
    """Two rows that cancel each other but for a billionth, as those of models that are near copies do."""
    rng = np.random.default_rng(0)
    matrices = np.tile(np.eye(6), (100, 1, 1))
    matrices[:, :2, :2] = [[1.0, -(1 - 1e-9)], [-(1 - 1e-9), 1.0]]
    size = rng.uniform(0.3, 3, (100, 6))
    matrices *= size[:, :, None] * size[:, None, :]
    scale = balance(matrices, None).scale
    np.testing.assert_allclose((matrices * scale[:, :, None] * scale[:, None, :]).sum(axis=2), 1, atol=1e-5)


def test_what_follows_from_the_curve_is_as_in_jax():
    """Densities and the moments of lines and replicates at one draw, many times."""
    model, count = small_model(), 20_000
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        posterior, data = joint_posterior(model), joint_data(model)
        block = posterior.blocks[0]
        start = posterior.start[list(block.coordinates)]
        one = block.posterior.by_hand(data).values(start[None] + 0.2 * rng.standard_normal(len(start)))
        values = {name: array[0] for name, array in one.items()}
        expected = np.asarray(model.curve.pointwise(values))
        lines = jax.jit(jax.vmap(lambda noise: family_lines(model.curve, values, noise)))
        theirs = lines(rng.standard_normal((count, 2 * len(model.groups))))

        def replicate(noise):
            own = {"model": noise, "floor": jnp.zeros(0), "scale": jnp.zeros(0)}
            return model.curve.draw(values, model.models, own, own_part=True)

        others = np.asarray(jax.jit(jax.vmap(replicate))(rng.standard_normal((count, len(expected)))))
    repeated = {name: np.repeat(array, count, axis=0) for name, array in one.items()}
    found = curve_predictive(CurveGradient(model.curve), repeated, rng)
    np.testing.assert_allclose(found.pointwise[[0, -1]], np.stack([expected] * 2), rtol=1e-8)
    np.testing.assert_allclose(found.floor[0], np.asarray(theirs["floor"])[0], rtol=1e-12)
    pairs = [(np.log(found.amplitude), np.log(theirs["amplitude"])), (found.exponent, theirs["exponent"])]
    for ours, other in [*pairs, (found.replicate, others)]:
        other = np.asarray(other)
        scale = other.std(axis=0)
        np.testing.assert_allclose((ours.mean(axis=0) - other.mean(axis=0)) / scale, 0, atol=6 / np.sqrt(count))
        both = np.corrcoef(ours.T) - np.corrcoef(other.T)
        np.testing.assert_allclose(both, 0, atol=9 / np.sqrt(count))
        np.testing.assert_allclose(ours.std(axis=0) / scale, 1, atol=6 / np.sqrt(count))


def test_draws_from_the_prior_have_its_moments():
    model, count, rng = small_model(), 40_000, np.random.default_rng(0)
    curve = CurveGradient(model.curve)
    values = {name: draw_from(prior, (count, *model.shapes[name]), rng) for name, prior in model.sites.items()}
    # Losses are kept in single precision: exponents that drift wide bring some to their floors but for rounding.
    values["exponent_drift"] = np.minimum(values["exponent_drift"], 0.1)
    drawn = lines_from_prior(curve, values, rng) | {"loss": prior_losses(curve, values, 0)}
    assert drawn["exponent"].mean() == pytest.approx(0.3, abs=0.01)
    assert np.log(drawn["amplitude"]).mean() == pytest.approx(curve.level, abs=0.05)
    share = drawn["floor"][:, 0] / curve.loss.min() / values["floor_share"]
    assert np.log(share).mean() == pytest.approx(0, abs=0.01)
    assert (drawn["loss"] > drawn["floor"][:, curve.family]).all()
    level = np.log(drawn["loss"] - drawn["floor"][:, curve.family]) - curve.mean
    assert level.mean() == pytest.approx(0, abs=0.1)
