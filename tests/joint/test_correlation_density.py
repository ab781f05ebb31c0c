"""The density of correlations: against integration over the scales, simulation, and what it must not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from bayeslaw.joint.correlation_density import correlation_log_density

COMPILED = jax.jit(correlation_log_density)
STRUCTURES = {
    "pair": np.array([[1.0, 0.8], [0.8, 1.0]]),
    "three": np.array([[1.0, 0.9, 0.3], [0.9, 1.0, 0.5], [0.3, 0.5, 1.0]]),
}


def density(correlation, structure, freedom):
    with jax.enable_x64(True):
        return float(COMPILED(jnp.asarray(correlation), jnp.asarray(structure), jnp.asarray(freedom)))


def normalised(covariance):
    width = np.sqrt(np.diag(covariance))
    return covariance / np.outer(width, width)


def drawn(structure, freedom, count, seed=0):
    wishart = stats.wishart(freedom, structure / freedom)
    return [normalised(matrix) for matrix in wishart.rvs(count, random_state=np.random.default_rng(seed))]


def integrated(correlation, structure, freedom):
    """Log of the Wishart density of every covariance matrix with these correlations, summed over scales."""
    wishart = stats.wishart(freedom, structure / freedom)
    count = len(correlation)

    def integrand(*logs):
        scale = np.exp(logs)
        # Covariances are products of a correlation and two scales; variances are squares.
        jacobian = scale.prod() ** (count - 1) * (2 * scale**2).prod()
        return wishart.pdf(correlation * np.outer(scale, scale)) * jacobian

    width = 5 / np.sqrt(freedom)
    grid = np.linspace(-width, width, 31)
    values = np.vectorize(integrand)(*np.meshgrid(*[grid] * count, indexing="ij"))
    for _ in range(count):
        values = integrate.trapezoid(values, x=grid, axis=0)
    return np.log(values)


@pytest.mark.parametrize("freedom", [12.0, pytest.param(50.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["pair", pytest.param("three", marks=pytest.mark.slow)])
def test_the_scales_are_integrated_out(name, freedom):
    structure = STRUCTURES[name]
    for correlation in [structure, *drawn(structure, freedom, 2)]:
        found, expected = density(correlation, structure, freedom), integrated(correlation, structure, freedom)
        assert found == pytest.approx(expected, abs=0.6 / freedom)


def test_uncorrelated_models_have_the_known_density():
    correlation, freedom = STRUCTURES["three"], 9.0
    expected = 3 * special.gammaln(freedom / 2) - special.multigammaln(freedom / 2, 3)
    expected += (freedom - 4) / 2 * np.linalg.slogdet(correlation)[1]
    assert density(correlation, np.eye(3), freedom) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.2, 5.0), min_size=3, max_size=3), st.floats(4.0, 200.0), st.permutations(range(3)))
def test_neither_scales_of_the_structure_nor_order_matter(scale, freedom, order):
    correlation, structure = drawn(STRUCTURES["three"], 10.0, 2)[0], STRUCTURES["three"]
    expected = density(correlation, structure, freedom)
    assert density(correlation, structure * np.outer(scale, scale), freedom) == pytest.approx(expected, rel=1e-7)
    turned = np.ix_(order, order)
    assert density(correlation[turned], structure[turned], freedom) == pytest.approx(expected, rel=1e-7)


def test_slopes_are_those_of_finite_differences():
    correlation, start = drawn(STRUCTURES["three"], 10.0, 2)[1], np.array([0.5, 0.2, 0.4, np.log(20.0)])

    def at(position):
        pairs = jnp.zeros((3, 3)).at[np.triu_indices(3, 1)].set(position[:3])
        return correlation_log_density(jnp.asarray(correlation), jnp.eye(3) + pairs + pairs.T, jnp.exp(position[3]))

    with jax.enable_x64(True):
        slope, value = np.asarray(jax.jit(jax.grad(at))(jnp.asarray(start))), jax.jit(at)
        for index in range(4):
            step = 1e-5 * np.eye(4)[index]
            assert slope[index] == pytest.approx(float(value(start + step) - value(start - step)) / 2e-5, rel=1e-5)


def test_the_freedom_is_recovered_where_a_structure_is_fitted():
    """What the Wishart density at the correlations cannot: it takes their scales as seen."""
    structure, freedom = STRUCTURES["three"], 30.0
    grid = jnp.geomspace(8, 120, 31)
    with jax.enable_x64(True):
        over = jax.jit(lambda matrix: jax.lax.map(lambda each: correlation_log_density(matrix, structure, each), grid))
        total = sum(np.asarray(over(matrix)) for matrix in drawn(structure, freedom, 400))
    assert grid[total.argmax()] == pytest.approx(freedom, rel=0.12)


def test_a_structure_far_from_the_correlations_has_a_finite_density_and_slope():
    correlation = np.full((3, 3), 0.999) + 0.001 * np.eye(3)
    structure = np.array([[1.0, -0.49, -0.49], [-0.49, 1.0, -0.49], [-0.49, -0.49, 1.0]])
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(correlation_log_density, argnums=(1, 2)))
        value, slope = both(correlation, structure, 500.0)
    assert np.isfinite(float(value))
    assert all(np.isfinite(np.asarray(part)).all() for part in slope)
