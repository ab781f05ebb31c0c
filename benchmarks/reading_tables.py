"""Peak memory and time of ``bayeslaw losses`` and ``bayeslaw pools`` on a large loss table, two checkouts in turn."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bayeslaw.storage import write_manifest

ROWS_PER_PART = 1 << 20
COMMANDS = {"losses": [], "pools": ["--max-size", "2"]}
# Runs a command as its own program does, and says what it took.
PROGRAM = """
import json, runpy, sys, time
begun = time.perf_counter()
sys.argv = ["bayeslaw", *json.loads(sys.argv[1])]
try:
    runpy.run_module("bayeslaw.cli", run_name="__main__")
finally:
    [peak] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print(json.dumps([time.perf_counter() - begun, int(peak.split()[1]) / 1024]), file=sys.stderr)
"""


def write_table(folder: Path, samples: int, models: int) -> None:
    """Write losses drawn at random, of texts that are a few to a document and of three domains, sample by sample."""
    generator = np.random.default_rng(0)
    sizes = np.geomspace(1e7, 1e10, models)
    names = np.array([f"family-{model % 4}-{model:02d}" for model in range(models)], dtype=object)
    folder.mkdir(parents=True)
    families = [f"family-{model % 4}" for model in range(models)]
    pq.write_table(pa.table({"model": names, "family": families, "parameters": sizes}), folder / "models.parquet")
    step = max(1, ROWS_PER_PART // models)
    for part, start in enumerate(range(0, samples, step)):
        rows = np.arange(start, min(start + step, samples))
        size = generator.integers(20, 400, len(rows))
        difficulty = 0.7 * size * np.exp(generator.normal(0, 0.2, len(rows)))
        noise = np.exp(generator.normal(0, 0.1, (len(rows), models)))
        columns = {
            "sample": [f"sample-{row:07d}" for row in rows],
            "bytes": size,
            "cluster": [f"document-{row // 20}" for row in rows],
            "domain": [("web", "code", "books")[row // 20 % 3] for row in rows],
        }
        table = pa.table(columns).take(np.repeat(np.arange(len(rows)), models))
        nll = (difficulty[:, None] * noise * (sizes / 1e9) ** -0.05).astype(np.float32)
        table = table.append_column("lm", pa.array(np.tile(names, len(rows)))).append_column("nll", [nll.ravel()])
        pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")
    write_manifest(folder, "losses", {"unit": "sentence", "cluster": "cluster", "missing": "{}", "source": "drawn"})


def measure(checkout: Path, command: str, table: Path) -> tuple[float, float, str]:
    """Run a command of a checkout on a table; return seconds, peak memory in MiB and what it printed."""
    arguments = [command, str(table), *COMMANDS[command]]
    arguments += ["--out", str(table.with_name("pools"))] if command == "pools" else ["--json"]
    settings = os.environ | {"PYTHONPATH": str(checkout)}
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    program = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(program, cwd=checkout, env=settings, capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stderr.splitlines()[-1])
    return seconds, memory, done.stdout


def compare(folder: Path, *, samples: int, models: int, runs: int, against: Path | None) -> bool:
    """Print medians of alternating runs, and ratios to another checkout; say whether both print the same losses."""
    table = folder / "table"
    write_table(table, samples, models)
    size = sum(path.stat().st_size for path in table.iterdir()) / 2**20
    print(f"{samples:,} samples x {models} models, {size:,.0f} MiB on disk; medians of {runs} runs in turn")
    here = Path(__file__).parent.parent
    sides = {"this checkout": here} | ({"the other": against.resolve()} if against else {})
    alike = True
    for command in COMMANDS:
        found: dict[str, list[tuple[float, float, str]]] = {side: [] for side in sides}
        for run in range(runs + 1):
            for side, path in sides.items():
                result = measure(path, command, table)
                # The first run compiles.
                found[side] += [result] if run else []
        medians = {
            side: (statistics.median(each[0] for each in results), statistics.median(each[1] for each in results))
            for side, results in found.items()
        }
        for side, (seconds, memory) in medians.items():
            print(f"{command}, {side}: {seconds:.1f} s, {memory:,.0f} MiB")
        if against:
            ours, theirs = medians.values()
            print(f"{command}: {ours[0] / theirs[0]:.2f} of the time, {ours[1] / theirs[1]:.3f} of the memory")
        alike &= len({_losses(results[0][2]) for results in found.values()}) == 1 if command == "losses" else True
    return alike


def _losses(printed: str) -> tuple[str, ...]:
    return tuple(f"{model['model']} {model['loss']:.12g}" for model in json.loads(printed)["models"])
