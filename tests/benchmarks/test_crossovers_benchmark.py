"""What `benchmarks/crossovers.py`, `choices_simulated.py` and `reliability.py` count."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def studies():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return [importlib.import_module(name) for name in ("crossovers", "choices_simulated", "reliability")]
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("law", ["collaboration", "joint"])
def test_the_quick_run_prints_every_kind_of_statement(studies, capsys, law, tmp_path) -> None:
    kept = tmp_path / "kept.jsonl"
    arguments = ["--smoke", "--law", law, "--checkpoint", str(kept)]
    studies[0].main(arguments)
    printed = capsys.readouterr().out
    for name in ("pool better, inside", "pool better, beyond", "crossover exists", "90% intervals", "envelope"):
        assert name in printed
    assert [json.loads(line)["table"] for line in kept.read_text().splitlines()] == [0, 1, 2, 3]
    # A second run reads what the first wrote, and prints the same.
    studies[0].main(arguments)
    again = capsys.readouterr()
    assert (again.out, again.err) == (printed, "")


def test_the_quick_run_of_choices_prints_regrets(studies, capsys) -> None:
    studies[1].main(["--smoke", "--rule", "mixture"])
    printed = capsys.readouterr().out
    for name in ("best, first", "better, others", "regret, chosen", "regret, in sample", "models alike and apart"):
        assert name in printed


def records_of(stated, holds, drawn):
    columns = {"table": np.arange(len(stated)) // 2, "what": "it", "stated": stated, "holds": holds, "drawn": drawn}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_statements_are_held_to_an_envelope(studies, wrong) -> None:
    """True ones are inside; those that hold more often than is said are not."""
    generator = np.random.default_rng(0)
    stated = generator.uniform(size=800)
    # Both statements of a table hold together.
    hold = np.repeat(generator.uniform(size=400), 2) < stated + wrong
    drawn = generator.uniform(size=(200, 400)).repeat(2, axis=1) < stated
    texts = ["".join("01"[int(each)] for each in column) for column in drawn.T]
    every, *bins = studies[2].reliability(records_of(stated, hold, texts))
    assert every["statements"] == sum(row["statements"] for row in bins) == 800
    assert [row["stated"] for row in bins] == studies[2].BINS
    assert all(row["envelope_lower"] <= row["mean_stated"] <= row["envelope_upper"] for row in (every, *bins))
    assert all(row["inside"] for row in (every, *bins)) == (wrong == 0)


def test_an_envelope_holds_most_replicates_at_once(studies) -> None:
    drawn = np.random.default_rng(1).normal(size=(2000, 10))
    low, high = studies[2].envelope(drawn, 0.9)
    inside = ((drawn >= low) & (drawn <= high)).all(axis=1).mean()
    assert 0.9 <= inside < 0.93
