"""Stacked mixtures: the conditions of a maximum, closed forms, and the rule that uses them."""

import itertools

import numpy as np
import pytest
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.simplex_weights import relative_likelihoods, simplex_weights
from bayeslaw.pools.stacked import fold_weights


def losses_of(samples, members, seed=0, spread=0.4):
    generator = np.random.default_rng(seed)
    return generator.gamma(2, 1, (samples, 1)) * generator.lognormal(0, spread, (samples, members))


@pytest.mark.parametrize(
    ("samples", "members", "scale"), [(5, 2, 1), (400, 6, 1), (300, 10, 30), (2000, 4, 300), (1000, 5, 5000)]
)
def test_the_conditions_of_a_maximum_hold(samples, members, scale):
    nll = scale * losses_of(samples, members)
    found = simplex_weights(relative_likelihoods(nll))
    ratios = np.exp(-nll - np.logaddexp.reduce(-nll + np.log(np.maximum(found.weights, 1e-300)), axis=1)[:, None])
    slope = ratios.mean(axis=0)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (found.weights >= 0).all()
    assert slope.max() <= 1 + 1e-9
    np.testing.assert_allclose(slope[found.weights > 1e-9], 1, atol=1e-7)
    assert found.residual <= 1e-9


def test_weights_of_members_that_exclude_each_other_are_shares():
    nll = np.where(np.arange(3) == np.repeat([0, 1, 2], [50, 30, 20])[:, None], 1.0, 800.0)
    np.testing.assert_allclose(simplex_weights(relative_likelihoods(nll)).weights, [0.5, 0.3, 0.2], atol=1e-9)
    counts = np.repeat([1.0, 1.0, 4.0], [50, 30, 20])
    np.testing.assert_allclose(
        simplex_weights(relative_likelihoods(nll), counts).weights, [50 / 160, 30 / 160, 80 / 160], atol=1e-9
    )


@pytest.mark.parametrize("alone", [1, 3])
def test_a_member_that_alone_finds_a_sample_possible_has_its_share(alone):
    """The others are better by far elsewhere: at weights of zero the slope is beyond all numbers."""
    nll = np.column_stack([np.full(1000, 100.0), np.full(1000, 600.0), np.full(1000, 101.0)])
    nll[:alone] = [5000.0, 200.0, 6000.0]
    for start in (None, np.array([1.0, 0.0, 0.0])):
        found = simplex_weights(relative_likelihoods(nll), start=start)
        np.testing.assert_allclose(found.weights, [1 - alone / 1000, alone / 1000, 0], atol=1e-9)


def test_two_members_have_the_weight_of_a_line_search():
    likelihoods = relative_likelihoods(losses_of(500, 2, seed=3))
    grid = np.linspace(0, 1, 20_001)
    values = np.log(likelihoods[:, :1] * grid + likelihoods[:, 1:] * (1 - grid)).sum(axis=0)
    assert simplex_weights(likelihoods).weights[0] == pytest.approx(grid[values.argmax()], abs=1e-4)


def test_a_member_that_is_worse_everywhere_has_no_weight_and_twins_share_one():
    nll = losses_of(200, 2, seed=1)
    worse = simplex_weights(relative_likelihoods(np.column_stack([nll, nll.min(axis=1) + 0.3])))
    assert worse.weights[2] == 0
    twins = simplex_weights(relative_likelihoods(np.column_stack([nll, nll[:, 0]])))
    alone = simplex_weights(relative_likelihoods(nll))
    assert twins.weights[[0, 2]].sum() == pytest.approx(alone.weights[0], abs=1e-6)
    assert twins.residual < 1e-9


def test_weights_are_found_from_any_start_and_do_not_see_a_common_shift():
    nll = losses_of(300, 5, seed=2)
    expected = simplex_weights(relative_likelihoods(nll)).weights
    shift = np.random.default_rng(0).normal(0, 50, (300, 1))
    for start in np.eye(5):
        found = simplex_weights(relative_likelihoods(nll + shift), start=start).weights
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_the_rule_mixes_with_weights_of_other_folds():
    clusters = np.repeat(np.arange(40), 6)
    nll = losses_of(240, 3, seed=4)
    table = loss_table(nll, clusters=clusters)
    folds, expected = assign_folds(clusters, 5), np.empty(240)
    for fold in range(5):
        weights = simplex_weights(relative_likelihoods(nll[folds != fold])).weights
        expected[folds == fold] = -np.log(np.exp(-nll[folds == fold]) @ weights)
    np.testing.assert_allclose(bl.combine(table, ["m0", "m1", "m2"], rule="stacked", seed=5), expected, rtol=1e-7)


def test_stacking_is_at_most_the_mixture_out_of_fold_where_members_differ():
    generator = np.random.default_rng(6)
    nll = generator.gamma(2, 0.5, (3000, 1)) + generator.gamma(2, 0.4, (3000, 4)) + [0, 0.3, 0.6, 0.9]
    table, names = loss_table(nll), [f"m{member}" for member in range(4)]
    stacked, mixture = (float(bl.combine(table, names, rule=rule).mean()) for rule in ("stacked", "mixture"))
    assert stacked < mixture - 0.02
    # In fold nothing on the simplex loses less: not the uniform mixture, nor any member.
    weights = simplex_weights(relative_likelihoods(nll)).weights
    in_fold = -np.log(np.exp(-nll) @ weights).mean()
    assert in_fold <= min(stacked, mixture, *nll.mean(axis=0))


def test_one_member_is_its_own_mixture():
    np.testing.assert_array_equal(fold_weights(losses_of(20, 1), np.arange(20) % 5), np.ones((5, 1)))
    table = loss_table(losses_of(20, 2))
    np.testing.assert_allclose(bl.combine(table, ["m1"], rule="stacked"), table["nll"].to_numpy()[:, 1], rtol=1e-12)


def test_pools_are_stacked_as_single_pools_are():
    table = bl.load_dataset("zoo", unit="document").isel(lm=slice(0, 24, 6), sample=slice(0, 300))
    pools = bl.make_pools(table, rule="stacked", max_size=3)
    names = [str(name) for name in table["lm"].to_numpy()]
    for pool in itertools.combinations(names, 3):
        lost = float(bl.combine(table, pool, rule="stacked").sum()) / float(table["bytes"].sum()) / np.log(2)
        assert float(pools["loss"].sel(pool=" + ".join(pool))) == pytest.approx(lost, rel=1e-9)
    np.testing.assert_allclose(pools["win_share"].sum("lm"), 1, atol=1e-9)


@pytest.mark.slow
def test_a_joint_law_predicts_stacked_pools(file_of_fit):
    at = {"members": ["7e9:alder,7e9:birch", "7e9:alder"]}
    oracle, stacked, best = (
        bl.predict_draws(file_of_fit("quick_joint"), at, rule=rule, seed=1) for rule in ("oracle", "stacked", "best")
    )
    assert (oracle <= stacked + 1e-6).all()
    assert float(stacked.sel(target=0).mean()) < float(best.sel(target=0).mean())
    np.testing.assert_allclose(stacked.sel(target=1), best.sel(target=1), rtol=1e-5)
