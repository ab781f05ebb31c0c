"""Loadings on what pools share: smooth on the trend of the rows, or beside it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.likelihood.loadings import leading_directions, model_factor_of, sampling_factor_of, smooth_part, trends_of


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
    return {"parameters": parameters}, membership, membership.sum(axis=1) - 1, shares, response


def test_a_course_is_the_least_squares_fit_of_quadratics_in_each_group():
    covariates, membership, group, shares, _ = drawn()
    smooth = smooth_part(shares, trends_of(covariates, membership, group, 3))
    for index in range(3):
        own = group == index
        for column in range(shares.shape[1]):
            fit = np.polynomial.Polynomial.fit(np.log(covariates["parameters"][own]), shares[own, column], 2)
            np.testing.assert_allclose(smooth[own, column], fit(np.log(covariates["parameters"][own])), atol=1e-9)


@pytest.mark.parametrize(("models", "terms"), [(1, 1), (4, 1), (7, 2), (9, 3), (40, 3)])
def test_few_models_allow_few_terms(models, terms):
    trend = trends_of({"parameters": np.geomspace(1, 9, models)}, np.eye(models, dtype=bool), np.zeros(models, int), 1)[
        0
    ]
    assert trend.basis.shape == (models, terms)
    assert trend.inflation == pytest.approx(models / (models - terms) if models > terms else 1)


def test_what_rows_share_leaves_the_course_where_its_rows_are():
    """Generalised least squares with all that rows share finds the trend of plain least squares, less surely."""
    covariates, membership, group, shares, response = drawn()
    trends = trends_of(covariates, membership, group, 3)
    sampling = np.random.default_rng(1).standard_normal((len(response), 2)) + response[:, None]
    factors = [sampling_factor_of(sampling, trends), model_factor_of(response, membership, trends)]
    contrasts = shares - smooth_part(shares, trends)
    design = np.zeros((len(response), 9))
    for index, trend in enumerate(trends):
        design[trend.rows, 3 * index : 3 * index + 3] = trend.basis
    variance = np.array([0.5, 0.1, 0.02])[group]
    shared = sum(factor @ factor.T for factor in factors)
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
    trends = trends_of({"parameters": np.geomspace(1, 10, 200)}, every, np.zeros(200, int), 1)
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
    zero, trend = np.zeros(len(pairs), int), {"parameters": np.ones(len(pairs))}
    trends = trends_of(trend, membership, zero, 1)
    for _ in range(600):
        quality = rng.gamma(2, 1, 12)
        # A minimum: better members win more, so that effects and shares are not independent.
        response = quality[pairs].min(axis=1)
        means.append(response.mean())
        alone.append(np.var(response) / len(pairs))
        declared.append((model_factor_of(response, membership, trends)[0] ** 2).sum())
    assert np.mean(declared) == pytest.approx(np.var(means), rel=0.2)
    # As if rows were independent, the variance would be taken for a small part of that.
    assert np.mean(alone) < 0.3 * np.var(means)


def test_single_models_scatter_as_much_on_the_course_as_beside_it():
    rng, size, declared = np.random.default_rng(0), np.geomspace(1, 100, 30), []
    trends = trends_of({"parameters": size}, np.eye(30, dtype=bool), np.zeros(30, int), 1)
    for _ in range(200):
        factor = model_factor_of(0.3 * rng.standard_normal(30), np.eye(30, dtype=bool), trends)
        declared.append((factor**2).sum())
    # Three terms of the trend, each with the variance of a model.
    assert np.mean(declared) == pytest.approx(3 * 0.3**2, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), unit=st.floats(1e-3, 1e9))
def test_neither_order_nor_units_change_what_is_shared(seed, scale, unit):
    covariates, membership, group, shares, response = drawn(models=7, seed=seed)
    order = np.random.default_rng(seed).permutation(len(response))

    def shared(rows, by_loss, by_size):
        trends = trends_of({"parameters": by_size * covariates["parameters"][rows]}, membership[rows], group[rows], 3)
        models = model_factor_of(by_loss * response[rows], membership[rows], trends)
        return models @ models.T, shares[rows] - smooth_part(shares[rows], trends)

    models, contrasts = shared(np.arange(len(order)), 1.0, 1.0)
    other_models, other_contrasts = shared(order, scale, unit)
    np.testing.assert_allclose(
        other_models, scale**2 * models[np.ix_(order, order)], atol=1e-7 * scale**2 * np.abs(models).max()
    )
    np.testing.assert_allclose(other_contrasts, contrasts[order], atol=1e-8)


def test_leading_directions_hold_the_share_asked_for():
    loadings = np.random.default_rng(0).standard_normal((40, 6)) * 10.0 ** -np.arange(6)
    for share in (0.9, 0.999, 1 - 1e-9):
        held = (leading_directions(loadings, share) ** 2).sum() / (loadings**2).sum()
        assert share <= held <= 1 + 1e-12
    assert leading_directions(loadings, 0.9).shape == (40, 1)
    assert leading_directions(np.zeros((5, 2))).shape == (5, 0)
    assert leading_directions(np.zeros((5, 0))).shape == (5, 0)


def test_covariates_that_are_not_positive_are_taken_as_they_are_and_constants_add_nothing():
    _, membership, _, _, _ = drawn()
    number = np.linspace(-1, 1, len(membership))
    zero = np.zeros(len(membership), int)
    one = trends_of({"diversity": number}, membership, zero, 1)[0]
    two = trends_of({"diversity": number, "parameters": np.full(len(number), 7e9)}, membership, zero, 1)[0]
    np.testing.assert_allclose(one.basis @ one.basis.T, two.basis @ two.basis.T, atol=1e-9)
    wanted = np.polynomial.Polynomial.fit(number, number**3, 2)(number)
    np.testing.assert_allclose(smooth_part((number**3)[:, None], [one])[:, 0], wanted, atol=1e-9)
