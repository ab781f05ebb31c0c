"""The joint law is also a NumPyro model, whose density is the one that is sampled (other laws: test_coordinates)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from joint_cases import small_losses, small_model
from numpyro.infer import Predictive
from numpyro.infer.util import log_density
from posteriors import joint_filled

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.joint.numpyro_form import WishartCorrelation, numpyro_form


def test_the_joint_laws_density_is_the_one_that_is_sampled():
    with jax.enable_x64(True):
        model = small_model()
        target, form = joint_filled(model), numpyro_form(model)

        def both(position):
            values, determinant = target.values(position)
            return log_density(form, (), {}, values)[0] + determinant, -target.potential(position)

        scatter = np.random.default_rng(0).normal(0, 0.5, (4, len(target.start)))
        density, expected = jax.jit(jax.vmap(both))(jnp.asarray(target.start + scatter))
    np.testing.assert_allclose(density, expected, rtol=1e-10)


def test_sites_and_plates_are_named_and_what_is_observed_can_be_drawn():
    with jax.enable_x64(True):
        model = small_model()
        form, (families, models) = numpyro_form(model), (len(model.groups), len(model.table.mean))
        with numpyro.handlers.seed(rng_seed=0):
            trace = numpyro.handlers.trace(form).get_trace()
        drawn = jax.device_get(Predictive(form, num_samples=20)(jax.random.PRNGKey(1), observed=False))
    sites = [name for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]]
    assert sites == list(model.sites)
    assert {name for name, site in trace.items() if site["type"] == "plate"} == {"family", "lm"}
    np.testing.assert_array_equal(trace["loss"]["value"], model.table.mean)
    assert drawn["floor_offset"].shape == (20, families)
    assert drawn["loss"].shape == drawn["log_deviation"].shape == (20, models)
    assert (drawn["loss"] > 0).all()
    np.testing.assert_allclose(np.diagonal(drawn["correlation"], axis1=1, axis2=2), 1.0)


@pytest.mark.parametrize("law", ["power", "joint"])
def test_every_law_is_had_by_its_name_and_its_table(law):
    with jax.enable_x64(True):
        model = bl.numpyro_model(law, small_losses())
        with numpyro.handlers.seed(rng_seed=0):
            trace = numpyro.handlers.trace(model).get_trace()
    observed = [name for name, site in trace.items() if site["type"] == "sample" and site["is_observed"]]
    assert observed[0] == "loss"
    assert trace["loss"]["value"].shape == (8,)
    with pytest.raises(InputError, match="joint law was given noise"):
        bl.numpyro_model("joint", small_losses(), noise=bl.Noise())


@pytest.mark.slow
def test_correlations_drawn_scatter_around_the_structure():
    structure = jnp.array([[1.0, 0.6, 0.2], [0.6, 1.0, -0.3], [0.2, -0.3, 1.0]])
    few, many = (WishartCorrelation(structure, freedom).sample(jax.random.PRNGKey(0), (4000,)) for freedom in (8, 800))
    np.testing.assert_allclose(many.mean(axis=0), structure, atol=0.01)
    # The variance of a correlation is near (1 - r^2)^2 / freedom.
    np.testing.assert_allclose(many.std(axis=0)[0, 1], (1 - 0.36) / np.sqrt(800), rtol=0.1)
    assert (few.std(axis=0)[0, 1] > 5 * many.std(axis=0)[0, 1]).all()
