"""How often all members fail: closed forms, and bounds that hold."""

import numpy as np
import pytest
from forms import in_gate
from pool_tables import loss_table, random_table
from scipy import stats

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.co_failures import clopper_pearson


def test_closed_forms_of_the_bounds():
    assert clopper_pearson(0, 10, 0.9) == pytest.approx((0, 1 - 0.05 ** (1 / 10)))
    assert clopper_pearson(10, 10, 0.9) == pytest.approx((0.05 ** (1 / 10), 1))
    exact = stats.binomtest(7, 40).proportion_ci(0.8, method="exact")
    assert clopper_pearson(7, 40, 0.8) == pytest.approx((exact.low, exact.high))


def test_all_members_fail_where_the_oracle_does():
    table = random_table(200, 3, seed=1)
    names, oracle = ["m0", "m1", "m2"], table["nll"].to_numpy().min(axis=1)
    found = bl.co_failure(table, names, thresholds=[4.0, 1.0, 2.0, 4.0], interval=0.8)
    assert found["threshold"].tolist() == [1.0, 2.0, 4.0]
    for row in found.itertuples():
        failures = int((oracle > row.threshold).sum())
        exact = stats.binomtest(failures, 200).proportion_ci(0.8, method="exact")
        assert (row.probability, row.lower, row.upper) == pytest.approx((failures / 200, exact.low, exact.high))
        assert row.best_member == pytest.approx((table["nll"].to_numpy() > row.threshold).mean(axis=0).min())
    assert set(found["unit"]) == {"nats per word"}


def test_no_rule_fails_less_often_than_all_members_do():
    table = random_table(300, 3, seed=2, clusters=np.arange(300) // 5)
    names = ["m0", "m1", "m2"]
    found = bl.co_failure(table, names)
    assert (found["probability"].diff().dropna() < 0).all()
    for rule in ("mixture", "stacked", "cascade", "best"):
        lost = bl.combine(table, names, rule=rule).to_numpy()
        for row in found.itertuples():
            assert (lost > row.threshold).mean() >= row.probability - 1e-12
    fewer = bl.co_failure(table, names[:2], thresholds=found["threshold"].to_list())
    assert (fewer["probability"] >= found["probability"]).all()


def test_clusters_count_alike_and_are_the_trials():
    clusters = np.array(["a"] * 8 + ["b", "c", "d"])
    nll = np.where(clusters == "a", 9.0, 1.0)
    nll[0] = 1.0
    found = bl.co_failure(loss_table(nll[:, None], clusters=clusters), ["m0"], thresholds=5).iloc[0]
    assert found["probability"] == pytest.approx(7 / 8 / 4)
    assert found["clusters"] == 4
    assert (found["lower"], found["upper"]) == pytest.approx(clopper_pearson(7 / 8, 4, 0.9))


@pytest.mark.parametrize("within", in_gate([6], [1, 6]))
def test_bounds_hold_the_truth_at_least_as_often_as_they_say(within):
    generator, held, truth = np.random.default_rng(3), [], 0.2
    for _ in range(300):
        # Half of what decides is common to a cluster.
        normal = np.sqrt(0.5) * (generator.normal(size=(40, 1)) + generator.normal(size=(40, within)))
        failed = normal.ravel() > stats.norm.ppf(1 - truth)
        table = loss_table((1.0 + failed)[:, None], clusters=np.repeat(np.arange(40), within))
        row = bl.co_failure(table, ["m0"], thresholds=[1.5], interval=0.9).iloc[0]
        held.append(row["lower"] <= truth <= row["upper"])
    assert np.mean(held) >= 0.9 - 3 * np.sqrt(0.09 / 300)


@pytest.mark.parametrize("thresholds", [[np.nan], ["a"], [], True, [2.0, -1.0]])
def test_thresholds_that_are_none_are_refused(thresholds):
    with pytest.raises(InputError, match="thresholds"):
        bl.co_failure(random_table(20, 2), ["m0"], thresholds=thresholds)


def test_one_cluster_tells_nothing():
    with pytest.raises(InputError, match="one cluster"):
        bl.co_failure(random_table(20, 2, clusters=np.zeros(20)), ["m0"])
