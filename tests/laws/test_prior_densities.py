"""Densities and draws of priors in NumPy, beside the distributions of NumPyro and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayeslaw.laws.prior_densities import DENSITIES, SCIPY, density_of, draw_from
from bayeslaw.laws.priors import ARGUMENTS, parse_prior

PRIORS = {
    "Beta": ["Beta(1, 9)", "Beta(2.5, 0.7)"],
    "Cauchy": ["Cauchy(0.3, 2)"],
    "Exponential": ["Exponential(3)"],
    "Gamma": ["Gamma(2, 4)", "Gamma(0.5, 1)"],
    "HalfCauchy": ["HalfCauchy(2)"],
    "HalfNormal": ["HalfNormal(0.5)"],
    "InverseGamma": ["InverseGamma(2.5, 2.5)"],
    "Laplace": ["Laplace(-1, 2)"],
    "LogNormal": ["LogNormal(-1.2, 0.5)"],
    "LogUniform": ["LogUniform(0.1, 20)"],
    "Normal": ["Normal(0.3, 0.2)"],
    "StudentT": ["StudentT(3, 0.5, 2)"],
    "TruncatedNormal": [
        *("TruncatedNormal(0.3, 0.5, low=0)", "TruncatedNormal(0.3, 0.5, high=1)"),
        *("TruncatedNormal(0, 1, low=3, high=5)", "TruncatedNormal(0.3, 0.5, low=0, high=0.4)"),
    ],
    "Uniform": ["Uniform(1, 2)"],
    "Weibull": ["Weibull(2, 1.5)", "Weibull(1, 0.8)"],
}
EVERY = [prior for priors in PRIORS.values() for prior in priors]


def test_every_distribution_has_a_density_and_draws():
    assert set(PRIORS) == set(ARGUMENTS) == set(DENSITIES) == set(SCIPY)


@pytest.mark.parametrize("text", EVERY)
def test_density_and_slope_are_those_of_numpyro(text):
    prior = parse_prior("site", text)
    with jax.enable_x64(True):
        distribution = prior.distribution()
        value = np.asarray(distribution.sample(jax.random.PRNGKey(0), (40,)), dtype=float)
        expected = np.asarray(distribution.log_prob(value))
        slopes = np.asarray(jax.vmap(jax.grad(lambda one: distribution.log_prob(one)))(jnp.asarray(value)))
    found, slope = density_of(prior)(value)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(slope, slopes, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("text", EVERY)
def test_draws_are_of_the_prior(text):
    prior = parse_prior("site", text)
    drawn = draw_from(prior, (2000, 2), np.random.default_rng(0)).ravel()
    grid = np.quantile(drawn, np.linspace(0.001, 0.999, 400))
    # The distribution function by quadrature of the density, relative to its share of the grid.
    height = np.exp(density_of(prior)(grid)[0])
    mass = np.concatenate([[0], np.cumsum(np.diff(grid) * (height[1:] + height[:-1]) / 2)])
    inside = drawn[(drawn >= grid[0]) & (drawn <= grid[-1])]
    place = np.interp(inside, grid, mass / mass[-1])
    assert stats.kstest(place, "uniform").pvalue > 1e-3
    assert mass[-1] == pytest.approx(0.998, abs=0.05)
