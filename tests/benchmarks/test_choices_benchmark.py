"""The benchmark of choices: its short way to a promise, its loops, and how it draws and splits clusters."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from pool_tables import random_table

import bayeslaw as bl
from bayeslaw.decision.limits import Limits

pytestmark = pytest.mark.tools

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        specification = importlib.util.spec_from_file_location("choices_benchmark", BENCHMARKS / "choices.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.parametrize("rule", ["oracle", "mixture"])
def test_a_promise_is_that_of_choose(benchmark, rule):
    table = random_table(200, 6, clusters=np.arange(200) // 3, sizes=np.arange(200) % 5 + 1)
    found = bl.choose(table, max_size=3, max_parameters=9e8, rule=rule, top=1, draws=20, seed=4)
    promised, lowest, members = benchmark.promise(table, Limits(3, {"parameters": 9e8}), rule, 4)
    assert promised == pytest.approx(found.rows[0].loss, rel=1e-6)
    assert lowest == pytest.approx(found.lowest, rel=1e-6)
    assert tuple(members) == found.rows[0].members


def test_no_half_shares_a_cluster(benchmark):
    table = benchmark.lean(random_table(200, 4, clusters=np.arange(200) // 4))
    drawn = benchmark.resampled(table, np.random.default_rng(0))
    here, there = benchmark.halves(drawn, np.random.default_rng(1))
    assert not set(here["cluster"].to_numpy()) & set(there["cluster"].to_numpy())
    assert here.sizes["sample"] + there.sizes["sample"] == drawn.sizes["sample"]
    # Whole clusters are drawn, some of them twice.
    assert drawn.sizes["sample"] == 200
    assert set(np.unique(drawn["cluster"].to_numpy(), return_counts=True)[1] % 4) == {0}


def test_the_loop_of_mixtures_is_right(benchmark):
    table = random_table(50, 4)
    expected = [bl.combine(table, ["m0", "m2"], rule="mixture").mean(), bl.combine(table, ["m3"]).mean()]
    np.testing.assert_allclose(benchmark.mixture_loop(table["nll"].to_numpy(), [[0, 2], [3]]), expected)
