"""What is plainly not there is refused before anything heavy is imported."""

import json
import subprocess
import sys

COMMANDS = (
    "predict no.nc --parameters 1e9",
    "check no.nc",
    "plot no.nc --out p.png",
    "when no.nc",
    "compare no.nc other.nc",
    "fit no.csv --law power --out f.nc",
    "fit zoo --law nonsense --out f.nc",
    "losses no.csv",
    "pools no.csv --out p",
    "advantage no.csv",
    "attainability no.csv --members a,b",
)
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from bayeslaw.cli import app
results = [CliRunner().invoke(app, command.split()) for command in json.loads(sys.argv[1])]
heavy = sorted({"jax", "numpyro", "pandas", "xarray", "matplotlib"} & set(sys.modules))
codes, said = [result.exit_code for result in results], [result.stderr for result in results]
print(json.dumps({"codes": codes, "said": said, "heavy": heavy}))
"""


def test_nothing_heavy_is_imported_for_a_file_that_is_not_there():
    arguments = [sys.executable, "-c", PROGRAM, json.dumps(COMMANDS)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["codes"] == [2] * len(COMMANDS)
    assert told["heavy"] == []
    for command, said in zip(COMMANDS, told["said"], strict=True):
        assert ("'nonsense'" if "nonsense" in command else "no.") in said
        assert "fix:" in said
