"""What is said beside a choice: the cheapest pool that is as good, members that never matter, and former names."""

import numpy as np
import pytest
from pool_tables import loss_table, random_table
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.decision.cheaper_pools import cheapest_as_good
from bayeslaw.inputs.former_names import FormerNameWarning


def test_the_cheapest_whose_difference_holds_zero_is_named():
    away = np.array([[0.0, -0.1, 0.1, 0.4], [0.0, 0.3, 0.0, 0.6]] * 50)
    assert cheapest_as_good(away, np.array([4.0, 3.0, 2.0, 1.0]), 0.9) == pytest.approx((2, 0.05, 0.0, 0.1))
    assert cheapest_as_good(away, np.array([1.0, 3.0, 2.0, 1.0]), 0.9) is None
    assert cheapest_as_good(away, np.array([4.0, np.nan, np.nan, 1.0]), 0.9) is None


def test_a_copy_at_half_the_price_is_as_good():
    generator = np.random.default_rng(0)
    nll = 2 + 0.3 * generator.normal(size=(200, 3)) + [0, 0.001, 1.0]
    table = loss_table(nll, parameters=[2e8, 1e8, 5e7])
    found = bl.choose(table, max_size=1, draws=400)
    assert found.cheaper is not None
    first = found.rows[0].members
    if first == ("m0",):
        assert found.cheaper.members == ("m1",)
        assert found.cheaper.share == pytest.approx(0.5)
        assert "m1 has 50% of its parameters, 100M" in " ".join(found.sentences)
    assert found.cheaper.members != ("m2",)
    assert found.cheaper.lower <= 0


def test_no_pool_is_told_of_with_a_member_that_never_wins():
    generator = np.random.default_rng(1)
    nll = 2 + 0.3 * generator.normal(size=(150, 3))
    never = nll.max(axis=1, keepdims=True) + 1
    table = loss_table(np.hstack([nll, never]), clusters=range(150))
    found = bl.choose(table, rule="oracle", max_size=4, top=20, draws=50)
    assert {row.members for row in found.rows if "m3" in row.members} == {("m3",)}
    # Of eight pools with it, alone it is a pool; the seven others lose what they do without it.
    assert (len(found.rows), found.idle, found.pools) == (8, 7, 15)
    assert "7 pools with a member that never matters" in found.sentences[-1]
    assert sum(row.probability_best for row in found.rows) == pytest.approx(1)
    assert f"the best of all {found.pools} pools within the limits" in found.sentences[1]


def test_a_member_that_hardly_ever_wins_is_named():
    generator = np.random.default_rng(1)
    nll = 2 + 0.3 * generator.normal(size=(400, 2))
    rare = nll.max(axis=1) + 1
    rare[0] = nll[0].min() - 0.01
    table = loss_table(np.column_stack([nll, rare]), clusters=range(400))
    found = bl.choose(table, rule="oracle", top=7, draws=50)
    rows = {row.members: number for number, row in enumerate(found.rows, 1)}
    named = {(each.row, each.member) for each in found.hardly}
    assert (rows["m0", "m1", "m2"], "m2") in named
    assert rows["m0", "m1"] not in {row for row, _ in named}
    assert f"row {rows['m0', 'm1', 'm2']} without m2 (0.2%)" in str(found)
    assert "without a member" not in str(bl.choose(table, rule="oracle", max_size=1, draws=50))


def test_a_row_has_the_loss_of_its_pool_beside_the_promise_of_its_rank():
    found = bl.choose(random_table(80, 4), max_size=2, top=6, draws=50)
    expected = [row.expected_loss for row in found.rows]
    assert expected == sorted(expected)
    done = CliRunner().invoke(app, ["choose", "zoo", "--max-size", "1"], env={"COLUMNS": "300"})
    for words in ("expected loss", "promised of this rank", "(below 0:"):
        assert words in done.stdout


def test_a_model_that_is_required_twice_is_named_once():
    found = bl.choose(random_table(60, 4), max_size=2, require=["m1", "m1"], exclude=["m2", "m2"], draws=20)
    assert found.limits == "up to 2 members, with m1, without m2"
    assert found == bl.choose(random_table(60, 4), max_size=2, require=["m1"], exclude=["m2"], draws=20)


def test_the_level_of_intervals_has_one_name():
    table = random_table(60, 3)
    with pytest.warns(FormerNameWarning, match="choose: level is called interval"):
        former = bl.choose(table, draws=20, level=0.5)
    assert former == bl.choose(table, draws=20, interval=0.5)
    with pytest.warns(FormerNameWarning, match="level is called interval"):
        assert former.level == 0.5
    done = CliRunner().invoke(app, ["choose", "zoo", "--max-size", "1", "--level", "0.5"])
    assert done.exit_code == 0
    assert done.stderr.count("--level is called --interval") == 1
    assert "50% intervals" in done.stdout


def test_how_many_draws_probabilities_are_of_is_said():
    method = bl.choose(random_table(60, 3), draws=100).sentences[-2]
    assert "means over 100 draws" in method
    assert "a probability is known to 0.05 (standard error) or better" in method


def test_a_regime_that_there_is_none_of_is_refused_before_the_fit_is_read(tmp_path):
    (tmp_path / "f.nc").write_bytes(b"no fit")
    done = CliRunner().invoke(app, ["when", str(tmp_path / "f.nc"), "--regime", "[/red]"])
    assert done.exit_code == 2
    assert "regime '[/red]' is not known" in done.stderr
    assert "accepted: one of homogeneous, heterogeneous, best" in done.stderr
