"""The examples run as a newcomer would run them, and their printed output is the one kept beside them.

The output kept is that of a full run: ``python examples/NAME.py > examples/NAME.txt``. A quick run has other numbers,
and may have other findings; everything else must be the same, line by line.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FINDING = re.compile(r"^(error|warning|info) |^  remedy: |^findings: ")
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(e[-+]?\d+)?")


def run(name, folder, *arguments):
    settings = os.environ | {"MPLBACKEND": "agg", "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def structure(output):
    """Return the lines of an output with # for every number and no spaces to line columns up."""
    lines = [line for line in output.splitlines() if not FINDING.match(line)]
    return [" ".join(NUMBER.sub("#", line).split()) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("01_your_own_losses", ["claims.png", "fit.nc", "law.png"]),
        ("02_chinchilla", ["chinchilla.nc", "chinchilla.png"]),
        ("03_zoo_collaboration", ["claims.png", "fit.nc", "law.png"]),
        ("04_pools_beyond_the_table", ["joint.nc", "joint.png"]),
    ],
)
def test_example_prints_what_it_says_and_writes_its_files(name, files, tmp_path):
    result = run(name, tmp_path, "--quick", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert structure(result.stdout) == structure((EXAMPLES / f"{name}.txt").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == files
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_structure_tells_more_than_numbers_apart():
    kept = "# 1. The table\nwarning rhat: bad\nloss  2.50\n"
    assert structure(kept) == structure("# 1. The table\nloss 3e-4\n")
    assert structure(kept) != structure("# 1. The table\ngain 2.50\n")
    assert structure(kept) != structure("# 1. The table\nloss 2.50 2.50\n")


def test_a_table_without_its_models_is_refused(tmp_path):
    result = run("01_your_own_losses", tmp_path, "losses.csv")
    assert result.returncode == 2
    assert "models" in result.stderr
