"""The rule of majorities: votes counted one by one, ties, and tables without votes."""

import itertools

import numpy as np
import pytest
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.majority import MAJORITY
from bayeslaw.pools.pool_parts import lexicographic, make_parts

NAMES = [f"m{model}" for model in range(6)]


def answers(seed=0, samples=120, models=6):
    """One for a wrong answer; samples differ in how hard they are."""
    generator = np.random.default_rng(seed)
    hard = generator.random((samples, 1))
    table = loss_table((generator.random((samples, models)) < hard).astype(float), clusters=np.arange(samples) // 2)
    return table.assign_attrs(metric="error_rate", unit="question")


def voted(wrong):
    """Wrong where more than half of the members are, half wrong where just half are."""
    share = wrong.mean(axis=1)
    return np.where(share > 0.5, 1.0, np.where(share == 0.5, 0.5, 0.0))


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 6])
def test_more_than_half_of_the_members_are_right(members):
    table = answers()
    found = bl.combine(table, NAMES[:members], rule="majority").to_numpy()
    np.testing.assert_array_equal(found, voted(table["nll"].to_numpy()[:, :members]))


@pytest.mark.slow
def test_sums_of_many_pools_are_those_of_their_votes():
    table = answers(1)
    nll = table["nll"].to_numpy()
    pools = [pool for size in range(1, 7) for pool in itertools.combinations(range(6), size)]
    members, _ = lexicographic(np.array([[*pool, *[-1] * 6][:6] for pool in pools]))
    # What all models lose on a sample passes through.
    shift = np.random.default_rng(2).normal(size=len(nll))
    found = MAJORITY.sums((nll + shift[:, None]).T, make_parts(members, 6), np.zeros(len(nll), dtype=int))
    expected = [voted(nll[:, pool[pool >= 0]]).sum() for pool in members]
    np.testing.assert_allclose(found - shift.sum(), expected, atol=1e-9)


def test_choose_and_attainability_count_votes():
    table = answers(3)
    found = bl.choose(table, rule="majority", max_size=3, top=5, draws=50)
    best = min(
        voted(table["nll"].to_numpy()[:, pool]).mean()
        for size in (1, 2, 3)
        for pool in itertools.combinations(range(6), size)
    )
    assert found.lowest == pytest.approx(best, rel=1e-9)
    assert {row.unit for row in found.rows} == {"wrong answers a sample"}
    rules = bl.attainability(table, NAMES[:3], draws=50)
    lost = float(voted(table["nll"].to_numpy()[:, :3]).mean())
    assert rules["majority"].rule_loss == pytest.approx(lost)
    shares = rules.win_shares[rules.win_shares["rule"] == "majority"]["share"]
    assert shares.sum() == pytest.approx(1)
    assert "mixture" in rules.left_out


@pytest.mark.parametrize("function", [bl.combine, bl.attainability, bl.choose, bl.make_pools])
def test_where_nobody_votes_there_is_no_majority(function):
    nats = loss_table(np.random.default_rng(0).gamma(2, 1, (40, 3)), clusters=range(40))
    arguments = {
        bl.combine: ([["m0", "m1"]], "rule"),
        bl.attainability: ([["m0", "m1"]], "rules"),
        bl.choose: ([], "rule"),
        bl.make_pools: ([], "rule"),
    }
    given, name = arguments[function]
    with pytest.raises(InputError, match="counts who is right, and this table holds losses in nats per word"):
        function(nats, *given, **{name: "majority"})
    shares = loss_table(np.random.default_rng(0).random((40, 3)), clusters=range(40)).assign_attrs(metric="accuracy")
    with pytest.raises(InputError, match="shares of right answers, which are no votes"):
        function(shares, *given, **{name: "majority"})


def test_of_answers_one_threshold_tells_wrong_from_right():
    table = answers(4)
    found = bl.co_failure(table, NAMES[:3])
    assert found["threshold"].tolist() == [0.5]
    of_cluster = table["nll"].to_numpy()[:, :3].min(axis=1).reshape(-1, 2).mean(axis=1)
    assert found["probability"].item() == pytest.approx(of_cluster.mean())
    shares = answers(4)
    shares["nll"] = shares["nll"] * 0.75
    assert len(bl.co_failure(shares, NAMES[:3])) >= 1
