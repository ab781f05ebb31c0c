"""Loadings on what pools share: smooth on the trend of the rows, or beside it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.likelihood.loadings import (
    Trend,
    leading_directions,
    model_factors_of,
    sampling_factor_of,
    smooth_part,
)


def subsets(models: int, largest: int) -> np.ndarray:
    """Return the membership of all pools of up to a size, [row, member]."""
    pools = [each for size in range(1, largest + 1) for each in combinations(range(models), size)]
    membership = np.zeros((len(pools), models), dtype=bool)
    for row, pool in enumerate(pools):
        membership[row, list(pool)] = True
    return membership


def drawn(models=9, largest=3, seed=0):
    """Return budgets, membership, groups by size, shares and responses of pools."""
    rng = np.random.default_rng(seed)
    membership = subsets(models, largest)
    parameters = membership @ np.geomspace(1e8, 1e11, models)
    shares = membership * rng.dirichlet(np.ones(models), len(membership))
    shares /= shares.sum(axis=1, keepdims=True)
    response = 1 + (parameters / 1e9) ** -0.3 + shares @ rng.standard_normal(models)
    return parameters, membership, membership.sum(axis=1) - 1, shares, response


def trends_of(parameters, membership, group, groups, response, terms=3, beyond=0) -> list[Trend]:
    """Return trends of a law that is linear: polynomials in the log of the budget, of that many terms and beyond."""
    trends = []
    for rows in (np.flatnonzero(group == index) for index in range(groups)):
        log = np.log(parameters[rows])
        every = np.linalg.qr(np.vander((log - log.mean()) / max(np.ptp(log), 1e-9), terms + beyond, increasing=True))[0]
        basis = every[:, :terms]
        residual = response[rows] - basis @ (basis.T @ response[rows])
        models = int(membership[rows].any(axis=0).sum())
        trends.append(Trend(rows, basis, every[:, terms:], residual, models))
    return trends


def test_the_smooth_part_is_the_least_squares_fit_in_each_group():
    parameters, membership, group, shares, response = drawn()
    trends = trends_of(parameters, membership, group, 3, response, terms=2, beyond=1)
    for part, degree in (("basis", 1), ("smooth", 2)):
        smooth = smooth_part(shares, trends, part)
        for index in range(3):
            own = group == index
            for column in range(shares.shape[1]):
                fit = np.polynomial.Polynomial.fit(np.log(parameters[own]), shares[own, column], degree)
                np.testing.assert_allclose(smooth[own, column], fit(np.log(parameters[own])), atol=1e-9)


@pytest.mark.parametrize("beyond", [0, 2])
def test_what_rows_share_leaves_the_course_where_its_rows_are(beyond):
    """Generalised least squares with all that rows share finds the trend of plain least squares, less surely."""
    parameters, membership, group, shares, response = drawn()
    trends = trends_of(parameters, membership, group, 3, response, beyond=beyond)
    sampling = np.random.default_rng(1).standard_normal((len(response), 2)) + response[:, None]
    models, course = model_factors_of(membership, trends)
    assert (course.shape[1] > 0) == (beyond > 0)
    factors = [sampling_factor_of(sampling, trends), models, course]
    contrasts = shares - smooth_part(shares, trends)
    design = np.zeros((len(response), 9))
    for index, trend in enumerate(trends):
        design[trend.rows, 3 * index : 3 * index + 3] = trend.basis
    variance = np.array([0.5, 0.1, 0.02])[group]
    shared = sum(factor @ factor.T for factor in factors)
    np.testing.assert_allclose(design.T @ course, 0, atol=1e-9)
    covariance = np.diag(variance) + shared + 4 * contrasts @ contrasts.T
    solved = np.linalg.solve(covariance, design)
    uncertainty = np.linalg.inv(design.T @ solved)
    np.testing.assert_allclose(uncertainty @ solved.T @ response, design.T @ response, rtol=1e-8)
    wanted = np.diag(np.array([0.5, 0.1, 0.02])[np.repeat(range(3), 3)]) + design.T @ shared @ design
    np.testing.assert_allclose(uncertainty, wanted, rtol=1e-7, atol=1e-10)


def test_one_draw_of_texts_that_follows_the_losses_does_not_move_the_law():
    """Peelle's puzzle: taken as they are, errors in proportion to the losses pull the law far below all rows."""
    rng = np.random.default_rng(0)
    loss, every = 2 + 0.3 * rng.standard_normal(200), np.ones((200, 9), dtype=bool)
    trends = trends_of(np.geomspace(1, 10, 200), every, np.zeros(200, int), 1, loss)
    design = trends[0].basis

    def level(factor):
        solved = np.linalg.solve(0.05**2 * np.eye(200) + factor @ factor.T, design)
        return (design @ np.linalg.solve(design.T @ solved, solved.T @ loss)).mean()

    assert level(0.5 * loss[:, None]) < 0.5
    assert level(sampling_factor_of(0.5 * loss[:, None], trends)) == pytest.approx(loss.mean())


def test_the_choice_of_models_varies_the_mean_as_much_as_declared():
    """Draw other models of the same kind: pools' means then vary with the variance that one table declares."""
    membership = subsets(12, 2)[12:]
    pairs = np.array([np.flatnonzero(row) for row in membership])
    rng, means, declared, alone = np.random.default_rng(3), [], [], []
    zero, same = np.zeros(len(pairs), int), np.ones(len(pairs))
    for _ in range(600):
        quality = rng.gamma(2, 1, 12)
        # A minimum: better members win more, so that effects and shares are not independent.
        response = quality[pairs].min(axis=1)
        means.append(response.mean())
        alone.append(np.var(response) / len(pairs))
        trends = trends_of(same, membership, zero, 1, response, terms=1)
        declared.append((model_factors_of(membership, trends)[0][0] ** 2).sum())
    assert np.mean(declared) == pytest.approx(np.var(means), rel=0.2)
    # As if rows were independent, the variance would be taken for a small part of that.
    assert np.mean(alone) < 0.3 * np.var(means)


def test_single_models_scatter_as_much_on_the_course_as_beside_it():
    rng, size, declared, every = np.random.default_rng(0), np.geomspace(1, 100, 30), [], np.eye(30, dtype=bool)
    for _ in range(200):
        trends = trends_of(size, every, np.zeros(30, int), 1, 0.3 * rng.standard_normal(30))
        declared.append((model_factors_of(every, trends)[0] ** 2).sum())
    # Three terms of the trend, each with the variance of a model.
    assert np.mean(declared) == pytest.approx(3 * 0.3**2, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), unit=st.floats(1e-3, 1e9))
def test_neither_order_nor_units_change_what_is_shared(seed, scale, unit):
    parameters, membership, group, shares, response = drawn(models=7, seed=seed)
    order = np.random.default_rng(seed).permutation(len(response))

    def shared(rows, by_loss, by_size):
        given = by_size * parameters[rows], membership[rows], group[rows], 3, by_loss * response[rows]
        trends = trends_of(*given, terms=2, beyond=1)
        models = np.concatenate(model_factors_of(membership[rows], trends), axis=1)
        return models @ models.T, shares[rows] - smooth_part(shares[rows], trends)

    models, contrasts = shared(np.arange(len(order)), 1.0, 1.0)
    other_models, other_contrasts = shared(order, scale, unit)
    np.testing.assert_allclose(
        other_models, scale**2 * models[np.ix_(order, order)], atol=1e-7 * scale**2 * np.abs(models).max()
    )
    np.testing.assert_allclose(other_contrasts, contrasts[order], atol=1e-7)


def test_leading_directions_hold_the_share_asked_for():
    loadings = np.random.default_rng(0).standard_normal((40, 6)) * 10.0 ** -np.arange(6)
    for share in (0.9, 0.999, 1 - 1e-9):
        held = (leading_directions(loadings, share) ** 2).sum() / (loadings**2).sum()
        assert share <= held <= 1 + 1e-12
    assert leading_directions(loadings, 0.9).shape == (40, 1)
    assert leading_directions(np.zeros((5, 2))).shape == (5, 0)
    assert leading_directions(np.zeros((5, 0))).shape == (5, 0)
