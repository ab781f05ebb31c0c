"""Rules, folds and attainability."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pool_tables import loss_table, random_table

from bayeslaw.errors import InputError
from bayeslaw.pools.attainabilities import attainability
from bayeslaw.pools.combinations import combine
from bayeslaw.pools.folds import assign_folds

NLL = hnp.arrays(float, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.floats(0, 50))


def names(table):
    return [str(name) for name in table["lm"].to_numpy()]


@settings(max_examples=60, deadline=None)
@given(NLL)
def test_mixture_lies_between_the_oracle_and_log_size_above_it(nll):
    table = loss_table(nll)
    oracle, mixture = (combine(table, names(table), rule=rule).to_numpy() for rule in ("oracle", "mixture"))
    np.testing.assert_array_equal(oracle, nll.min(axis=1))
    assert (oracle <= mixture + 1e-12).all()
    assert (mixture <= oracle + np.log(nll.shape[1]) + 1e-12).all()


def test_mixture_is_the_loss_of_the_mean_probability():
    probabilities = np.array([[0.5, 0.1], [0.2, 0.6]])
    values = combine(loss_table(-np.log(probabilities)), ["m0", "m1"], rule="mixture")
    np.testing.assert_allclose(values, -np.log(probabilities.mean(axis=1)))
    assert values.attrs == {"rule": "mixture", "unit": "nats per word"}
    assert values.dims == ("sample",)


def test_mixture_of_improbable_texts_does_not_underflow():
    values = combine(loss_table([[5000.0, 5000.0], [4000.0, 9000.0]]), ["m0", "m1"], rule="mixture")
    np.testing.assert_allclose(values, [5000, 4000 + np.log(2)])


def test_best_is_chosen_on_the_other_folds():
    clusters = np.random.default_rng(0).integers(0, 12, 200)
    table = random_table(200, 3, clusters=clusters)
    nll, codes = table["nll"].to_numpy(), np.unique(clusters, return_inverse=True)[1]
    first_seen = {label: number for number, label in enumerate(dict.fromkeys(codes.tolist()))}
    folds = assign_folds(np.array([first_seen[code] for code in codes.tolist()]), 3)
    expected = np.empty(200)
    for fold in np.unique(folds):
        best = nll[folds != fold].sum(axis=0).argmin()
        expected[folds == fold] = nll[folds == fold, best]
    np.testing.assert_array_equal(combine(table, names(table), rule="best", seed=3), expected)


def test_best_is_not_optimistic_about_models_that_are_alike():
    nll = np.random.default_rng(0).gamma(2, 1, (400, 8))
    table = loss_table(nll)
    crossfitted = float(combine(table, names(table), rule="best").mean())
    assert crossfitted > nll.mean(axis=0).min()
    assert crossfitted == pytest.approx(2, abs=0.2)


@given(st.integers(1, 40), st.integers(0, 9))
def test_folds_hold_whole_clusters_and_are_even(number, seed):
    clusters = np.repeat(np.arange(number), 3)
    folds = assign_folds(clusters, seed)
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in range(number))
    counts = np.bincount(folds[::3])
    assert len(counts) == min(number, 5)
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(folds, assign_folds(clusters, seed))


@pytest.mark.parametrize(
    ("members", "rule", "message"),
    [
        (["m0", "m9"], "oracle", "model 'm9' is not in the table"),
        (["m0", "m0"], "oracle", "names m0 twice"),
        ([], "oracle", "no members"),
        (["m0"], "stakced", "rule 'stakced' is not known"),
    ],
)
def test_bad_pools_are_refused(members, rule, message):
    with pytest.raises(InputError, match=message):
        combine(random_table(10, 3), members, rule=rule)


def test_one_name_is_a_pool_of_one():
    table = random_table(10, 3)
    np.testing.assert_array_equal(combine(table, "m1"), table["nll"].to_numpy()[:, 1])


def test_best_needs_two_clusters():
    with pytest.raises(InputError, match="at least two clusters"):
        combine(random_table(10, 3, clusters=np.zeros(10)), ["m0", "m1"], rule="best")


def test_attainability_is_the_share_of_the_gain():
    table = random_table(2000, 3, clusters=np.arange(2000) // 5)
    result = attainability(table, names(table), rules="mixture", seed=1)["mixture"]
    best, mixture, oracle = (float(combine(table, names(table), rule=r, seed=1).mean()) for r in RULES_OF_INTEREST)
    assert result.value == pytest.approx((best - mixture) / (best - oracle))
    assert (result.best, result.rule_loss, result.oracle) == pytest.approx((best, mixture, oracle))
    assert result.lower < result.value < result.upper
    assert result.reason == ""
    assert result.loss_unit == "nats per word"
    assert result == attainability(table, names(table), rules="mixture", seed=1)["mixture"]


RULES_OF_INTEREST = ("best", "mixture", "oracle")


def test_oracle_attains_all_and_best_nothing():
    table = random_table(500, 3)
    for rule, value in (("oracle", 1.0), ("best", 0.0)):
        result = attainability(table, names(table), rules=rule, draws=50)[rule]
        assert (result.value, result.lower, result.upper) == pytest.approx((value, value, value))


def test_attainability_may_be_negative():
    generator = np.random.default_rng(0)
    good = generator.gamma(2, 0.2, 3000)
    table = loss_table(np.stack([good, good + generator.normal(0.6, 0.7, 3000).clip(-good)], axis=1))
    result = attainability(table, names(table), rules="mixture")["mixture"]
    assert result.reason == ""
    assert result.upper < 0


def test_attainability_interval_covers_the_truth():
    generator = np.random.default_rng(4)

    def table(clusters):
        nll = generator.gamma(2, 1, (clusters, 1, 1)) + generator.gamma(2, 0.5, (clusters, 5, 3))
        return loss_table(nll.reshape(-1, 3), clusters=np.repeat(np.arange(clusters), 5))

    truth = attainability(table(40000), ["m0", "m1", "m2"], rules="mixture", draws=1)["mixture"].value
    found = (attainability(table(150), ["m0", "m1", "m2"], rules="mixture", draws=200, seed=draw) for draw in range(60))
    results = [each["mixture"] for each in found]
    covered = np.mean([result.lower <= truth <= result.upper for result in results])
    assert 0.75 <= covered <= 1.0
    assert np.mean([result.upper - result.lower for result in results]) < 0.5


@pytest.mark.parametrize(
    ("table", "members", "reason"),
    [
        (random_table(50, 3), ["m1"], "a single model is its own oracle"),
        (random_table(50, 3, clusters=np.zeros(50)), ["m0", "m1"], "one cluster"),
        (loss_table(np.stack([np.arange(1, 51), np.arange(2, 52)], axis=1)), ["m0", "m1"], "standard errors"),
    ],
)
def test_attainability_that_is_undefined_says_why(table, members, reason):
    result = attainability(table, members, rules="mixture")["mixture"]
    assert np.isnan([result.value, result.lower, result.upper]).all()
    assert reason in result.reason


@pytest.mark.parametrize("interval", [0, 1, -0.5, 90])
def test_attainability_refuses_intervals_outside_zero_and_one(interval):
    with pytest.raises(InputError, match="interval"):
        attainability(random_table(10, 3), ["m0", "m1"], interval=interval)
