"""Free coordinates of many positions in NumPy, beside those of one in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayeslaw.laws.priors import parse_prior
from bayeslaw.posterior.coordinates import constrain
from bayeslaw.posterior.free_coordinates import ManyPositions, map_into, site_coordinates

PRIORS = (
    *("Normal(0.3, 0.2)", "LogNormal(-1, 1)", "Beta(1, 9)", "Uniform(1, 2)", "HalfCauchy(1)", "LogUniform(0.1, 20)"),
    *("TruncatedNormal(0.3, 0.5, low=0.1)", "TruncatedNormal(0.3, 0.5, high=1)"),
)


@pytest.mark.parametrize("text", PRIORS)
def test_maps_are_those_of_numpyro(text):
    prior, free = parse_prior("site", text), np.linspace(-6, 6, 25)
    value, slope, log_slope, bend = map_into(prior.support)(free)
    with jax.enable_x64(True):
        for index, one in enumerate(free):
            expected, determinant = constrain(prior, jnp.asarray(one))
            assert value[index] == pytest.approx(float(expected), rel=1e-12)
            assert log_slope[index] == pytest.approx(float(determinant), rel=1e-10, abs=1e-12)
            derivative = jax.grad(lambda at: constrain(prior, at)[0])(one)
            assert slope[index] == pytest.approx(float(derivative), rel=1e-9)
            assert bend[index] == pytest.approx(float(jax.grad(lambda at: constrain(prior, at)[1])(one)), abs=1e-9)


def test_a_position_without_density_has_no_slope():
    priors = {"a": parse_prior("a", "Normal(0, 1)"), "b": parse_prior("b", "LogNormal(0, 1)")}

    def likelihood(values, hint):
        height = np.where(values["a"] > 0, -values["a"] + values["b"].sum(axis=1), np.nan)
        return height, {"a": -np.ones(len(height)), "b": np.ones_like(values["b"])}, hint

    density = ManyPositions(site_coordinates(priors, [("a", ()), ("b", (2,))]), likelihood)
    heights, slopes, _ = density.evaluate(np.array([[1.0, 0.0, 0.5], [-1.0, 0.0, 0.0]]))
    expected = -0.5 - 1 + 1 + np.exp(0.5) - 0.5 * 0.25 - 1.5 * np.log(2 * np.pi)
    assert heights[0] == pytest.approx(expected)
    np.testing.assert_allclose(slopes[0], [-2.0, 1.0, np.exp(0.5) - 0.5])
    assert heights[1] == -np.inf
    assert not slopes[1].any()
