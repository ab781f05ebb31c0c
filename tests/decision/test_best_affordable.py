"""The best pool under a budget against the best model: what is chosen, what is drawn of it, and where it changes."""

from itertools import combinations

import numpy as np
import pytest
from pool_tables import loss_table, subsets

import bayeslaw as bl
from bayeslaw.decision.best_affordable import AffordablePools, best_advantage

SIZES = np.array([1e8, 2e8, 4e8, 8e8])


def noisy_table(seed=0, *, clusters=150, means=(2.0, 1.9, 1.8, 1.7), parameters=SIZES):
    generator = np.random.default_rng(seed)
    nll = np.array(means) * generator.gamma(20, 0.05, (clusters, len(means)))
    return loss_table(nll, parameters=parameters, clusters=range(clusters))


@pytest.mark.parametrize("rule", ["oracle", "mixture", "best"])
def test_the_best_are_those_of_the_lowest_expected_loss_that_fit(rule):
    pools = AffordablePools.of(noisy_table(), rule, 3)
    expected = {
        frozenset(pools.decision.names(pool)): pools.contenders.expected[place]
        for pool, place in zip(pools.pools, pools.stand_in, strict=True)
    }
    every = subsets(4, 3)
    assert set(expected) == {frozenset(f"m{model}" for model in pool) for pool in every}
    for budget in (3e8, 7e8, 1.3e9, 1e12):
        for several in (True, False):
            fitting = [pool for pool in every if (len(pool) > 1) == several and SIZES[list(pool)].sum() <= budget]
            lowest = min(expected[frozenset(f"m{model}" for model in pool)] for pool in fitting)
            found = pools.best(np.array([budget]), several=several)[0]
            assert pools.contenders.expected[pools.stand_in[found]] == lowest
            assert pools.parameters[found] <= budget


def test_models_far_apart_are_chosen_as_by_the_table():
    table = noisy_table(means=(4.0, 3.0, 2.0, 1.0))
    pools = AffordablePools.of(table, "oracle", 2)
    assert pools.named(7e8, several=False) == "m2"
    assert pools.named(1e12, several=False) == "m3"
    chosen = bl.choose(table, rule="oracle", max_size=2, max_parameters=1e12, draws=50).rows[0].members
    assert pools.named(1e12, several=True) == " + ".join(chosen)


def test_it_changes_at_its_steps_alone():
    pools = AffordablePools.of(noisy_table(), "mixture", 3)
    steps = pools.steps
    between = np.sqrt(steps[1:] * steps[:-1])
    for several in (True, False):
        np.testing.assert_array_equal(pools.best(between, several=several), pools.best(steps[:-1], several=several))
    assert steps[0] == pools.lowest == 3e8


def test_models_that_are_the_same_gain_nothing():
    """With one model under every name no pool is better than one of them, whatever is chosen."""
    table = noisy_table()
    same = table.assign(nll=(("sample", "lm"), np.repeat(table["nll"].to_numpy()[:, :1], 4, axis=1)))
    asked = {"rule": "mixture", "max_size": 2, "seed": 0}
    found = best_advantage(same, budgets=(1e12,), shown=(1e12,), **asked)
    assert found is not None
    np.testing.assert_allclose(found.draws, 0.0, atol=1e-9)
    assert np.isnan(found.crossing).all()
    assert best_advantage(table, budgets=(1.0,), shown=(1.0,), **asked) is None


def test_a_pool_with_a_member_that_never_wins_stands_for_the_others():
    generator = np.random.default_rng(3)
    nll = 2 + 0.3 * generator.normal(size=(150, 2))
    table = loss_table(np.hstack([nll, nll[:, 1:] + 1]), parameters=[1e8, 2e8, 1e9], clusters=range(150))
    pools = AffordablePools.of(table, "oracle", 2)
    idle = np.flatnonzero(pools.stand_in != np.arange(len(pools.pools)))
    assert [pools.decision.names(pools.pools[place]) for place in idle] == [("m1", "m2")]
    assert pools.decision.names(pools.pools[pools.stand_in[idle[0]]]) == ("m1",)


@pytest.mark.slow
def test_what_is_drawn_of_the_best_is_flattered_far_less_than_on_the_table():
    """Models that are the same but for chance: every pool of two gains as much in truth, whichever are chosen."""
    generator = np.random.default_rng(0)
    pair = 2 * generator.gamma(20, 0.05, (200_000, 2))
    truth = 2.0 + np.log(np.exp(-pair).mean(axis=1)).mean()
    away, on_table = [], []
    for seed in range(60):
        table = noisy_table(seed, clusters=60, means=(2.0,) * 6, parameters=[1e8] * 6)
        found = best_advantage(table, rule="mixture", max_size=2, budgets=(1e12,), shown=(1e12,), seed=seed)
        assert found is not None
        away.append(float(found.draws[:, -1].mean()))
        pairs = bl.pools_of(table, [[f"m{a}", f"m{b}"] for a, b in combinations(range(6), 2)], rule="mixture")
        on_table.append(float(table["nll"].mean("sample").min() - pairs["loss"].min()))
    # The lowest losses on the table are of a model that was lucky, more than a pool of two can be.
    assert np.mean(on_table) < 0.75 * truth
    assert abs(np.mean(away) - truth) < 0.5 * abs(np.mean(on_table) - truth)
