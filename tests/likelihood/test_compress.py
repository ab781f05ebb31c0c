"""A few nodes stand for thousands of rows, without loss."""

import jax
import numpy as np
import pytest
from clouds import cloud, made_model
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.likelihood.compress import NODES, compress_rows, compression_error
from bayeslaw.likelihood.law_model import COMPRESSION_ERROR
from bayeslaw.likelihood.noise import Noise


def sums(points, response, weight, group, groups, curve):
    return np.array([(weight * (response - curve(points)) ** 2)[group == g].sum() for g in range(groups)])


def compare(rows, groups, curve):
    abscissa, response, group = rows
    nodes = compress_rows(abscissa, response, group, groups)
    ours = sums(nodes.abscissa, nodes.response, nodes.weight, nodes.group, groups, curve) + nodes.remainder
    return ours, sums(abscissa, response, 1.0, group, groups, curve), nodes


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(1, 3),
    floor=st.floats(0, 3),
    amplitude=st.floats(0.01, 3),
    exponent=st.floats(-0.2, 1.5),
)
def test_sums_of_squares_are_those_of_the_rows(seed, groups, floor, amplitude, exponent):
    rows = cloud(1500, groups=groups, seed=seed)
    ours, theirs, nodes = compare(rows, groups, lambda x: floor + amplitude * np.exp(-exponent * x))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert len(nodes.abscissa) == groups * NODES
    np.testing.assert_array_equal(nodes.count, np.bincount(rows[2]))
    weights = np.bincount(nodes.group, nodes.weight)
    np.testing.assert_allclose(weights, nodes.count, rtol=1e-12)
    assert (nodes.weight >= 0).all()
    assert (nodes.remainder >= 0).all()


@given(seed=st.integers(0, 1000), degree=st.integers(0, NODES - 1))
@settings(deadline=None, max_examples=40)
def test_polynomials_below_the_number_of_nodes_are_exact(seed, degree):
    rows = cloud(400, seed=seed)
    curve = np.polynomial.chebyshev.Chebyshev.basis(degree, domain=[-4, 2])
    ours, theirs, _ = compare(rows, 1, curve)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("distinct", [1, 2, 7, NODES])
def test_few_distinct_budgets_are_exact_for_any_curve(distinct):
    rng = np.random.default_rng(5)
    rows = cloud(600, groups=2, distinct=distinct)
    table = dict(zip(np.unique(rows[0]), rng.standard_normal(distinct), strict=True))
    ours, theirs, nodes = compare(rows, 2, np.vectorize(table.get))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert len(nodes.abscissa) == 2 * distinct


@settings(deadline=None, max_examples=60)
@given(
    centres=st.lists(st.integers(-30, 30), min_size=1, max_size=6, unique=True),
    jitter=st.sampled_from([1e-16, 1e-14, 1e-10, 1e-6, 1e-3]),
    seed=st.integers(0, 1000),
)
def test_clustered_budgets_are_exact_or_owned_up_to(centres, jitter, seed):
    """Budgets that differ by rounding alone make the process lose its footing; that must not go unnoticed."""
    rng = np.random.default_rng(seed)
    abscissa = np.array(centres)[rng.integers(len(centres), size=300)] / 10 * (1 + jitter * rng.standard_normal(300))
    response = 2 + 0.3 * rng.standard_normal(300)
    group = np.zeros(300, dtype=int)
    nodes = compress_rows(abscissa, response, group, 1)
    assert all(np.isfinite(array).all() for array in (nodes.abscissa, nodes.response, nodes.weight, nodes.remainder))
    error = compression_error(nodes, abscissa, response, group)
    assume(error < COMPRESSION_ERROR)
    ours, theirs, _ = compare((abscissa, response, group), 1, lambda x: 1.1 + np.exp(-0.35 * x))
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)


def test_the_error_is_small_for_nodes_and_large_for_a_cheat():
    abscissa, response, group = cloud(1000, groups=2)
    nodes = compress_rows(abscissa, response, group, 2)
    assert compression_error(nodes, abscissa, response, group) < 1e-10
    few = compress_rows(abscissa[:50], response[:50], group[:50], 2)
    assert compression_error(few, abscissa, response, group) > 1e-3


def test_steep_curves_over_a_wide_range_are_owned_up_to():
    abscissa, response, group = cloud(1000, span=40.0)
    nodes = compress_rows(abscissa, response, group, 1)
    assert compression_error(nodes, abscissa, response, group) > COMPRESSION_ERROR


@pytest.mark.parametrize("response", ["loss", "log_loss"])
@pytest.mark.parametrize("law", [CollaborationLaw(), PowerLaw(pooling="complete")], ids=["by-regime", "complete"])
def test_a_compressed_likelihood_is_the_whole_one(law, response):
    model = made_model(law, Noise(response=response), group=law.group, groups=3)
    assert model.compressed is not None
    rng, shape = np.random.default_rng(0), len(model.groups) or ()
    with jax.enable_x64(True):
        fast = jax.jit(model.fast_log_likelihood())
        for _ in range(20):
            values = {
                "floor": rng.uniform(0.2, 2, shape),
                "amplitude": rng.uniform(0.2, 2, shape),
                "exponent": rng.uniform(0.05, 1.5, shape),
                "noise_scale": rng.uniform(0.05, 0.2, shape if model.noise_by_group else ()),
            }
            assert float(fast(values)) == pytest.approx(float(model.log_likelihood(values).sum()), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    "noise",
    [Noise(distribution="laplace"), Noise(distribution="student_t")],
    ids=["laplace", "student_t"],
)
def test_rows_are_kept_where_nodes_would_not_stand_for_them(noise):
    assert made_model(CollaborationLaw(), noise, group="regime", groups=3).compressed is None
    assert made_model(CollaborationLaw(), Noise(), group="regime", groups=3, span=40.0).compressed is None
    assert made_model(CollaborationLaw(), Noise(), group="regime", groups=3, count=100).compressed is None
