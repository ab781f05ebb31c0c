"""Which pool to take: the search against every pool, limits, promises kept on new samples, and refusals."""

import json
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from forms import in_gate
from pool_tables import loss_table, plain_pool, random_table, subsets
from scipy import stats
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.decision import pool_search
from bayeslaw.decision.limits import Limits
from bayeslaw.decision.model_shrinkage import ModelShrinkage
from bayeslaw.decision.table_decision import decide
from bayeslaw.errors import InputError

KEYS = (
    "members",
    "parameters",
    "active_parameters",
    "price",
    "rule",
    "unit",
    "loss",
    "lower",
    "upper",
    "probability_best",
    "probability_better_than_single",
    "regret",
    "difference",
    "difference_lower",
    "difference_upper",
    "share_of_oracle_gain",
    "expected_loss",
)


def names(members):
    return tuple(f"m{m}" for m in members)


def plain_weight(table):
    """What sums of nats are divided by, in the unit of the losses."""
    return table["bytes"].to_numpy().sum() * np.log(2)


def by_loss(table, pools, rule):
    return sorted((plain_pool(table, members, rule)[0], members) for members in pools)


@pytest.mark.parametrize("rule", ["oracle", "mixture"])
@pytest.mark.parametrize("limited", [False, True])
def test_pools_are_ranked_as_one_by_one(rule, limited):
    table = random_table(300, 7, seed=3, clusters=np.arange(300) // 4, sizes=np.arange(300) % 7 + 3)
    pools = subsets(7, 3)
    limits: dict[str, Any] = {}
    parameters = table["parameters"].to_numpy()
    if limited:
        limits = {"max_parameters": 1.1e9, "require": ["m2"], "exclude": ["m0"]}
        pools = [p for p in pools if parameters[list(p)].sum() <= 1.1e9 and 2 in p and 0 not in p]
    found = bl.choose(table, rule=rule, max_size=3, top=8, draws=100, **limits)
    expected = by_loss(table, pools, rule)
    assert {row.members for row in found.rows} <= {names(members) for _, members in expected[:20]}
    # All are looked at, each with its loss on the table; ranked they are by what they are expected to lose in truth.
    most = {"parameters": limits.pop("max_parameters")} if limited else {}
    looked = decide(table, Limits(3, most, **limits), rule=rule, cost="parameters", top=8, seed=0)
    sums = looked.search.sums.sum(axis=0) / plain_weight(table)
    at = dict(zip(map(looked.names, looked.search.pools), sums.tolist(), strict=True))
    assert at == pytest.approx({names(members): loss for loss, members in expected}, rel=1e-6)
    assert found.pools == len(pools)
    assert found.bound is None
    assert found.lowest == pytest.approx(expected[0][0], rel=1e-12)
    assert found.single == names(by_loss(table, subsets(7, 1)[1 if limited else 0 :], rule)[0][1])[0]


def test_costs_add_up_and_unknown_ones_are_null():
    table = random_table(60, 3, seed=1)
    table["price"] = ("lm", [1.0, np.nan, 2.0])
    table["active_parameters"] = ("lm", [1e8, 2e8, 3e8])
    for row in bl.choose(table, top=7, draws=50).rows:
        members = [int(name[1:]) for name in row.members]
        assert row.parameters == table["parameters"].to_numpy()[members].sum()
        assert row.active_parameters == 1e8 * sum(m + 1 for m in members)
        assert row.price == (None if 1 in members else sum({0: 1.0, 2: 2.0}[m] for m in members))


def test_active_parameters_and_price_are_limits_too():
    table = random_table(60, 5, seed=1)
    table["price"] = ("lm", [1.0, 2.0, 3.0, 4.0, 0.0])
    table["active_parameters"] = ("lm", [5e8, 4e8, 3e8, 2e8, 1e8])
    cases: list[tuple[dict[str, Any], str, float]] = [
        ({"max_price": 3}, "price", 3),
        ({"max_active": "0.7B"}, "active_parameters", 7e8),
    ]
    for limits, name, most in cases:
        found = bl.choose(table, top=30, draws=50, **limits)
        costs = table[name].to_numpy()
        within = [p for p in subsets(5, 4) if costs[list(p)].sum() <= most * (1 + 1e-9)]
        assert {row.members for row in found.rows} == {names(p) for p in within}


def test_the_promise_of_a_clear_choice_is_its_mean():
    table = loss_table(
        np.array([1.0, 3.0, 3.0]) + np.random.default_rng(0).normal(0, 0.01, (50, 3)), clusters=range(50)
    )
    found = bl.choose(table, max_size=1, top=3, draws=200)
    first = found.rows[0]
    assert first.members == ("m0",)
    assert first.loss == pytest.approx(plain_pool(table, [0], "mixture")[0], rel=1e-12)
    assert (first.difference, first.difference_lower, first.difference_upper) == (0, 0, 0)
    assert (first.probability_best, first.probability_better_than_single, first.regret) == (1, 0, 0)
    # The mean of fifty normal losses of one model, by Student's t but for what the bootstrap adds.
    values = table["nll"].to_numpy()[:, 0]
    assert first.upper - first.loss == pytest.approx(stats.t.ppf(0.95, 49) * values.std(ddof=1) / 50**0.5, rel=0.25)


def test_the_oracle_keeps_all_of_its_gain_and_a_mixture_a_part():
    table = random_table(200, 4, seed=5)
    oracle, mixture = (bl.choose(table, rule=rule, draws=50).rows[0] for rule in ("oracle", "mixture"))
    assert oracle.share_of_oracle_gain == pytest.approx(1, abs=1e-12)
    assert mixture.share_of_oracle_gain is not None
    assert mixture.share_of_oracle_gain < 1
    alone = bl.choose(table, max_size=1, draws=50).rows[0]
    assert alone.share_of_oracle_gain is None


def test_the_promise_is_unbiased_where_the_mean_of_the_chosen_is_not():
    """Models that are all alike: whichever is chosen loses two in truth."""
    promised, naive, differences = [], [], []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        table = loss_table(2 + 0.3 * generator.normal(size=(80, 6)), clusters=range(80))
        first = bl.choose(table, max_size=1, top=1, draws=20, seed=seed)
        promised.append(first.rows[0].loss - 2)
        naive.append(first.lowest - 2)
        differences.append(first.rows[0].difference)
    error = np.std(promised, ddof=1) / len(promised) ** 0.5
    assert abs(np.mean(promised)) < 2 * error
    # The expected lowest of six normals is 1.267 standard deviations below their mean.
    assert np.mean(naive) == pytest.approx(-1.267 * 0.3 / 80**0.5, rel=0.2)
    assert np.mean(naive) < -5 * error
    assert differences == [0] * 60


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.03, 0.3])
def test_pools_promise_what_they_keep_on_new_samples(spread):
    """Mixtures of up to three of eight models, much alike or not, against twenty thousand new samples.

    Where models are much alike, the best of many single models in each draw is better than the best there is: that a
    pool is better than all of them is then said too seldom, never too often.
    """

    def drawn(quality, family, number, generator):
        of_family = generator.normal(0, 0.5, (number, 3))[:, family]
        return np.maximum(2.5 + quality + 0.4 * of_family + 0.25 * generator.normal(size=(number, 8)), 0.01)

    promised, naive, better, best = [], [], [], []
    pools = subsets(8, 3)
    for seed in range(100):
        generator = np.random.default_rng([seed, 7])
        quality, family = generator.normal(0, spread, 8), generator.integers(3, size=8)
        table = loss_table(drawn(quality, family, 100, generator), clusters=range(100))
        found = bl.choose(table, max_size=3, top=1, draws=200, seed=seed)
        new = loss_table(drawn(quality, family, 20_000, generator))
        truth = {names(pool): plain_pool(new, pool, "mixture")[0] for pool in pools}
        row = found.rows[0]
        promised.append(row.loss - truth[row.members])
        naive.append(found.lowest - truth[row.members])
        better.append((row.probability_better_than_single, truth[row.members] < min(list(truth.values())[:8])))
        best.append((row.regret, truth[row.members] - min(truth.values())))
    error = np.std(promised, ddof=1) / len(promised) ** 0.5
    assert abs(np.mean(promised)) < 2 * error
    said, was = np.array(better, dtype=float).mean(axis=0)
    regret, missed = np.mean(best, axis=0)
    assert said < was + 0.1
    assert regret == pytest.approx(missed, rel=0.5)
    if spread < 0.1:
        assert np.mean(naive) < -2 * np.std(naive, ddof=1) / len(naive) ** 0.5
    else:
        assert said == pytest.approx(was, abs=0.1)


def test_probabilities_of_two_models_are_those_of_a_difference_drawn_to_zero():
    """A difference with its sampling error, and the uniform share by which it is drawn to zero integrated out."""
    generator = np.random.default_rng(2)
    nll = 1 + 0.2 * generator.normal(size=(400, 2)) + [0, 0.01]
    found = bl.choose(loss_table(nll, clusters=range(400)), max_size=1, draws=20_000)
    difference = nll[:, 1] - nll[:, 0]
    mean, variance = difference.mean(), difference.var(ddof=1) / 400
    share = (np.arange(20_000) + 0.5) / 20_000
    weights = stats.norm.pdf(mean, 0, np.sqrt(variance / share))
    expected = np.average(stats.norm.cdf(abs(mean) * np.sqrt((1 - share) / variance)), weights=weights)
    assert found.rows[0].probability_best == pytest.approx(expected, abs=0.015)
    assert sum(row.probability_best for row in found.rows) == pytest.approx(1)
    kept = np.average(1 - share, weights=weights)
    assert found.rows[1].regret - found.rows[0].regret == pytest.approx(abs(mean) * kept, rel=0.05)


def test_models_far_apart_stay_where_they_are():
    """Then the draws are those of a bootstrap, and ranks those of the losses on the table."""
    generator = np.random.default_rng(2)
    nll = np.linspace(1, 3, 6) + 0.2 * generator.normal(size=(400, 6))
    table = loss_table(nll, clusters=range(400))
    found = bl.choose(table, max_size=1, draws=2000)
    assert [row.members[0] for row in found.rows] == [f"m{number}" for number in range(6)]
    assert found.rows[0].probability_best > 0.999
    assert found.rows[1].regret == pytest.approx(nll[:, 1].mean() - nll[:, 0].mean(), abs=0.005)


@pytest.mark.parametrize("log_sizes", [np.zeros(5), np.array([0.0, 1.0, 0.5, 3.0, 2.0])], ids=["level", "line"])
def test_draws_of_models_have_the_moments_of_their_posterior(log_sizes):
    """Of a known spread: the normal posterior of a mean among others, written out."""
    generator = np.random.default_rng(0)
    clusters, models, families = 4000, 5, np.array([0, 0, 1, 1, 2])
    truth = 0.02 * generator.normal(size=models)
    lost = 2 + truth + 0.5 * generator.normal(size=(clusters, models)) + generator.normal(size=(clusters, 1))
    found = ModelShrinkage(lost, np.ones(clusters), families, log_sizes)
    weights = generator.standard_exponential((4000, clusters))
    flat = weights @ lost / weights.sum(axis=1, keepdims=True)
    drawn = flat + found.shifts(weights, generator)
    # Of a flat mean and variance t between models: to the mean by s / (s + t), with t integrated out.
    means = lost.mean(axis=0)
    expected = means + means @ found.expected
    means, expected = means - means.mean(), expected - expected.mean()
    centred = drawn - drawn.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred.mean(axis=0), expected, atol=4 * centred.std(axis=0).max() / 4000**0.5)
    if not log_sizes.any():
        assert (np.abs(expected) < np.abs(means)).sum() >= 3
    assert centred.std(axis=0).mean() < (flat - flat.mean(axis=1, keepdims=True)).std(axis=0).mean()
    assert 0.003 < found.spread < 0.06


def test_models_are_drawn_to_the_line_by_generalised_least_squares():
    """With a flat level and slope: losses less S P losses, with P the precision of what is off the line (Harville)."""
    generator = np.random.default_rng(5)
    clusters, families, log_sizes = 5000, np.zeros(5, int), np.array([0.0, 1.0, 1.5, 3.0, 4.0])
    mixing = np.eye(5) + 0.5 * generator.normal(size=(5, 5))
    lost = 3 - 0.3 * log_sizes + 0.02 * generator.normal(size=5) + generator.normal(size=(clusters, 5)) @ mixing
    found = ModelShrinkage(lost, np.ones(clusters), families, log_sizes)
    errors, line = np.cov(lost.T) / clusters, np.column_stack([np.ones(5), log_sizes])
    (each,), expected = found._contrasts, np.zeros(5)
    np.testing.assert_allclose(line.T @ each.of_models, 0, atol=1e-9)
    for between, share in zip(found._posterior[0][0], found._posterior[1][0], strict=True):
        precision = np.linalg.inv(errors + between * np.eye(5))
        along = precision @ line
        off = precision - along @ np.linalg.solve(line.T @ along, along.T)
        expected += share * (lost.mean(axis=0) - errors @ off @ lost.mean(axis=0))
    moved = lost.mean(axis=0) @ found.expected
    np.testing.assert_allclose(lost.mean(axis=0) + moved, expected, atol=0.03 * np.abs(moved).max())
    # What is on a line stays where it is.
    np.testing.assert_allclose((3 - 0.3 * log_sizes) @ found.expected, 0, atol=1e-9)


@pytest.mark.parametrize("rule", in_gate(["mixture"], ["oracle", "mixture"]))
def test_a_search_finds_nearly_the_best_and_its_bound_holds(rule, monkeypatch):
    gaps = []
    for seed in range(4):
        table = random_table(200, 12, seed=seed)
        parameters = table["parameters"].to_numpy()
        limits: dict[str, Any] = {"max_parameters": 0.4 * float(parameters.sum())}
        exact = bl.choose(table, rule=rule, top=1, draws=20, **limits)
        with monkeypatch.context() as patch:
            patch.setattr(pool_search, "MOST_LISTED", 1)
            found = bl.choose(table, rule=rule, top=1, draws=20, **limits)
        assert exact.bound is None
        assert found.bound is not None
        assert found.bound <= exact.lowest <= found.lowest
        assert found.pools < exact.pools
        assert parameters[[int(name[1:]) for name in found.rows[0].members]].sum() <= limits["max_parameters"]
        gaps.append(found.lowest / exact.lowest - 1)
    assert max(gaps) < 0.005


def test_bounds_hold_for_every_pool():
    from bayeslaw.decision.limits import Admitted
    from bayeslaw.decision.loss_bounds import oracle_bound, simplex_bound

    table = random_table(80, 8, seed=4)
    nll, cost = table["nll"].to_numpy(), np.random.default_rng(1).random((1, 8))
    admitted = Admitted(np.arange(8), 1, cost, np.array([1.7]), 4)
    within = [p for p in subsets(8, 4) if 0 in p and cost[0, list(p)].sum() <= 1.7]
    lowest = min(nll[:, list(p)].min(axis=1).sum() for p in within)
    bounds = [oracle_bound(nll, admitted, np.array(p)) for p in subsets(8, 3) if 0 in p]
    assert max(bounds) <= lowest
    assert max(bounds) > 0.8 * lowest
    mixture = min(plain_pool(table, p, "mixture")[0] * 80 for p in subsets(8, 8))
    assert 0.9 * mixture < simplex_bound(nll) <= mixture


def test_the_best_member_is_no_worse_alone():
    table = random_table(200, 5, seed=9)
    found = bl.choose(table, rule="best", top=3, draws=50)
    assert len(found.rows[0].members) == 1
    assert found.rows[0].members == (found.single,)
    assert found.folds == 5


def test_the_front_falls_as_costs_rise_and_holds_what_is_best_for_its_cost():
    table = random_table(150, 6, seed=2)
    found = bl.choose(table, max_size=3, draws=300)
    front = [pool.members for pool in found.front]
    parameters = table["parameters"].to_numpy()
    looked = decide(table, Limits(3), rule="mixture", cost="parameters", top=1, seed=0)
    expectations = looked.contenders.expected.tolist()
    pools = [tuple(int(name[1:]) for name in looked.names(pool)) for pool in looked.contenders.pools]
    told = sorted(zip(expectations, pools, strict=True))
    expected = [
        p
        for loss, p in told
        if all(parameters[list(q)].sum() > parameters[list(p)].sum() for at, q in told if at < loss)
    ]
    assert front == [names(p) for p in sorted(expected, key=lambda p: parameters[list(p)].sum())]
    assert [pool.cost for pool in found.front] == sorted(pool.cost for pool in found.front)
    assert found.front[-1].members == found.rows[0].members
    # Pools that cost more than it may be better, which its place on the front does not ask.
    assert found.front[-1].probability >= found.rows[0].probability_best
    # Nothing is as cheap as the cheapest model.
    assert found.front[0].probability == 1
    assert list(found.pareto["cost"]) == [pool.cost for pool in found.front]


def test_the_front_of_prices_leaves_out_what_has_none():
    table = random_table(80, 4, seed=2)
    table["price"] = ("lm", [1.0, 2.0, np.nan, 0.5])
    front = bl.choose(table, cost="price", draws=50).front
    assert front
    assert all("m2" not in pool.members for pool in front)
    assert bl.choose(random_table(80, 4), cost="price", draws=50).front == ()


def test_the_same_seed_gives_the_same_and_another_other_folds():
    table = random_table(90, 5, seed=2)
    first, again, other = (bl.choose(table, seed=seed, draws=100) for seed in (1, 1, 2))
    assert first == again
    assert first.rows[0].upper != other.rows[0].upper


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_price": 1.0}, "price of 1 of 5 models is not known: m1"),
        ({"max_active": 1e9}, "active parameters of 5 of 5 models"),
        ({"max_parameters": 5e7}, "the nearest, m0, has 100M parameters"),
        ({"max_parameters": 2e8, "require": ["m1", "m2"]}, "the nearest, m1 \\+ m2, has 375M parameters"),
        ({"max_size": 1, "require": ["m1", "m2"]}, "2 models are required of a pool of up to 1"),
        ({"require": ["m11"]}, "require names 'm11'(.|\n)*use 'm1'"),
        ({"exclude": ["m33"]}, "exclude names 'm33'(.|\n)*use 'm3'"),
        ({"require": ["m1"], "exclude": ["m1"]}, "m1 is both required and excluded"),
        ({"exclude": ["m0", "m1", "m2", "m3", "m4"]}, "every model is excluded"),
        ({"rule": "token_mixture"}, "rule 'token_mixture' is not known"),
        ({"rule": "mixtur"}, "use 'mixture'"),
        ({"cost": "prise"}, "use 'price'"),
        ({"max_size": 0}, "at least 1"),
        ({"max_parameters": "many"}, "not a number"),
        ({"max_parameters": -1}, "at least zero"),
        ({"interval": 1.0}, "between 0 and 1"),
        ({"top": 0}, "from 1 to"),
    ],
)
def test_what_cannot_be_done_is_refused(limits, words):
    table = random_table(40, 5)
    table["price"] = ("lm", [1.0, np.nan, 2.0, 3.0, 4.0])
    with pytest.raises(InputError, match=words):
        bl.choose(table, **limits)


def test_a_price_that_is_excluded_need_not_be_known():
    table = random_table(40, 3)
    table["price"] = ("lm", [1.0, np.nan, 2.0])
    found = bl.choose(table, max_price=3, exclude=["m1"], draws=20)
    assert {name for row in found.rows for name in row.members} == {"m0", "m2"}


def test_one_cluster_is_refused_and_two_are_enough():
    with pytest.raises(InputError, match="one cluster"):
        bl.choose(random_table(40, 3, clusters=[0] * 40))
    found = bl.choose(random_table(40, 3, clusters=[0, 1] * 20), draws=20)
    assert found.folds == 2
    assert found.rows[0].lower <= found.rows[0].loss <= found.rows[0].upper


def test_a_table_of_whole_models_is_refused():
    with pytest.raises(InputError, match="samples"):
        bl.choose(bl.simulate_chinchilla())  # pyright: ignore[reportArgumentType]


def test_sentences_say_what_was_chosen_among_what():
    table = random_table(100, 4, seed=6)
    found = bl.choose(table, max_parameters="1B", draws=100)
    answer, confidence, *_, method, search = found.sentences
    assert " + ".join(found.rows[0].members) in answer
    assert "up to 4 members, 1B parameters" in answer
    assert found.single in answer
    assert "nats per word" in answer
    assert f"{found.rows[0].probability_best:.2f}" in confidence
    assert "90%" in method
    assert "100 clusters in 10 folds" in method
    assert search == f"Looked at: {found.pools} pools within the limits, which are all."
    assert str(found).splitlines() == found.sentences


def run(*arguments):
    return CliRunner().invoke(app, ["choose", *map(str, arguments)])


def test_json_has_the_keys_that_programs_rely_on():
    done = run("zoo", "--max-size", 2, "--max-parameters", "1M", "--top", 3, "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert len(rows) == 3
    for row in rows:
        assert tuple(row) == KEYS
        assert row["price"] is None
        assert row["parameters"] <= 1e6
        assert row["lower"] < row["loss"] < row["upper"]
        assert row["difference_lower"] <= row["difference"] <= row["difference_upper"]


def test_the_command_answers_in_words_and_draws_the_front(tmp_path):
    picture = tmp_path / "front.png"
    done = run("zoo", "--max-size", 2, "--exclude", "zoo-qwen3-1.5m", "--interval", 0.8, "--picture", picture)
    assert done.exit_code == 0
    assert done.stdout.startswith("Of pools of up to 2 members, without zoo-qwen3-1.5m, choose ")
    assert "80% intervals" in done.stdout
    assert "(document)" in done.stdout
    first = picture.read_bytes()
    assert (
        run("zoo", "--max-size", 2, "--exclude", "zoo-qwen3-1.5m", "--interval", 0.8, "--picture", picture).exit_code
        == 0
    )
    assert picture.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["zoo", "--max-price", 1], "the price of 24 of 24 models is not known"),
        (["zoo", "--max-parameters", "1k"], "no pool is within the limits"),
        (["zoo", "--require", "zoo-gpt2"], "require names 'zoo-gpt2'"),
        (["zoo", "--rule", "nonsense"], "rule 'nonsense' is not known"),
        (["zoo", "--picture", "front.txt"], "no picture can be written"),
        (["zoo", "--cost", "price", "--max-size", 1, "--picture", "front.png"], "the price of no pool is known"),
        (["zoo", "--cost", "price"], "--cost price is given without --picture"),
    ],
)
def test_the_command_ends_with_2_and_a_message(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "fix:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_is_none_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "f.nc").write_bytes(b"")
    done = run(tmp_path / "f.nc")
    assert done.exit_code == 2
    assert "f.nc" in done.stderr
    assert "fix:" in done.stderr


def test_enumeration_lists_what_is_within_limits():
    from bayeslaw.decision.limited_pools import limited_pools

    generator = np.random.default_rng(0)
    costs, most = generator.random((2, 9)), np.array([1.4, 1.9])
    for required in (0, 1, 2):
        found = limited_pools(costs, most, required, 4, 10_000)
        assert found is not None
        expected = [
            p
            for size in range(1, 5)
            for p in combinations(range(9), size)
            if set(range(required)) <= set(p) and (costs[:, list(p)].sum(axis=1) <= most).all()
        ]
        assert [tuple(m for m in row if m >= 0) for row in found.tolist()] == sorted(expected)
        assert limited_pools(costs, most, required, 4, len(expected) - 1) is None


def test_a_row_does_not_depend_on_how_many_are_told():
    table = random_table(90, 5, seed=2)
    few, many = (bl.choose(table, top=top, draws=100) for top in (1, 9))
    first, again = (asdict(found.rows[0]) for found in (few, many))
    # But for the order in which numbers are added up.
    assert first.pop("share_of_oracle_gain") == pytest.approx(again.pop("share_of_oracle_gain"), rel=1e-12)
    assert first == again
    assert few.front == many.front


@pytest.mark.parametrize("rule", ["oracle", "mixture"])
@pytest.mark.parametrize("spread", [0.3, 40.0, 300.0, 3000.0])
def test_sums_by_fold_are_those_of_each_pool(rule, spread):
    """Also where losses of models lie so far apart that products of probabilities, or these, leave the range."""
    from bayeslaw.decision.limits import Admitted
    from bayeslaw.decision.pool_search import search_pools
    from bayeslaw.pools.rules import find_rule

    generator = np.random.default_rng(0)
    nll, folds = spread * generator.random((2500, 5)), generator.integers(3, size=2500)
    admitted = Admitted(np.arange(5), 0, np.zeros((0, 5)), np.zeros(0), 4)
    found = search_pools(nll, folds, admitted, find_rule(rule))
    assert len(found.pools) == 30
    which, others = found.without_fold(1)
    assert which.tolist() == list(range(30))
    np.testing.assert_allclose(others, found.sums[0] + found.sums[2])
    for pool, sums in zip(found.pools, found.sums.T, strict=True):
        losses = find_rule(rule).functions.losses(nll[:, pool[pool >= 0]], folds)
        np.testing.assert_allclose(sums, np.bincount(folds, losses), rtol=2e-6)


def test_of_two_models_of_one_cost_one_is_on_the_front():
    generator = np.random.default_rng(3)
    table = loss_table(2 + 0.3 * generator.normal(size=(200, 3)) + [0, 0.02, 0.04], parameters=[1e8, 1e8, 1e8])
    found = bl.choose(table, max_size=1, draws=500)
    [front] = found.front
    assert front.members == found.rows[0].members
    assert front.probability == found.rows[0].probability_best
    assert 0.3 < front.probability < 0.999


def test_rules_that_are_cross_fitted_are_evaluated_for_the_most_promising_pools(monkeypatch):
    """What `combine` says of each of them, and a bound on what is left out."""
    from bayeslaw.decision import preselection

    table = random_table(120, 8, seed=2, clusters=np.arange(120) // 2)
    every = bl.choose(table, rule="best", max_size=2, top=36, draws=20)
    assert every.pools == 36
    assert every.bound is None
    monkeypatch.setattr(preselection, "MOST_EVALUATED", 12)
    found = bl.choose(table, rule="best", max_size=2, top=5, draws=20)
    assert 12 <= found.pools <= 20
    oracle = sorted(plain_pool(table, pool, "oracle")[0] for pool in subsets(8, 2))
    assert found.bound is not None
    assert oracle[0] <= found.bound <= oracle[found.pools]
    expected = min(float(bl.combine(table, list(row.members), rule="best").mean()) for row in every.rows)
    assert every.lowest == pytest.approx(expected, rel=1e-12)
    assert "not all" in found.sentences[-1]
