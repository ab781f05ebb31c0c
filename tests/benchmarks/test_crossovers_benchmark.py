"""What `benchmarks/crossovers.py` counts."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "crossovers.py"


@pytest.fixture(scope="module")
def study():
    specification = importlib.util.spec_from_file_location("crossovers_benchmark", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.mark.tools
def test_the_quick_run_prints_every_kind_of_statement(study, capsys) -> None:
    study.main(["--smoke"])
    printed = capsys.readouterr().out
    for name in ("pool better, inside", "pool better, beyond", "crossover exists", "90% intervals"):
        assert name in printed


@pytest.mark.tools
def test_statements_are_counted(study) -> None:
    generator = np.random.default_rng(0)
    stated = np.append(generator.uniform(size=1998), [0.0, 1.0])
    holds = generator.uniform(size=2000) < stated
    columns = {"table": np.arange(2000) // 2, "what": "it", "stated": stated, "holds": holds, "covered": True}
    every, *bins = study.reliability(pd.DataFrame(columns))
    assert every["statements"] == sum(row["statements"] for row in bins) == 2000
    assert [row["stated"] for row in bins] == study.BINS
    for row in (every, *bins):
        assert abs(row["held"] - row["mean_stated"]) < 4 * row["standard_error"]
    assert study.coverage(pd.DataFrame(columns))[0]["covered"] == 1.0
