"""Trends of a law: its derivatives at its least-squares fit, so that what rows share does not choose its exponent."""

import jax
import numpy as np
import pytest

from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.laws.parameter import Parameter
from bayeslaw.laws.priors import parse_prior
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.law_trends import law_trends
from bayeslaw.likelihood.noise import Noise
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_losses

FLOOR, AMPLITUDE, EXPONENT = 1.3, 0.7, 0.3
PRIORS = {"floor": "LogNormal(0.2, 0.4)", "amplitude": "LogNormal(-0.5, 0.7)", "exponent": "LogNormal(-1.2, 0.5)"}
PARAMETERS = tuple(Parameter(name, "complete", parse_prior(name, prior), None) for name, prior in PRIORS.items())


def no_rest(name, values):
    raise AssertionError(f"no prior is of a share, and the rest beside {name} was asked for")


def course_of(size, models=24, response=None):
    """Return the trend of the power law of rows of that size, which hold a model each, by turns."""

    def location(values, rows):
        return values["floor"] + values["amplitude"] * size[rows] ** -values["exponent"]

    response = FLOOR + AMPLITUDE * size**-EXPONENT if response is None else response
    membership = np.arange(len(size))[:, None] % models == np.arange(models)
    (trend,) = law_trends(PARAMETERS, no_rest, location, response, membership, np.zeros(len(size), int), 1)
    return trend


def test_the_trend_is_spanned_by_the_derivatives_at_the_least_squares_fit():
    size = np.geomspace(0.03, 30, 600)
    trend = course_of(
        size, response=FLOOR + AMPLITUDE * size**-EXPONENT + 0.01 * np.random.default_rng(0).normal(size=600)
    )
    power = size**-EXPONENT
    for direction in (np.ones(600), power, np.log(size) * power):
        direction = direction / np.linalg.norm(direction)
        assert np.linalg.norm(trend.basis.T @ direction) == pytest.approx(1, abs=2e-3)
    # Least squares: nothing of the residuals is left on the trend, but what a weak prior holds.
    assert np.abs(trend.basis.T @ trend.residual).max() < 0.02 * np.linalg.norm(trend.residual)
    assert trend.residual.std() == pytest.approx(0.01, rel=0.1)


def test_a_law_far_from_its_fit_lies_in_the_trend_and_what_is_beyond():
    size = np.geomspace(0.03, 30, 600)
    trend = course_of(size)
    assert trend.basis.shape[1] == trend.beyond.shape[1] == 3
    np.testing.assert_allclose(trend.smooth.T @ trend.smooth, np.eye(6), atol=1e-9)
    for exponent in (0.1, 0.6):
        other = size**-exponent
        left = [other - part @ (part.T @ other) for part in (trend.basis, trend.smooth)]
        assert np.std(left[0]) > 2e-3 * np.ptp(other)
        assert np.std(left[1]) < 1e-4 * np.ptp(other)


@pytest.mark.parametrize(("models", "terms", "beyond"), [(1, 1, 0), (4, 1, 1), (7, 2, 1), (9, 3, 1), (40, 3, 3)])
def test_few_models_allow_few_terms(models, terms, beyond):
    trend = course_of(np.geomspace(0.1, 10, 120), models=models)
    assert (trend.basis.shape[1], trend.beyond.shape[1]) == (terms, beyond)
    assert trend.inflation == pytest.approx(models / (models - terms - beyond) if models > 1 else 1)


def test_every_group_has_a_trend_of_its_own_and_groups_without_rows_have_none():
    size = np.geomspace(0.1, 10, 90)
    group, membership = (
        np.arange(90) % 2 * 2,
        np.eye(90, 12, dtype=bool) | (np.arange(90)[:, None] % 12 == np.arange(12)),
    )

    def location(values, rows):
        return values["floor"] + values["amplitude"] * size[rows] ** -values["exponent"]

    trends = law_trends(PARAMETERS, no_rest, location, FLOOR + AMPLITUDE * size**-EXPONENT, membership, group, 3)
    assert [len(trend.rows) for trend in trends] == [45, 0, 45]
    assert trends[1].smooth.shape == (0, 0)
    assert trends[1].inflation == 1


def misfitting_pools():
    """Return pools whose losses bend as no power law does, a little against the scatter of pools, much against n."""
    pools = make_pools(simulate_losses(families=4, sizes=6, samples=200, clusters=40, seed=5), max_size=3, limit=900)
    log = np.log(pools["parameters"].to_numpy())
    log = (log - log.mean()) / log.std()
    bent = pools["loss"].to_numpy() + 0.02 * (log**3 - 3 * log)
    return pools.assign(loss=("pool", bent))


def information_on(model, direction):
    """Squared distance, in standard deviations of the rows, by which a law moved in a direction is found out."""
    shared = model.dependence
    variance = 0.05**2 + shared.mean_remainder
    covariance = np.diag(variance[shared.group]) + shared.loadings @ shared.loadings.T
    return direction @ np.linalg.solve(covariance, direction)


def test_rows_tell_no_more_of_the_law_than_the_choice_of_models_allows():
    """Were the rows free along quadratics, what a power law has beside them would fix its exponent by sheer numbers."""
    pools = misfitting_pools()
    law = CollaborationLaw()
    model = LawModel(law, Noise(), law.observe(pools))
    with jax.enable_x64(True):
        trends = model.trends()
        trend = trends[model.groups.index("heterogeneous")]
        size = model.covariates["parameters"][trend.rows]
        moved = np.zeros(len(model.response))
        # An exponent other by 0.2, level and amplitude fitted again: what rows would have to tell.
        first, second = (np.column_stack([np.ones(len(size)), size**-p]) for p in (0.25, 0.45))
        target = first @ [1.2, 0.7]
        moved[trend.rows] = second @ np.linalg.lstsq(second, target, rcond=None)[0] - target
        shared = information_on(model, moved)
    alone = (moved**2).sum() / 0.05**2
    assert alone > 20
    assert shared < 0.02 * alone


def test_laws_of_other_parameters_have_trends_too():
    law = PowerLaw(pooling="complete")
    model = LawModel(law, Noise(response="log_loss"), law.observe(misfitting_pools()))
    (trend,) = model.trends()
    assert trend.basis.shape[1] == 3
    assert np.abs(trend.residual).max() < 0.5
