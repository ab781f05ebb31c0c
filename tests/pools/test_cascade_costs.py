"""What a cascade loses against what it runs."""

import numpy as np
import pytest
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.cascade import Cascade
from bayeslaw.pools.known import Known


def table_of(seed=0, samples=300):
    generator = np.random.default_rng(seed)
    hard = generator.gamma(2, 1, (samples, 1))
    nll = hard * np.array([1.3, 1.1, 1.0]) * generator.lognormal(0, 0.2, (samples, 3))
    return loss_table(nll, parameters=[1e9, 3e9, 9e9], clusters=np.arange(samples) // 3)


def test_without_a_weight_it_is_the_rule_and_with_more_it_runs_less():
    table = table_of()
    found = bl.cascade_costs(table, ["m0", "m1", "m2"])
    rule = bl.attainability(table, ["m0", "m1", "m2"], rules=["cascade", "best"], draws=20)
    assert found["weight"].iloc[0] == 0
    assert found["loss"].iloc[0] == pytest.approx(rule["cascade"].rule_loss)
    assert found["difference"].iloc[0] == pytest.approx(rule["cascade"].difference.value)
    assert found["parameters"].iloc[0] == pytest.approx(rule.parameters["cascade"])
    assert 1e9 <= found["parameters"].iloc[-1] < 0.5 * found["parameters"].iloc[0]
    assert found["parameters"].diff().dropna().max() < 0.05 * found["parameters"].iloc[0]
    assert found["share_of_largest"].iloc[-1] == pytest.approx(found["parameters"].iloc[-1] / 9e9)
    assert (found["standard_error"] >= 0).all()
    assert set(found["unit"]) == {"nats per word"}


def test_prices_are_what_counts_where_every_member_has_one():
    """The largest is the cheapest here: with a weight of prices more samples go on to it, of parameters fewer."""
    table, names = table_of(), ["m0", "m1", "m2"]
    plain = bl.cascade_costs(table, names)
    priced = bl.cascade_costs(table.assign(price=("lm", [4.0, 2.0, 0.5])), names)
    assert (plain["cost"] == "parameters").all()
    assert plain["price"].isna().all()
    assert (priced["cost"] == "price").all()
    same = ["loss", "difference", "parameters"]
    np.testing.assert_array_equal(priced[same].iloc[0], plain[same].iloc[0])
    # Every sample runs the first member, the dearest.
    assert 4 <= priced["price"].min() <= priced["price"].max() <= 6.5
    np.testing.assert_allclose(priced["share_of_dearest"], priced["price"] / 4)
    assert priced["price"].iloc[-1] < priced["price"].iloc[0]
    assert not np.allclose(priced["parameters"], plain["parameters"])
    unknown = bl.cascade_costs(table.assign(price=("lm", [4.0, np.nan, 0.5])), names)
    np.testing.assert_array_equal(unknown["loss"], plain["loss"])
    of_rules = bl.attainability(
        table.assign(price=("lm", [4.0, 2.0, 0.5])), names, rules=["cascade", "oracle"], draws=20
    )
    assert of_rules.prices["cascade"] == pytest.approx(priced["price"].iloc[0])
    assert of_rules.prices["oracle"] == 6.5
    assert not bl.attainability(table, names, rules=["oracle"], draws=20).prices


def test_thresholds_lose_least_with_what_they_run():
    nll = table_of(1)["nll"].to_numpy()[:, :2]
    tolls = np.tile([0.1, 0.4], (len(nll), 1))
    built = Cascade(nll, Known(np.ones(len(nll)), np.array([1.0, 2.0])), tolls=tolls)
    on = built.goes_on(built.fit(np.ones(len(nll))), 0)
    found = np.where(on, nll[:, 1] + 0.5, nll[:, 0] + 0.1).sum()
    cuts = (nll[:, 0] > cut for cut in (-np.inf, *nll[:, 0], np.inf))
    assert found == pytest.approx(min(np.where(each, nll[:, 1] + 0.5, nll[:, 0] + 0.1).sum() for each in cuts))


def test_what_cannot_be_a_cascade_is_refused():
    table = table_of()
    with pytest.raises(InputError, match="of one member"):
        bl.cascade_costs(table, ["m0"])
    with pytest.raises(InputError, match="the table has one"):
        bl.cascade_costs(table.assign(cluster=("sample", ["a"] * 300)), ["m0", "m1"])
    answers = table.assign(nll=(table["nll"] > 2).astype(float)).assign_attrs(metric="error_rate")
    with pytest.raises(InputError, match="right or wrong"):
        bl.cascade_costs(answers, ["m0", "m1"])
