"""The table of all rules of a pool: its columns, what is left out, win shares and what runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.rules import RULES

KEYS = [
    "rule",
    "loss",
    "difference",
    "difference_lower",
    "difference_upper",
    "share",
    "share_lower",
    "share_upper",
    "unit",
]
NAMES = ["m0", "m1", "m2"]


def table_of(seed=0, samples=400, **others):
    generator = np.random.default_rng(seed)
    nll = generator.gamma(3, 0.5, (samples, 1)) + generator.gamma(2, 0.4, (samples, 3)) + [0, 0.05, 0.1]
    return loss_table(nll, clusters=np.arange(samples) // 4, **others)


def features_of(table, seed=1):
    noise = np.random.default_rng(seed).normal(size=(table.sizes["sample"], 2))
    return pd.DataFrame(noise, columns=["x", "y"])


def test_every_rule_has_a_row_of_the_keys_promised():
    table = table_of()
    found = bl.attainability(table, NAMES, features=features_of(table), draws=100)
    assert list(found.table.columns) == KEYS
    assert [list(record) for record in found.records] == [KEYS] * len(found.records)
    rules = [name for name, rule in RULES.items() if not (rule.on_tokens or rule.votes)]
    assert sorted(found.table["rule"]) == sorted(rules)
    attainable = [RULES[name].attainable for name in found.table["rule"]]
    assert attainable == sorted(attainable)
    assert sorted(found.left_out) == ["majority", "token_mixture", "token_oracle"]
    for row in found.table.itertuples():
        assert row.loss == pytest.approx(
            float(bl.combine(table, NAMES, rule=row.rule, features=features_of(table)).mean())
        )
        assert row.difference == pytest.approx(row.loss - found["best"].rule_loss)
        assert row.difference_lower <= row.difference <= row.difference_upper
        assert row.share == pytest.approx(-row.difference / found["oracle"].gain.value)
        assert row.unit == "nats per word"
    assert found["oracle"].difference.upper < 0 < found["oracle"].gain.lower
    assert found["best"].difference == found["best"].difference.__class__(0, 0, 0)


def test_a_rule_is_told_alike_alone_and_among_others():
    table = table_of(1)
    together = bl.attainability(table, NAMES, draws=100)
    for name in ("mixture", "stacked", "cascade"):
        assert bl.attainability(table, NAMES, rules=name, draws=100)[name] == together[name]


def test_rules_without_what_they_need_are_left_out_or_refused_by_name():
    table = table_of()
    found = bl.attainability(table, NAMES, draws=20)
    assert "nothing is known of the samples" in found.left_out["routed"]
    assert "0 columns of numbers" in found.left_out["cascade_by_feature"]
    with pytest.raises(InputError, match="'routed' cannot be computed: nothing is known"):
        bl.attainability(table, NAMES, rules=["mixture", "routed"])
    with pytest.raises(InputError, match="'token_oracle' needs the loss of every token"):
        bl.attainability(table, NAMES, rules="token_oracle")
    with pytest.raises(InputError, match="'orcale' is not known"):
        bl.attainability(table, NAMES, rules=["orcale"])
    one = table_of().assign(cluster=("sample", np.full(400, "a", dtype=object)))
    alone = bl.attainability(one, NAMES, draws=20)
    assert "one cluster" in alone.reason
    assert alone.table["difference"].isna().all()
    assert list(alone.of_rules) == ["oracle", "mixture"]


def test_win_shares_are_weighted_means_with_errors_over_clusters():
    sizes = np.random.default_rng(3).integers(1, 9, 400)
    table = table_of(2, sizes=sizes)
    found = bl.attainability(table, NAMES, draws=20)
    by_rule = found.win_shares.groupby("rule")["share"].sum()
    np.testing.assert_allclose(by_rule, 1)
    nll = table["nll"].to_numpy()
    wins = (nll == nll.min(axis=1, keepdims=True)).astype(float) * sizes[:, None]
    shares = found.win_shares[found.win_shares["rule"] == "oracle"]
    np.testing.assert_allclose(shares["share"], wins.sum(axis=0) / sizes.sum())
    errors = bl.clustered_standard_error(wins, sizes.astype(float), table["cluster"].to_numpy())
    np.testing.assert_allclose(shares["standard_error"], errors)


def test_what_runs_is_counted():
    table = table_of(4, parameters=[1e9, 2e9, 4e9])
    found = bl.attainability(table, NAMES, draws=20, features=features_of(table))
    for rule in ("oracle", "mixture", "stacked"):
        assert found.parameters[rule] == pytest.approx(7e9)
    shares = found.win_shares.set_index(["rule", "member"])["share"]
    for rule in ("best", "routed"):
        assert found.parameters[rule] == pytest.approx(shares[rule] @ [1e9, 2e9, 4e9])
    # Who answers last has run after all that are smaller.
    assert found.parameters["cascade"] == pytest.approx(shares["cascade"] @ [1e9, 3e9, 7e9])


def test_shares_are_empty_where_the_gain_is_too_small_and_differences_are_not():
    nll = np.random.default_rng(5).gamma(2, 1, (200, 1)) + 1
    found = bl.attainability(loss_table(np.column_stack([nll, nll + 0.5])), ["m0", "m1"], draws=50)
    assert found.table[["share", "share_lower", "share_upper"]].isna().all(axis=None)
    assert found.table["difference"].notna().all()
    assert "standard errors" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [10, 30])
def test_intervals_of_rules_that_choose_hold_their_expectation(clusters):
    """Cross-fitted estimates are unbiased for their expectation over tables, which their mean over many tables is."""
    found = {rule: [] for rule in ("stacked", "routed", "cascade")}
    for number in range(150):
        generator = np.random.default_rng([clusters, number])
        code = np.repeat(np.arange(clusters), 10)
        feature = generator.normal(size=len(code)) + generator.normal(size=clusters)[code]
        nll = generator.gamma(2, 1, (clusters, 1))[code] + generator.gamma(2, 0.25, (clusters, 3))[code]
        nll = nll + generator.gamma(2, 0.5, (len(code), 3)) + [0.2, 0.5, 0.8]
        nll[:, 1] += 0.3 * np.maximum(feature, -1)
        nll[:, 2] -= 0.3 * np.minimum(feature, 1)
        table = loss_table(nll, clusters=code)
        features = pd.DataFrame({"x": feature, "noise": generator.normal(size=len(code))})
        shown = bl.attainability(table, NAMES, rules=list(found), features=features, seed=number, draws=500)
        for rule, values in found.items():
            difference = shown[rule].difference
            values.append((difference.value, difference.lower, difference.upper))
    for rule, values in found.items():
        value, lower, upper = np.array(values).T
        covered = np.mean((lower <= value.mean()) & (value.mean() <= upper))
        assert covered > 0.87 - 3 * np.sqrt(0.1 * 0.9 / 150), (rule, covered)


def test_ends_that_an_interval_of_the_share_does_not_have_are_told_in_words():
    found = replace(bl.attainability(table_of(), NAMES, draws=100)["mixture"], value=0.19, lower=-0.25, upper=0.46)
    assert found.share_text() == "19% (-25% to 46%)"
    assert replace(found, upper=np.inf).share_text(1) == "19.0% (-25.0% or more)"
    assert replace(found, lower=-np.inf).share_text() == "19% (46% or less)"
    assert replace(found, lower=-np.inf, upper=np.inf).share_text() == "19% (not bounded)"
    assert "inf" not in str(replace(found, reason="", upper=np.inf))
