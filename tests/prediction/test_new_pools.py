"""New pools share the sampling error of the samples fitted, or have one of their own; members are others."""

import numpy as np
import pandas as pd
import pytest
from forms import FORMS
from quick_fits import quick_fits
from tables import power

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.laws import CollaborationLaw
from bayeslaw.likelihood.dependence import Dependence
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.prediction.new_pools import pool_deviations, scatter_of_members, shared_effects, similar_pools
from bayeslaw.prediction.predictions import predict, predict_draws
from bayeslaw.simulation.tables import simulate_losses

TRUTH = {"single": (1.4, 0.9, 0.3), "homogeneous": (1.3, 0.9, 0.28), "heterogeneous": (1.2, 0.8, 0.26)}
MEMBER_SCALE, NUGGET = 0.15, 0.02
COPIES = 200


def known_pools(law):
    """Draw losses of pools from a law, one draw of texts and effects of members; return them with the effects."""
    rng = np.random.default_rng(4)
    pools = make_pools(simulate_losses(families=3, sizes=4, samples=150, clusters=30, seed=1), max_size=3, limit=220)
    model = LawModel(law, Noise(), law.observe(pools))
    shared, regimes = model.dependence, pools["regime"].to_numpy()
    shares = model.observations.shares
    assert shared is not None
    assert shares is not None
    texts, members = 2 * rng.standard_normal(shared.directions), MEMBER_SCALE * rng.standard_normal(12)
    mean = np.array([power(n, *TRUTH[r]) for n, r in zip(pools["parameters"].to_numpy(), regimes, strict=True)])
    own = np.sqrt(NUGGET**2 + shared.mean_remainder[shared.group]) * rng.standard_normal(len(mean))
    common = shared.sampling_factor @ texts
    return pools.assign(loss=("pool", mean + common + shares @ members + own)), members, common


@pytest.fixture(scope="module")
def truth():
    return known_pools(CollaborationLaw())


@pytest.fixture(scope="module", params=FORMS)
def fitted(truth, request) -> Fit:
    with quick_fits(request.param):
        return fit(CollaborationLaw(), truth[0], draws=400, chains=1, seed=1)


def shared_by(fitted: Fit) -> Dependence:
    assert fitted.model.dependence is not None
    return fitted.model.dependence


def targets_at(budgets, regimes) -> pd.DataFrame:
    return pd.DataFrame({"parameters": budgets, "regime": regimes})


def dense_parts(fitted: Fit, draw: int):
    """Return, at one draw, residuals, scaled loadings and covariance of the rows."""
    values = {name: array[draw] for name, array in fitted.values().items()}
    model, shared = fitted.model, shared_by(fitted)
    size = fitted.observations.covariates["parameters"] / fitted.observations.reference["parameters"]
    floor, amplitude, exponent, scale = (
        values[name][model.group_index] for name in ("floor", "amplitude", "exponent", "noise_scale")
    )
    residual = fitted.observations.loss - floor - amplitude * size**-exponent
    loadings = shared.loadings * np.where(shared.by_member, values["member_scale"], 1.0)
    own = scale**2 + shared.mean_remainder[model.group_index]
    return residual, loadings, np.diag(own) + loadings @ loadings.T


def test_scales_and_effects_of_members_are_found_again(truth, fitted):
    members = truth[1]
    values = fitted.values()
    low, high = np.quantile(values["member_scale"], [0.01, 0.99])
    assert low < MEMBER_SCALE < high < 5 * low
    effects = shared_effects(fitted)[:, -12:].mean(axis=0)
    assert np.corrcoef(effects, members)[0, 1] > 0.95
    low, high = np.quantile(values["noise_scale"], [0.005, 0.995], axis=0)
    assert ((low < NUGGET) & (high > NUGGET)).all()


def test_the_law_is_found_again_within_its_band(fitted):
    spread = {name: np.quantile(fitted.observations.covariates["parameters"], [0.2, 0.8]) for name in TRUTH}
    at = targets_at(np.concatenate(list(spread.values())), np.repeat(list(TRUTH), 2))
    band = predict(fitted, at, kind="mean", interval=0.99)
    lower, upper = band["lower"].to_numpy(), band["upper"].to_numpy()
    wanted = np.array([power(n, *TRUTH[r]) for n, r in zip(at["parameters"], at["regime"], strict=True)])
    assert ((lower < wanted) & (wanted < upper)).all()
    # Twelve members and one draw of texts do not tell the law as surely as hundreds of independent rows would.
    assert (upper - lower > 4 * NUGGET).all()


def test_a_file_keeps_what_rows_share(tmp_path, fitted):
    fitted.save(tmp_path / "fit.nc")
    again = load_fit(tmp_path / "fit.nc", keep=())
    assert again.noise.dependence == "shared"
    np.testing.assert_array_equal(shared_by(again).loadings, shared_by(fitted).loadings)
    at = targets_at([1e10, 1e12], ["single", "heterogeneous"])
    for samples in ("same", "new"):
        pd.testing.assert_frame_equal(predict(again, at, samples=samples), predict(fitted, at, samples=samples))


def test_pools_on_the_same_samples_share_the_error_that_their_rows_tell(fitted):
    """The mean of many pools of one budget shows the error of each draw, which a dense normal gives."""
    at = targets_at(np.full(COPIES, 2e10), ["heterogeneous"] * COPIES)
    loading = similar_pools(fitted, at).loadings[0]
    directions, scale = len(loading), fitted.values()["noise_scale"][:, [2]].repeat(COPIES, axis=1)
    found = pool_deviations(fitted, at, scale, samples="same", seed=0)
    own = found.std(axis=1) / np.sqrt(COPIES)
    scores = []
    for draw in range(0, 400, 10):
        residual, loadings, covariance = dense_parts(fitted, draw)
        gain = np.linalg.solve(covariance, loadings[:, :directions]).T
        left = np.eye(directions) - gain @ loadings[:, :directions]
        expected = loading @ gain @ residual
        scores.append((found[draw].mean() - expected) / np.sqrt(loading @ left @ loading + own[draw] ** 2))
    assert np.abs(scores).max() < 4
    assert np.std(scores) == pytest.approx(1, abs=0.35)


def test_pools_on_new_samples_share_an_error_of_their_own(fitted):
    at = targets_at([*np.full(COPIES, 2e10), *np.full(COPIES, 3e11)], ["heterogeneous"] * COPIES + ["single"] * COPIES)
    loadings = similar_pools(fitted, at).loadings[[0, -1]]
    scale = fitted.values()["noise_scale"][:, [2] * COPIES + [0] * COPIES]
    found = [pool_deviations(fitted, at, scale, samples="new", seed=seed) for seed in range(10)]
    means = np.concatenate([each.reshape(400, 2, COPIES).mean(axis=2) for each in found])
    noise = np.mean([each.reshape(400, 2, COPIES).var(axis=2).mean(axis=0) for each in found], axis=0) / COPIES
    wanted = loadings @ loadings.T + np.diag(noise)
    np.testing.assert_allclose(np.cov(means.T), wanted, atol=0.08 * np.abs(wanted).max())
    np.testing.assert_allclose(means.mean(axis=0), 0, atol=4 * np.sqrt(np.diag(wanted).max() / 4000))


def test_the_level_on_the_same_samples_is_known_better_than_on_new_ones(truth, fitted):
    """Pools of one budget, averaged over other members, lie where the law and the draw of texts put them."""
    at = targets_at(np.full(COPIES, 2e10), ["heterogeneous"] * COPIES)
    levels = {which: predict_draws(fitted, at, samples=which).to_numpy()[0].mean(axis=1) for which in ("same", "new")}
    low, high = np.quantile(levels["same"], [0.005, 0.995])
    assert low < power(2e10, *TRUTH["heterogeneous"]) + similar_pools(fitted, at).weights[0] @ truth[2] < high
    assert levels["same"].std() < 0.9 * levels["new"].std()


def test_other_members_scatter_like_those_of_pools_of_about_the_budget(fitted):
    at = targets_at([2e9, 5e11], ["homogeneous", "single"])
    like, effects = similar_pools(fitted, at), shared_effects(fitted)[:, -12:]
    regimes, observations, shared = fitted.observations.groups["regime"], fitted.observations, shared_by(fitted)
    assert observations.membership is not None
    found = scatter_of_members(fitted, like, effects)
    for column, (budget, regime) in enumerate(at.itertuples(index=False)):
        own = regimes == regime
        log = np.log(observations.covariates["parameters"][own])
        # As wide as a density of twelve models' sizes would be, whatever the number of pools.
        width = log.std() * 12**-0.2
        weights = np.exp(-0.5 * ((log - np.clip(np.log(budget), log.min(), log.max())) / width) ** 2)
        np.testing.assert_allclose(like.weights[column, own], weights / weights.sum(), rtol=1e-9)
        assert (like.weights[column, ~own] == 0).all()
        inflation = shared.inflation[fitted.model.groups.index(regime)]
        for draw in (0, 399):
            moved = shared.contrasts[own] @ effects[draw] * fitted.values()["member_scale"][draw]
            assert found[draw, column] == pytest.approx(np.average(moved**2, weights=weights) * inflation)


def test_the_band_of_new_pools_is_smooth_along_the_budget(fitted):
    """Along a fine grid its width has no spike where pools of one budget happen to hold one large model."""
    budgets = np.geomspace(2e9, 2e11, 401)
    at = targets_at(budgets, ["heterogeneous"] * len(budgets))
    spread = pool_deviations(fitted, at, np.full((400, 401), 0.02), samples="same", seed=0, common=True).std(axis=0)
    steps = np.diff(np.log(spread))
    # A step is a hundredth of a decade; the width may double over a decade, and its slope changes as slowly.
    assert np.abs(steps).max() < np.log(2) / 200
    assert np.abs(np.diff(steps)).max() < np.log(2) / 2000


def test_what_new_pools_take_over_stays_that_of_the_edge_beyond_it(fitted):
    largest = fitted.observations.covariates["parameters"].max()
    found = similar_pools(fitted, targets_at([largest, 30 * largest, 1e30], ["heterogeneous"] * 3))
    np.testing.assert_allclose(found.weights[1:], found.weights[[0, 0]])


def test_targets_of_one_draw_scatter_apart_unless_asked_otherwise(fitted):
    at = targets_at(np.full(3, 2e10), ["heterogeneous"] * 3)
    draws = predict_draws(fitted, at, seed=3).to_numpy()[0]
    assert np.ptp(draws, axis=1).min() > 0
    scale = np.full((400, 3), 0.02)
    common = pool_deviations(fitted, at, scale, samples="same", seed=3, common=True)
    np.testing.assert_allclose(np.ptp(common, axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(predict_draws(fitted, at, seed=3).to_numpy()[0], draws)


def test_predictions_say_which_samples_they_are_of(fitted):
    at = {"parameters": 1e10, "regime": "single"}
    assert predict(fitted, at)["samples"].item() == "same"
    assert predict(fitted, at, samples="new")["samples"].item() == "new"
    assert predict(fitted, at, kind="mean")["samples"].item() == "all"
    with pytest.raises(InputError, match="no particular samples"):
        predict(fitted, at, kind="mean", samples="new")
    with pytest.raises(InputError, match="samples 'others' is not known"):
        predict(fitted, at, samples="others")


def test_a_fit_that_does_not_know_the_sampling_error_refuses_new_samples(fitted):
    tree = fitted.tree.copy()
    tree["constant_data"] = tree["constant_data"].dataset.drop_vars(["sampling_factor", "sampling_remainder"])
    blind = Fit(tree)
    at = {"parameters": 1e10, "regime": "single"}
    with pytest.raises(InputError, match="does not know the sampling error"):
        predict(blind, at, samples="new")
    assert predict(blind, at)["samples"].item() == "same"
