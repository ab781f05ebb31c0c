"""Cascades: their thresholds, what they cost, and the signals they go on by."""

import numpy as np
import pandas as pd
import pytest
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.cascade import Cascade
from bayeslaw.pools.known import Known

SAMPLES = 500


def two_members(seed=0):
    """A small member that is good but on a third of the samples, and a large one that is alike on all."""
    generator = np.random.default_rng(seed)
    hard = generator.random(SAMPLES) < 1 / 3
    small = np.where(hard, generator.uniform(5, 8, SAMPLES), generator.uniform(1, 2, SAMPLES))
    return np.column_stack([small, generator.uniform(2.5, 3.5, SAMPLES)]), hard


def shares_of(table, members, rule, features=None):
    found = bl.attainability(table, members, rules=[rule], features=features, draws=20)
    return found, found.win_shares.set_index("member")["share"]


def test_the_threshold_parts_what_the_small_member_fails_on():
    nll, hard = two_members()
    table = loss_table(nll, parameters=[1e9, 9e9])
    lost = bl.combine(table, ["m1", "m0"], rule="cascade").to_numpy()
    np.testing.assert_array_equal(lost, np.where(hard, nll[:, 1], nll[:, 0]))
    found, shares = shares_of(table, ["m1", "m0"], "cascade")
    assert shares.to_dict() == pytest.approx({"m0": 1 - hard.mean(), "m1": hard.mean()})
    # The small one always runs, the large one where it is gone on to.
    assert found.parameters["cascade"] == pytest.approx(1e9 + 9e9 * hard.mean())


def test_which_is_small_is_told_by_parameters():
    nll, _ = two_members()
    table = loss_table(nll, parameters=[9e9, 1e9])
    lost = bl.combine(table, ["m0", "m1"], rule="cascade").to_numpy()
    # The member that comes first is never far off, and the other one cannot be known to be better.
    assert lost.mean() > nll.min(axis=1).mean() + 0.1


def test_the_threshold_loses_least_of_all_thresholds():
    generator = np.random.default_rng(3)
    nll = generator.gamma(2, 1, (SAMPLES, 2)) + np.array([0.3, 0])
    built = Cascade(nll, Known(np.ones(SAMPLES), np.array([1.0, 2.0])))
    policy = built.fit(np.ones(SAMPLES))
    found = np.where(built.goes_on(policy, 0), nll[:, 1], nll[:, 0]).sum()
    tried = [np.where(nll[:, 0] > cut, nll[:, 1], nll[:, 0]).sum() for cut in (-np.inf, *nll[:, 0], np.inf)]
    assert found == pytest.approx(min(tried))


def test_no_threshold_can_be_moved_for_less():
    generator = np.random.default_rng(4)
    nll = generator.gamma(2, 1, (80, 3)) + np.array([0.6, 0.3, 0])
    built = Cascade(nll, Known(np.ones(80), np.array([1.0, 2.0, 3.0])))

    def lost(first, second):
        return np.where(nll[:, 0] <= first, nll[:, 0], np.where(nll[:, 1] <= second, nll[:, 1], nll[:, 2])).sum()

    first, second = built.fit(np.ones(80)).thresholds
    found = lost(first, second)
    assert found <= min(lost(cut, second) for cut in (-np.inf, *nll[:, 0], np.inf)) + 1e-9
    assert found <= min(lost(first, cut) for cut in (-np.inf, *nll[:, 1], np.inf)) + 1e-9
    assert found <= nll.sum(axis=0).min() + 1e-9


def test_members_that_lose_alike_stay_at_the_smallest():
    nll = np.repeat(np.random.default_rng(5).gamma(2, 1, (60, 1)), 3, axis=1)
    found, shares = shares_of(loss_table(nll), ["m0", "m1", "m2"], "cascade")
    assert shares.to_dict() == {"m0": 1, "m1": 0, "m2": 0}
    assert found.parameters["cascade"] == pytest.approx(1e8)


def test_a_feature_takes_the_place_of_the_loss():
    nll, hard = two_members()
    table = loss_table(nll, parameters=[1e9, 9e9])
    features = pd.DataFrame({"noise": np.random.default_rng(6).normal(size=SAMPLES), "sure": np.where(hard, 0.1, 0.9)})
    lost = bl.combine(table, ["m0", "m1"], rule="cascade_by_feature", features=features)
    np.testing.assert_array_equal(lost, np.where(hard, nll[:, 1], nll[:, 0]))
    useless = bl.combine(table, ["m0", "m1"], rule="cascade_by_feature", features=features[["noise"]])
    # It parts samples by chance: far from the gain of the feature that tells.
    assert float(useless.mean()) > nll.mean(axis=0).min() - 0.15 > float(lost.mean()) + 0.5
    with pytest.raises(InputError, match="0 columns of numbers are given"):
        bl.combine(table, ["m0", "m1"], rule="cascade_by_feature")
    many = pd.DataFrame(np.random.default_rng(7).normal(size=(SAMPLES, 40))).add_prefix("x")
    with pytest.raises(InputError, match="40 columns of numbers are given, and it goes on by one of 1 to 32"):
        bl.combine(table, ["m0", "m1"], rule="cascade_by_feature", features=many)


def test_losses_are_per_byte_where_a_sample_goes_on():
    nll, hard = two_members()
    sizes = np.random.default_rng(8).integers(10, 5000, SAMPLES)
    table = loss_table(nll * sizes[:, None], parameters=[1e9, 9e9], sizes=sizes)
    lost = bl.combine(table, ["m0", "m1"], rule="cascade").to_numpy()
    np.testing.assert_allclose(lost / sizes, np.where(hard, nll[:, 1], nll[:, 0]))
