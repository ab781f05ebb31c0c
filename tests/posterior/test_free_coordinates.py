"""Free coordinates of many positions in NumPy, beside those of one in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayeslaw.laws.prior_densities import density_of
from bayeslaw.laws.priors import parse_prior
from bayeslaw.posterior.coordinates import constrain
from bayeslaw.posterior.free_coordinates import ManyPositions, free_sites, map_into

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

    density = ManyPositions(free_sites(priors, [("a", ()), ("b", (2,))]), likelihood)
    heights, slopes, _ = density.evaluate(np.array([[1.0, 0.0, 0.5], [-1.0, 0.0, 0.0]]))
    expected = -0.5 - 1 + 1 + np.exp(0.5) - 0.5 * 0.25 - 1.5 * np.log(2 * np.pi)
    assert heights[0] == pytest.approx(expected)
    np.testing.assert_allclose(slopes[0], [-2.0, 1.0, np.exp(0.5) - 0.5])
    assert heights[1] == -np.inf
    assert not slopes[1].any()


def test_sites_whose_priors_are_alike_are_those_alone():
    """Sites of several kinds, some of which are mapped together, each beside a density of its own."""
    texts = {"a": "LogNormal(-1, 1)", "b": "Uniform(1, 2)", "c": "LogNormal(2, 0.5)", "d": "Uniform(0, 5)"}
    texts |= {"e": "TruncatedNormal(0, 1, low=3, high=4)", "f": "TruncatedNormal(0, 1, low=-1, high=4)"}
    priors = {name: parse_prior(name, text) for name, text in texts.items()}
    shapes = [(name, (2,) if name in "ce" else ()) for name in texts]

    def nothing(values, hint):
        count = len(values["a"])
        return np.zeros(count), {name: np.zeros_like(array) for name, array in values.items()}, hint

    positions = np.random.default_rng(0).standard_normal((3, 8))
    together = ManyPositions(free_sites(priors, shapes), nothing)
    height, slope, _ = together.evaluate(positions)
    values, (densities, determinant) = together.values(positions), together.log_prior(positions)
    expected, first = np.zeros(3), 0
    for name, shape in shapes:
        size = shape[0] if shape else 1
        part = positions[:, first : first + size]
        value, by_free, log_slope, bend = map_into(priors[name].support)(part)
        density, tilt = density_of(priors[name])(value)
        np.testing.assert_allclose(values[name].reshape(3, size), value)
        np.testing.assert_allclose(densities[name].reshape(3, size), density)
        np.testing.assert_allclose(slope[:, first : first + size], tilt * by_free + bend)
        expected, first = expected + (density + log_slope).sum(axis=1), first + size
    np.testing.assert_allclose(height, expected)
    np.testing.assert_allclose(
        determinant, expected - sum(each.reshape(3, -1).sum(axis=1) for each in densities.values())
    )
