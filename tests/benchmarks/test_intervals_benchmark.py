"""Coverage of the intervals of pools, on fewer tables than the benchmark takes."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "intervals.py"


@pytest.fixture(scope="module")
def study():
    specification = importlib.util.spec_from_file_location("intervals_benchmark", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.mark.tools
def test_the_quick_run_prints_every_quantity(study, capsys) -> None:
    study.main(["--smoke"])
    printed = capsys.readouterr().out
    for name in ("difference", "gain", "share", "total", "better_partners", "diversity", "target"):
        assert name in printed


@pytest.mark.slow
@pytest.mark.parametrize(("members", "clusters"), [("best", 10), ("best", 30), ("tie", 10), ("best", 5)])
def test_intervals_of_attainability_hold_the_truth_as_often_as_aimed_at(study, members: str, clusters: int) -> None:
    cell = study.Cell("attainability", members, clusters, samples=10)
    for found in study.Study(cell, 250).coverage():
        low, high = found.target
        slack = 3 * np.sqrt(0.1 * 0.9 / (250 * found.shown))
        assert low - slack < found.covered < high + slack, found


@pytest.mark.slow
def test_intervals_of_the_advantage_hold_the_truth(study) -> None:
    for found in study.Study(study.Cell("advantage", "best", 10, samples=10), 200).coverage():
        assert found.covered > study.LEAST - 3 * np.sqrt(0.1 * 0.9 / 200), found
