"""Which pool to take by a joint fit: models that could be had beside those that are scored."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.decision.cluster_draws import odds_of

CANDIDATES = {"name": ["big", "other"], "family": ["alder", "unseen"], "parameters": [1e11, 3e10], "price": [2.0, 1.0]}


@pytest.fixture(scope="module")
def found(joint_fit: bl.Fit) -> bl.Choices:
    return bl.choose(joint_fit, CANDIDATES, max_size=2, top=200, draws=100)


def test_odds_are_counts_of_draws():
    lost = np.array([[1.0, 2.0, 3.0], [2.0, 1.5, 0.5], [1.0, 0.5, 3.0], [1.0, 0.5, 0.4]])
    odds = odds_of(lost, np.array([True, True, False]), 3, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(odds.best, [0.25, 0.25, 0.5])
    np.testing.assert_allclose(odds.better_than_single, [0, 0, 0.5])
    np.testing.assert_allclose(odds.regret, (lost - lost.min(axis=1, keepdims=True)).mean(axis=0))
    np.testing.assert_allclose(odds.on_front, [1, 0.75, 0.5])
    # A third that does not come into question is compared to, and is not the best.
    np.testing.assert_allclose(odds_of(lost, np.array([True, True, True]), 2, np.ones(3)).best, [0.25, 0.75, 0])


def test_pools_hold_candidates_and_are_ordered_by_expected_loss(found: bl.Choices, joint_fit: bl.Fit):
    count = len(joint_fit.model.table.names) + 2
    assert found.pools == len(found.rows) == count * (count + 1) // 2
    losses = [row.loss for row in found.rows]
    assert losses == sorted(losses)
    assert {"big", "other"} <= {name for row in found.rows for name in row.members}
    assert sum(row.probability_best for row in found.rows) == pytest.approx(1.0)
    regrets = [row.regret for row in found.rows]
    assert regrets == pytest.approx([regrets[0] + loss - losses[0] for loss in losses])
    single = next(row for row in found.rows if row.members == (found.single,))
    assert single.difference == 0
    assert all(row.difference == pytest.approx(row.loss - single.loss) for row in found.rows)
    costs, front = [pool.cost for pool in found.front], [pool.loss for pool in found.front]
    assert costs == sorted(costs)
    assert front == sorted(front, reverse=True)


def test_cheap_pools_are_on_the_front_where_few_are_drawn(joint_fit: bl.Fit, monkeypatch: pytest.MonkeyPatch):
    every = bl.choose(joint_fit, max_size=3, draws=100).front
    monkeypatch.setattr("bayeslaw.decision.joint_choices.MOST_POOLS", 2)
    few = bl.choose(joint_fit, max_size=3, draws=100).front
    assert [pool.members for pool in few] == [pool.members for pool in every]
    assert any(len(pool.members) > 1 for pool in every[:-2])


def test_losses_are_those_that_are_predicted(found: bl.Choices, joint_fit: bl.Fit):
    name = str(joint_fit.model.table.names[0])
    row = next(row for row in found.rows if set(row.members) == {name, "big"})
    expected = bl.predict(joint_fit, {"members": [f"{name},1e11:alder"]}, rule="mixture", interval=0.9)
    width = float(expected["upper"][0] - expected["lower"][0])
    assert row.loss == pytest.approx(float(expected["mean"][0]), abs=0.15 * width)
    assert row.upper - row.lower == pytest.approx(width, rel=0.35)


def test_limits_hold_for_candidates_too(joint_fit: bl.Fit):
    table = joint_fit.model.table
    first = str(table.names[0])
    most = 3e10 + float(table.parameters[0])
    limited = bl.choose(joint_fit, CANDIDATES, max_parameters=most, max_size=2, require=["other"], top=200, draws=50)
    assert all("other" in row.members and row.parameters <= most * (1 + 1e-9) for row in limited.rows)
    assert not any("big" in row.members for row in limited.rows)
    scored = [str(name) for name in table.names if str(name) != first]
    priced = bl.choose(joint_fit, CANDIDATES, max_price=3, max_size=2, exclude=[first, *scored], top=9, draws=50)
    assert {row.members: row.price for row in priced.rows} == {("big",): 2.0, ("other",): 1.0, ("big", "other"): 3.0}


def test_scored_models_may_be_given_their_price_beside_candidates(joint_fit: bl.Fit):
    scored = [str(name) for name in joint_fit.model.table.names]
    priced = {
        "name": [*scored, "big"],
        "family": [*map(str, joint_fit.model.table.families), "alder"],
        "parameters": [*joint_fit.model.table.parameters, 1e11],
        "price": [float(place) + 1 for place in range(len(scored))] + [2.0],
        "active_parameters": [1e6] * len(scored) + [1e9],
    }
    found = bl.choose(joint_fit, priced, max_price=3, max_active="1B", max_size=2, top=200, draws=50)
    prices = dict(zip(priced["name"], priced["price"], strict=True))
    assert {row.members for row in found.rows} >= {(scored[0],), ("big",), (scored[0], scored[1])}
    for row in found.rows:
        assert row.price == sum(prices[name] for name in row.members) <= 3
        assert row.active_parameters is not None
        assert row.active_parameters <= 1e9


def test_sizes_that_contradict_what_was_scored_are_refused(joint_fit: bl.Fit):
    first, size = str(joint_fit.model.table.names[0]), float(joint_fit.model.table.parameters[0])
    given = {"name": [first, "big"], "family": ["alder", "alder"], "parameters": [size, 1e11], "price": [1.0, 2.0]}
    assert bl.choose(joint_fit, given, max_size=1, draws=50).rows
    with pytest.raises(bl.InputError, match=f"the candidate {first} has .* that was scored has"):
        bl.choose(joint_fit, given | {"parameters": [2 * size, 1e11]}, max_size=1, draws=50)
    with pytest.raises(bl.InputError, match=f"{first} is of the family 'birch', and the model of that name .* 'alder'"):
        bl.choose(joint_fit, given | {"family": ["birch", "alder"]}, max_size=1, draws=50)
    with pytest.raises(bl.InputError, match="big has 200B active parameters, and 100B in all"):
        bl.choose(joint_fit, given | {"active_parameters": [size, 2e11]}, max_size=1, draws=50)


def test_doubts_about_candidates_are_told(joint_fit: bl.Fit):
    far = {"name": ["far"], "family": ["Alder"], "parameters": [1e30]}
    for text in (
        bl.choose(joint_fit, far, max_size=1, draws=50).sentences[2],
        " ".join(bl.next_scores(joint_fit, far, max_size=1, draws=50).sentences),
    ):
        assert "Far beyond the sizes seen: far (" in text
        assert "taken as new ones: far (Alder); seen are alder" in text
    near = bl.choose(joint_fit, {"name": ["near"], "family": ["alder"], "parameters": [1e9]}, max_size=1, draws=50)
    assert "Far beyond" not in near.sentences[2]
    assert "has not seen" not in near.sentences[2]


def test_what_cannot_be_chosen_is_said(joint_fit: bl.Fit, power_fit: bl.Fit):
    with pytest.raises(bl.InputError, match="max_price is given, and the price of"):
        bl.choose(joint_fit, CANDIDATES, max_price=3)
    with pytest.raises(bl.InputError, match="the law power, which knows no losses"):
        bl.choose(power_fit)
    with pytest.raises(bl.InputError, match="columns of candidates differ in length"):
        bl.choose(joint_fit, {"name": ["a", "b"], "family": ["alder"], "parameters": [1e9]})
    with pytest.raises(bl.InputError, match="candidates are given with a table"):
        bl.choose(bl.load_dataset("zoo"), CANDIDATES)


def test_the_command_chooses_by_a_fit(joint_file: Path, tmp_path: Path):
    path = tmp_path / "candidates.csv"
    pd.DataFrame(CANDIDATES).to_csv(path, index=False)
    asked = ["choose", str(joint_file), "--candidates", str(path), "--max-size", "1", "--rule", "best"]
    run = CliRunner().invoke(app, [*asked, "--json"])
    assert run.exit_code == 0, run.output
    rows = json.loads(run.stdout)
    assert rows[0]["members"]
    assert {row["rule"] for row in rows} == {"best"}
    shown = CliRunner().invoke(app, asked).output
    assert "draws of the joint law's posterior" in shown
    refused = CliRunner().invoke(app, [*asked, "--unit", "line"])
    assert refused.exit_code == 2
    assert "--unit is given with a fit" in refused.output
