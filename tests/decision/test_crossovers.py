"""When a pool pays: crossovers against closed forms and dense grids, known truths, and what is refused."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.decision.budget_grid import readable_budgets
from bayeslaw.decision.crossings import last_crossings, step_crossings
from bayeslaw.decision.crossover_words import sentences, share_text
from bayeslaw.decision.joint_advantages import PoolsAlongBudgets, family_sets
from bayeslaw.laws.pool_advantages import BudgetAdvantages, RegimeAdvantage
from bayeslaw.losses.metrics import WRONG
from bayeslaw.pools.rules_by_unit import decided_by
from bayeslaw.prediction.row_prediction import law_draws
from bayeslaw.simulation.simulated_pools import REGIME_TRUTHS

GRID = np.geomspace(1e6, 1e12, 241)


def power_laws(generator, count, *, floors):
    """Draw parameters of two laws for each draw: floors, amplitudes at 1e9 and exponents, each [2, draw, 1]."""
    floor = generator.uniform(0, 1, (2, count, 1)) * floors
    amplitude = generator.uniform(0.5, 2, (2, count, 1))
    return floor, amplitude, generator.uniform(0.05, 0.6, (2, count, 1))


def advantage_of(laws):
    floor, amplitude, exponent = laws

    def advantage(logs):
        losses = floor + amplitude * np.exp(-exponent * (logs - np.log(1e9)))
        return losses[0] - losses[1]

    return advantage


def crossings_of(laws, grid=GRID):
    advantage = advantage_of(laws)
    return last_crossings(grid, advantage(np.log(grid)[None]), lambda logs: advantage(logs[:, None])[:, 0])


def test_crossover_of_laws_without_floors_is_the_closed_form():
    laws = power_laws(np.random.default_rng(0), 400, floors=0.0)
    _, amplitude, exponent = laws
    found = crossings_of(laws)
    closed = 1e9 * ((amplitude[0] / amplitude[1]) ** (1 / (exponent[0] - exponent[1])))[:, 0]
    # Below it the single model has to be the better one, so that its loss falls more slowly.
    there = (closed > GRID[0]) & (closed < GRID[-1]) & (exponent[1] > exponent[0])[:, 0]
    assert there.sum() > 50
    np.testing.assert_array_equal(np.isfinite(found), there)
    np.testing.assert_allclose(found[there], closed[there], rtol=1e-9)


def test_crossover_is_that_of_a_dense_grid():
    laws = power_laws(np.random.default_rng(1), 300, floors=1.0)
    dense = np.geomspace(GRID[0], GRID[-1], 40_001)
    draws = advantage_of(laws)(np.log(dense)[None])
    found = crossings_of(laws)
    for row, each in zip(draws > 0, found, strict=True):
        below = np.flatnonzero(~row)
        exists = row[-1] and len(below) > 0
        assert np.isfinite(each) == exists
        if exists:
            assert dense[below[-1]] <= each * (1 + 1e-12)
            assert each <= dense[below[-1] + 1] * (1 + 1e-12)
    assert 20 < np.isfinite(found).sum() < 280


def test_crossover_without_a_function_is_linear_in_the_log_budget():
    budgets = np.array([1.0, 10.0, 1000.0])
    draws = np.array([[1.0, -1.0, 3.0], [1, 2, 3], [-1, -2, -3], [-1, 1, -1], [-1, 0, 1]])
    found = last_crossings(budgets, draws)
    np.testing.assert_allclose(found[0], 10 * 100 ** (1 / 4))
    assert np.isnan(found[1:4]).all()
    np.testing.assert_allclose(found[4], 10.0)


def test_steps_cross_where_the_step_is():
    budgets = np.array([1.0, 2.0, 5.0, 9.0])
    draws = np.array([[-1.0, 1, -1, 1], [-1, -1, 2, 2], [1, 1, 1, 1], [1, 1, 1, -1]])
    np.testing.assert_array_equal(step_crossings(budgets, draws), [9.0, 5.0, np.nan, np.nan])


@given(st.floats(3, 13), st.floats(0.01, 5))
def test_readable_budgets_lie_inside_the_range(low, width):
    found = readable_budgets(10**low, 10 ** (low + width))
    assert len(found) >= 2
    assert list(found) == sorted(set(found))
    assert 10**low * (1 - 1e-8) <= found[0]
    assert found[-1] <= 10 ** (low + width) * (1 + 1e-8)


def test_rows_are_differences_of_the_law(collaboration_fit):
    budgets = [3e8, 5e9, 2e11]
    found = bl.when(collaboration_fit, budgets=budgets, interval=0.8)
    for regime in ("homogeneous", "heterogeneous"):
        targets = pd.DataFrame({"parameters": budgets * 2, "regime": ["single"] * 3 + [regime] * 3})
        losses = law_draws(collaboration_fit, targets, seed=3)[0]
        draws = losses[:, :3] - losses[:, 3:]
        rows = found.rows[found.rows["regime"] == regime]
        np.testing.assert_array_equal(rows["parameters"], budgets)
        np.testing.assert_allclose(rows["probability_better"], (draws > 0).mean(axis=0))
        np.testing.assert_allclose(rows["advantage"], np.median(draws, axis=0))
        np.testing.assert_allclose(rows[["lower", "upper"]].T, np.quantile(draws, [0.1, 0.9], axis=0))
    assert found.rule == "oracle"
    assert found.rows["extrapolation"].to_numpy()[2] > 0


def test_crossover_of_a_fit_is_that_of_a_dense_grid(collaboration_fit):
    found = bl.when(collaboration_fit, beyond=100)
    assert len(found.crossover)
    for regime in found.advantages.regimes:
        dense = np.geomspace(regime.budgets[0], regime.budgets[-1], 3001)
        targets = pd.DataFrame({"parameters": np.tile(dense, 2), "regime": np.repeat(["single", regime.regime], 3001)})
        losses = law_draws(collaboration_fit, targets, seed=0)[0]
        better = losses[:, :3001] - losses[:, 3001:] > 0
        exists = better[:, -1] & ~better.all(axis=1)
        assert (np.isfinite(regime.crossing) == exists).mean() > 0.999
        last = 3000 - np.argmax(~better[:, ::-1], axis=1)
        both = exists & np.isfinite(regime.crossing)
        assert (np.abs(np.log(regime.crossing / dense[last]))[both] <= 2 * np.log(dense[1] / dense[0])).all()


def test_a_known_truth_is_found(collaboration_fit):
    """The truth has heterogeneous pools below single models everywhere, by 0.4 nats and more."""
    found = bl.when(collaboration_fit)
    rows = found.rows[found.rows["regime"] == "heterogeneous"]
    true = REGIME_TRUTHS["single"].mean(rows["parameters"]) - REGIME_TRUTHS["heterogeneous"].mean(rows["parameters"])
    inside = rows["extrapolation"].to_numpy() == 0
    assert inside.sum() >= 3
    assert (rows["probability_better"] > 0.95)[inside].all()
    assert ((rows["lower"] < true) & (true < rows["upper"]))[inside].mean() > 0.5
    (crossover,) = found.crossover[found.crossover["regime"] == "heterogeneous"].to_dict(orient="records")
    assert crossover["probability_exists"] < 0.05
    assert "with probability over 0.99" in str(found)


def test_kinds_have_one_crossover(collaboration_fit):
    expected, new = (bl.when(collaboration_fit, kind=kind) for kind in ("mean", "new"))
    pd.testing.assert_frame_equal(expected.crossover, new.crossover)
    wide, narrow = (each.rows["upper"] - each.rows["lower"] for each in (new, expected))
    assert (wide > narrow).all()
    assert "drawn at random" in str(new).lower()


def open_advantages(draws):
    crossing = last_crossings(np.array([1e9, 1e10]), draws)
    regime = RegimeAdvantage("odd", "odd pools", "one", np.array([1e9, 1e10]), draws, np.array([0.0, 0.3]), crossing)
    return BudgetAdvantages("mixture", (regime,), (1e9, 1e10), (), lambda name, budget: f"{name} at {budget:g}")


def test_budgets_below_a_crossover_at_which_pools_are_better_are_named():
    budgets, signs = np.array([1e8, 1e9, 1e10, 1e11]), np.array([1.0, 1.0, -1.0, 1.0])
    draws = signs * (1 + 0.1 * np.random.default_rng(0).random((200, 4)))
    crossing = last_crossings(budgets, draws)
    regime = RegimeAdvantage("odd", "odd pools", "one", budgets, draws, np.zeros(4), crossing)
    found = BudgetAdvantages("mixture", (regime,), tuple(budgets), (), lambda name, budget: "")
    assert (
        "they lose less at 100M, 1B too, each with a probability above 0.95"
        in sentences(found, unit="nats", interval=0.9)[0]
    )
    rising = replace(regime, draws=np.abs(draws) * [-1, -1, 1, 1], crossing=np.full(200, 5e9))
    assert "Below it" not in sentences(replace(found, regimes=(rising,)), unit="nats", interval=0.9)[0]


def test_what_is_open_is_said_with_what_would_help():
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((500, 2))
    said = sentences(open_advantages(draws), unit="nats", interval=0.9)
    assert "The data do not decide at any budget shown, 1B to 10B" in said[1]
    assert "The least certain part of it is odd at 1e+09." in said[1]
    assert said[1].endswith("bayeslaw next, of a joint fit, says what that is worth.")
    assert "(0.3 ranges beyond the data)" in said[0]
    assert "what the single model loses more, above zero the pool is better" in said[0]
    assert len(sentences(open_advantages(draws + 9), unit="nats", interval=0.9)) == 1


def test_shares_of_what_is_no_crossover_are_said():
    draws = np.array([[1.0, 1.0]] * 20 + [[-1, -1]] * 30 + [[1, -1]] * 10 + [[-1, 1]] * 40)
    (text, _) = sentences(open_advantages(draws), unit="nats", interval=0.9)
    assert "With probability 0.40 there is a budget between 1B and 10B" in text
    assert "at every budget of that range with probability 0.20" in text
    assert "at none with probability 0.30" in text
    assert "only at smaller budgets with probability 0.10" in text


def test_probabilities_are_written_as_draws_tell_them():
    assert [share_text(share) for share in (0.0, 0.004, 0.5, 0.994, 1.0)] == [
        "under 0.01",
        "under 0.01",
        "0.50",
        "0.99",
        "over 0.99",
    ]


@pytest.mark.parametrize("name", ["power", "chinchilla"])
def test_other_laws_are_refused_with_the_fits_that_answer(request, name):
    with pytest.raises(bl.InputError, match=r"(?s)does not tell what a pool.*collaboration law.*joint law"):
        bl.when(request.getfixturevalue(f"{name}_fit"))


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"rule": "mixture"}, "the rule 'mixture' was given for a fit to oracle pools"),
        ({"rule": "bset"}, "bset"),
        ({"rule": "routed"}, "the rule 'routed' looks at what is known of each sample"),
        ({"sizes": 2}, "2 members were asked for"),
        ({"sizes": 1}, "sizes is 1"),
        ({"sizes": []}, "sizes"),
        ({"budgets": []}, "budgets is empty"),
        ({"budgets": [0]}, "budgets is 0"),
        ({"beyond": 0.5}, "beyond is 0.5"),
        ({"kind": "law"}, "'law'"),
        ({"regimes": "single"}, "'single'"),
        ({"regimes": ["best"]}, "'best'"),
        ({"interval": 1}, "interval"),
    ],
)
def test_choices_that_cannot_be_used(collaboration_fit, choices, said):
    with pytest.raises(bl.InputError, match=said):
        bl.when(collaboration_fit, **choices)


def test_its_own_rule_may_be_named(collaboration_fit):
    assert bl.when(collaboration_fit, rule="oracle", budgets=["7B"]).rows["parameters"].tolist() == [7e9, 7e9]


def test_answers_are_not_mixed(joint_fit):
    table = joint_fit.model.table
    answers = replace(table, unit=WRONG), replace(table, losses=(table.losses > 1).astype(float))
    assert decided_by(None, table.answer_unit).name == decided_by("mixture", table.answer_unit).name == "mixture"
    for each in answers:
        assert decided_by(None, each.answer_unit).name == "best"
        assert decided_by("oracle", each.answer_unit).name == "oracle"
        with pytest.raises(bl.InputError, match="right and wrong answers"):
            decided_by("mixture", each.answer_unit)


def test_pools_that_there_are_not_are_said(joint_fit):
    said = str(bl.when(joint_fit, budgets=[1e7], sizes=[3], rule="oracle"))
    assert "There are no heterogeneous pools of 3 members: the table has 2 families." in said
    assert "No pool of two of the models scored is within 10M total parameters." in said


def test_families_are_equally_often_in_sets():
    for count, size in ((4, 2), (7, 3), (9, 4), (30, 3)):
        names = [f"f{number}" for number in range(count)]
        sets = family_sets(names, size, seed=1)
        often = Counter(name for each in sets for name in each)
        assert set(often) == set(names)
        assert len(set(often.values())) == 1
        assert len(set(sets)) == len(sets)
        assert all(len(set(each)) == size for each in sets)


def test_pools_of_a_budget_add_up_to_it(joint_fit):
    for new in (False, True):
        pools = PoolsAlongBudgets(joint_fit.model, (1e8, 1e9), (2, 3), new=new, seed=0)
        for key in pools.keys:
            for pool in pools.of(key, 1e9):
                assert sum(member.parameters for member in pool) == pytest.approx(1e9)
                families = [member.family for member in pool]
                assert len(set(pool)) == len(pool)
                assert (len(set(families)) > 1) == key.startswith("heterogeneous")
                assert {family in joint_fit.model.groups for family in families} == {not new}


def test_joint_fit_answers(joint_fit):
    budgets = [1e9, 1e10]
    found = bl.when(joint_fit, budgets=budgets, sizes=2)
    assert found.rule == "mixture"
    regimes = ["homogeneous, 2 members", "heterogeneous, 2 members", "best pool"]
    assert found.rows["regime"].drop_duplicates().tolist() == regimes
    assert found.crossover["regime"].tolist() == regimes
    assert found.rows["parameters"].tolist() == budgets * 3
    # Crossovers are looked for in all of the range.
    parameters = joint_fit.model.table.parameters
    assert (found.crossover["low"] < 1e9).all()
    assert (found.crossover["high"] > 2 * parameters.max()).all()
    oracle = bl.when(joint_fit, budgets=budgets, sizes=2, rule="oracle")
    # Of the same members, the oracle is at most the mixture, sample by sample.
    assert (oracle.rows["advantage"] >= found.rows["advantage"]).all()
    assert "Nobody can run" in str(oracle)
    assert "Nobody can run" not in str(found)
    best = bl.when(joint_fit, budgets=budgets, sizes=2, regimes="best")
    pd.testing.assert_frame_equal(best.rows, found.rows[-2:].reset_index(drop=True))


def test_an_empty_choice_of_regimes_is_not_all_of_them(joint_fit):
    with pytest.raises(bl.InputError, match="regimes is empty"):
        bl.when(joint_fit, budgets=[1e9], sizes=2, regimes=[])


@pytest.mark.slow
def test_joint_kinds(joint_fit):
    expected, new = (bl.when(joint_fit, budgets=[1e9], sizes=[2], kind=kind) for kind in ("mean", "new"))
    pd.testing.assert_frame_equal(expected.crossover, new.crossover)
    first = slice(0, 2)
    wide, narrow = ((each.rows["upper"] - each.rows["lower"])[first] for each in (new, expected))
    assert (wide > narrow).all()
    assert (new.rows["extrapolation"][first] >= 1).all()


@pytest.mark.parametrize(
    ("asked", "words"), [({"beyond": 1e8}, "beyond is 1e+08"), ({"budgets": [1e25]}, "1000 times the")]
)
def test_reaches_beyond_all_reason_are_refused(collaboration_fit, asked, words):
    with pytest.raises(bl.InputError, match=re.escape(words)):
        bl.when(collaboration_fit, **asked)


@pytest.mark.parametrize(("crossings", "told"), [(19, False), (20, True)])
def test_few_crossings_have_no_interval(crossings, told):
    from bayeslaw.decision.crossover_words import _crossover as said
    from bayeslaw.decision.crossover_words import better_everywhere
    from bayeslaw.decision.crossovers import _crossover as row
    from bayeslaw.laws.pool_advantages import RegimeAdvantage

    draws = np.ones((200, 2))
    draws[:crossings, 0] = -1
    regime = RegimeAdvantage(
        regime="heterogeneous",
        subject="heterogeneous pools",
        other="a single model",
        budgets=np.array([1e6, 1e8]),
        draws=draws,
        extrapolation=np.zeros(2),
        crossing=np.where(np.arange(200) < crossings, 1e7, np.nan),
        expected=True,
    )
    assert np.isfinite([row(regime, 0.9)[name] for name in ("median", "lower", "upper")]).all() == told
    assert row(regime, 0.9)["probability_exists"] == crossings / 200
    assert ("its median is 10M" in said(regime, 0.9)) == told
    assert better_everywhere(regime).sum() == 200 - crossings
