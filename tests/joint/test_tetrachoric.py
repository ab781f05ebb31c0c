"""Tetrachoric correlations, beside other ways to the same numbers and simulated truths."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayeslaw.joint.tetrachoric import both_above, positive_definite, tetrachoric


@pytest.mark.parametrize(
    ("one", "other", "correlation"),
    [(0.3, -0.5, 0.4), (-1.0, -0.8, 0.95), (1.5, -1.2, -0.7), (0.5, 0.6, 0.999), (-2.0, 1.0, 0.99), (0.0, 0.0, 0.0)],
)
def test_probability_of_both_is_that_of_two_normal_variables(one: float, other: float, correlation: float) -> None:
    covariance: Any = np.array([[1, correlation], [correlation, 1]])
    expected = stats.multivariate_normal.cdf([one, other], cov=covariance)
    found = both_above(np.array([one]), np.array([other]), np.arcsin(np.array([correlation])))
    assert found[0] == pytest.approx(expected, abs=1e-9)


def test_even_splits_have_the_closed_form() -> None:
    """With both thresholds at the median the share of both is 1/4 + arcsin(r) / (2 pi) (Sheppard 1899)."""
    above = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [35, 15, 15, 35], axis=0).astype(float)
    found = tetrachoric(above)
    assert found.correlation[0, 1] == pytest.approx(np.sin(2 * np.pi * (0.35 - 0.25)), abs=1e-9)
    # The delta method at given margins, of which the correlation does not depend to first order at the median.
    share, slope = 0.35, 2 * np.pi * np.cos(2 * np.pi * 0.1)
    cells = np.array([share, 0.15, 0.15, share])
    influence = slope * np.array([0.0, -0.5, -0.5, 0.0])
    variance = (cells * influence**2).sum() - (cells * influence).sum() ** 2
    assert found.variance[0, 1] == pytest.approx(variance / 100, rel=1e-6)


def test_correlations_and_their_variances_are_those_of_simulated_scores() -> None:
    truth = np.array([[1, 0.2, 0.6], [0.2, 1, 0.7], [0.6, 0.7, 1]])
    generator, thresholds = np.random.default_rng(0), np.array([0.3, -0.8, 0.5])
    pairs = np.triu_indices(3, 1)
    found = [
        tetrachoric((generator.multivariate_normal(np.zeros(3), truth, 800) > thresholds).astype(float))
        for _ in range(300)
    ]
    correlations = np.array([each.correlation[pairs] for each in found])
    variances = np.array([each.variance[pairs] for each in found])
    error = correlations.std(axis=0) / np.sqrt(len(found))
    # Maximum likelihood is off by less than a fiftieth of its own error at 800 samples.
    assert (np.abs(correlations.mean(axis=0) - truth[pairs]) < 4 * error + 0.002).all()
    np.testing.assert_allclose(correlations.var(axis=0), variances.mean(axis=0), rtol=0.3)


def test_empty_cells_leave_correlations_inside_and_uncertain() -> None:
    above = np.array([[1, 1]] * 20 + [[0, 1]] * 20 + [[0, 0]] * 20, dtype=float)
    found = tetrachoric(above)
    assert 0.7 < found.correlation[0, 1] < 1
    assert 0.01 < found.variance[0, 1] < 1


def test_matrices_of_pairs_are_made_positive_definite_by_as_little_as_it_takes() -> None:
    fine = np.array([[1, 0.2, 0.6], [0.2, 1, 0.7], [0.6, 0.7, 1]])
    assert positive_definite(fine) is fine
    torn = np.array([[1, 0.9, 0.1], [0.9, 1, 0.9], [0.1, 0.9, 1]])
    assert np.linalg.eigvalsh(torn)[0] < 0
    mended, mean = positive_definite(torn), (0.9 + 0.9 + 0.1) / 3
    assert np.linalg.eigvalsh(mended)[0] == pytest.approx(0.2 * (1 - mean), rel=1e-6)
    pairs = np.triu_indices(3, 1)
    weights = (torn[pairs] - mended[pairs]) / (torn[pairs] - mean)
    np.testing.assert_allclose(weights, weights[0])
    np.testing.assert_allclose(np.diag(mended), 1)
