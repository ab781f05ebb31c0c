"""Intervals of differences over clusters, beside closed forms and simulated truths."""

import numpy as np
import pytest
from pool_tables import loss_table
from scipy import stats

import bayeslaw as bl
from bayeslaw.losses.statistics import clustered_standard_error
from bayeslaw.pools.attained_gains import gain_differences
from bayeslaw.pools.cluster_intervals import ClusterDifferences
from bayeslaw.pools.folds import assign_folds


def plain(sums: np.ndarray, weights: np.ndarray | None = None) -> ClusterDifferences:
    """Differences in which nothing is chosen."""
    weights = np.ones(len(sums)) if weights is None else weights
    return ClusterDifferences(sums, weights, lambda kept: kept @ sums / (kept @ weights)[:, None])


def test_few_clusters_have_the_interval_of_student() -> None:
    values = np.array([0.1, 0.4, 0.35, 0.9])
    (found,) = plain(values[:, None]).estimates(0.9, 100)
    expected = stats.t.interval(0.9, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.lower, found.upper) == pytest.approx(expected)
    assert found.value == pytest.approx(values.mean())


def test_the_error_is_that_of_a_ratio_over_clusters() -> None:
    generator = np.random.default_rng(0)
    clusters = np.sort(generator.integers(0, 25, 400))
    values, weights = generator.gamma(2, 1, 400), generator.integers(1, 9, 400).astype(float)
    sums, weight = (np.bincount(clusters, column)[:, None] for column in (values, weights))
    found = plain(sums, weight[:, 0])
    expected = clustered_standard_error(values, weights, clusters)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(expected)
    (estimate,) = found.estimates(0.9, 4000)
    assert estimate.upper - estimate.lower == pytest.approx(2 * stats.t.ppf(0.95, 24) * expected, rel=0.12)


def test_normal_clusters_have_the_quantiles_of_student_and_skewed_ones_have_not() -> None:
    generator = np.random.default_rng(1)
    values = np.sort(stats.norm.ppf((np.arange(12) + 0.5) / 12))
    low, high = plain(values[:, None]).quantiles(np.eye(1), 0.9, 20_000)[0]
    assert -low == pytest.approx(high, rel=0.05)
    assert high == pytest.approx(stats.t.ppf(0.95, 11), rel=0.1)
    skewed = generator.gamma(0.5, 1, 12)
    (estimate,) = plain(skewed[:, None]).estimates(0.9, 20_000)
    assert estimate.upper - estimate.value > 1.3 * (estimate.value - estimate.lower)


def test_ratios_have_the_interval_of_fieller() -> None:
    generator = np.random.default_rng(2)
    sums = generator.multivariate_normal([1.0, 2.0], [[0.3, 0.1], [0.1, 0.4]], 4)
    found, quantile = plain(sums), stats.t.ppf(0.95, 3)
    ratio = found.ratio(0.9, 100)
    for end in (ratio.lower, ratio.upper):
        contrast = sums[:, 0] - end * sums[:, 1]
        assert abs(contrast.mean() / stats.sem(contrast)) == pytest.approx(quantile)
    assert ratio.lower < ratio.value < ratio.upper
    weak = plain(sums - [0.0, sums[:, 1].mean() - 0.05]).ratio(0.9, 100)
    assert (weak.lower, weak.upper) == (-np.inf, np.inf)


def differences(nll: np.ndarray, clusters: np.ndarray) -> ClusterDifferences:
    """Differences of the cross-fitted best member to the members' mean and to their minimum."""
    folds = assign_folds(clusters, 0)
    sums = np.stack([np.bincount(folds, column) for column in nll.T], axis=1)
    best = nll[np.arange(len(nll)), (sums.sum(axis=0) - sums).argmin(axis=1)[folds]]
    columns = np.column_stack([nll, nll.mean(axis=1), nll.min(axis=1), best])
    return gain_differences(columns, np.ones(len(nll)), clusters, folds, None, 0)


@pytest.mark.parametrize("count", [6, 40])
def test_choosing_adds_to_the_error_where_members_tie_and_nothing_where_one_is_best(count: int) -> None:
    generator, clusters = np.random.default_rng(3), np.repeat(np.arange(count), 5)
    nll = 3 + generator.normal(0, 0.5, (count, 1, 3)).repeat(5, axis=1).reshape(-1, 3)
    nll = nll + generator.normal(0, 0.2, nll.shape)
    apart = differences(nll + np.array([0.0, 2.0, 2.0]), clusters)
    fixed = plain(apart.sums, apart.weights)
    np.testing.assert_allclose(apart.covariance, fixed.covariance, rtol=1e-9)
    tied = differences(nll - nll.mean(axis=0), clusters)
    # Twice the variance in the part in which members differ; see Efron and Stein for why not less.
    assert tied.covariance[0, 0] > 1.5 * plain(tied.sums, tied.weights).covariance[0, 0]


def test_a_share_of_next_to_nothing_is_not_given_and_the_difference_is() -> None:
    generator = np.random.default_rng(4)
    good = 3 + generator.gamma(2, 0.2, 400)
    other = good + np.where(generator.random(400) < 0.01, -0.05, 0.5)
    found = bl.attainability(loss_table(np.stack([good, other], axis=1)), ["m0", "m1"], rules="mixture")["mixture"]
    assert np.isnan([found.value, found.lower, found.upper]).all()
    assert 0 < found.difference.lower < found.difference.value < found.difference.upper
    assert found.gain.value == pytest.approx(found.best - found.oracle)
    assert found.difference.value == pytest.approx(found.rule_loss - found.best)
    assert "no share" in str(found)
    large = other - np.where(generator.random(400) < 0.6, 0.0, 2.0)
    shown = bl.attainability(loss_table(np.stack([good, large + 0.3], axis=1)), ["m0", "m1"], rules="oracle")["oracle"]
    assert shown.reason == ""
    assert "share 1" in str(shown)
    alone = bl.attainability(loss_table(good[:, None]), ["m0"], rules="mixture")["mixture"]
    assert str(alone) == f"no attainability: {alone.reason}"
    assert alone.reason


def test_a_gain_of_little_of_the_loss_is_too_small_however_sure() -> None:
    generator = np.random.default_rng(5)
    good = 30 + generator.gamma(2, 0.1, 4000)
    other = good + np.where(generator.random(4000) < 0.5, -0.2, 0.3)
    found = bl.attainability(loss_table(np.stack([good, other], axis=1)), ["m0", "m1"], rules="mixture")["mixture"]
    assert found.gain.lower > 0
    assert "under 1% of that member's loss" in found.reason
