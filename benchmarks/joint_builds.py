"""What a fit of the joint law costs in this build beside another checkout of the package, in one run, in turn.

Tables are simulated, written once, and read by both builds. Of each number of models two things are measured, each in
a process of its own with empty caches: a second `bl.fit` of a process (warm), and the command ``bayeslaw fit TABLE
--out FILE`` from its start to its exit (cold). Seconds of processor time are user and system time of the process and
its children. A run counts where R-hat is at most 1.01, the smallest bulk and tail effective sizes are at least 800 and
no trajectory diverged. Memory is the largest resident size: of the warm process above what it had when all was
imported and the table read, of the command as it is.

    taskset -c 1 python benchmarks/joint_builds.py                                  # this build alone
    taskset -c 1 python benchmarks/joint_builds.py --before ../before --rounds 2    # a checkout with its own .venv
    python benchmarks/joint_builds.py --smoke
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.sampling_diagnostics import ess, rhat
from rich.console import Console
from rich.table import Table

import bayeslaw as bl

THIS, BEFORE = "this", "before"
WARM, COLD = "warm", "cold"
FAMILIES = 4
RHAT_LIMIT, FEWEST_EFFECTIVE = 1.01, 800
WORKER, LAUNCHER = (Path(__file__).with_name(f"{name}.py") for name in ("joint_builds_fit", "process_costs"))
FOREIGN = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE", "BAYESLAW_COMPILATION_CACHE")


@dataclass(frozen=True)
class Target:
    """What is wanted of a number of models: how many times cheaper than before, or seconds of processor time at most.

    `before` is what a warm fit by the build before took where that is not run, as it was recorded.
    """

    warm_ratio: float = math.nan
    cold_ratio: float = math.nan
    warm: float = math.nan
    cold: float = math.nan
    memory: float = math.nan
    before: float = math.nan


TARGETS = {
    20: Target(warm_ratio=20, cold_ratio=7, memory=300),
    40: Target(warm_ratio=50, cold_ratio=20, memory=300),
    80: Target(warm_ratio=100, cold=80, memory=500, before=7000),
    160: Target(warm=240, cold=280, memory=1024),
}


@dataclass(frozen=True)
class BuildRun:
    """What one fit cost, in seconds and MiB, and how well it went; of a warm run `memory` is that above import."""

    build: str
    kind: str
    models: int
    processor: float
    wall: float
    memory: float
    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    attempts: int

    @property
    def counts(self) -> bool:
        """Whether the fit went well enough for its time to mean something."""
        effective = min(self.ess_bulk, self.ess_tail)
        return self.rhat <= RHAT_LIMIT and effective >= FEWEST_EFFECTIVE and self.divergences == 0


def write_table(folder: Path, models: int, samples: int) -> tuple[Path, Path]:
    """Simulate a table and write it as two CSV files that all builds read; return their paths."""
    losses = bl.simulate_losses(families=FAMILIES, sizes=models // FAMILIES, samples=samples, clusters=samples // 10)
    frame = pd.DataFrame(losses["nll"].to_numpy(), columns=losses["lm"].to_numpy())
    frame.insert(0, "sample", losses["sample"].to_numpy())
    frame.insert(1, "file", losses["cluster"].to_numpy())
    columns = {"model": losses["lm"], "family": losses["family"], "parameters": losses["parameters"]}
    paths = folder / f"losses-{models}.csv", folder / f"models-{models}.csv"
    frame.to_csv(paths[0], index=False)
    pd.DataFrame({name: values.to_numpy() for name, values in columns.items()}).to_csv(paths[1], index=False)
    return paths


def empty_caches(folder: Path) -> dict[str, str]:
    """Give an environment whose caches lie in a folder that is empty yet."""
    names = {"XDG_CACHE_HOME": "cache", "NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return inherited | {name: str(folder / place) for name, place in names.items()}


def quality(path: Path) -> dict[str, Any]:
    """Look how well a fit that was saved went: the worst over all coordinates."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        posterior, statistics_of = tree["posterior"].dataset.load(), tree["sample_stats"].dataset
        settings, diverging = json.loads(tree.attrs["settings"]), int(statistics_of["diverging"].sum())
    worst, bulk, tail = (
        np.concatenate([np.ravel(array) for array in values.data_vars.values()])
        for values in (rhat(posterior), ess(posterior, method="bulk"), ess(posterior, method="tail"))
    )
    figures = {"rhat": float(worst.max()), "ess_bulk": float(bulk.min()), "ess_tail": float(tail.min())}
    return {**figures, "divergences": diverging, "attempts": int(settings["attempts"])}


@dataclass(frozen=True)
class Build:
    """A build: its name, the Python that runs it, and how many calls in a process its warm run has.

    With one call that call stands for a second one, as of a build that compiles anew at each.
    """

    name: str
    python: Path
    calls: int = 2

    def warm(self, tables: tuple[Path, Path], models: int, draws: int, seed: int) -> BuildRun:
        """Fit in a process of its own, and take the last call."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            options = {"draws": draws, "calls": self.calls, "seed": seed}
            command = [self.python, WORKER, *tables, folder, *(f"--{key}={value}" for key, value in options.items())]
            _run(command, folder)
            costs = json.loads((folder / "costs.json").read_text())
            memory = costs["peak"] - costs["imported"]
            return BuildRun(self.name, WARM, models, **costs["calls"][-1], memory=memory, **quality(folder / "fit.nc"))

    def cold(self, tables: tuple[Path, Path], models: int, draws: int, seed: int) -> BuildRun:
        """Fit by the command."""
        losses, table = tables
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = [self.python.with_name("bayeslaw"), "fit", losses, "--models", table, "--unit", "document"]
            command += ["--cluster", "file", "--draws", draws, "--seed", seed, "--out", folder / "fit.nc"]
            costs = _run(command, folder)
            return BuildRun(self.name, COLD, models, **costs, **quality(folder / "fit.nc"))


def _run(command: Sequence[object], folder: Path) -> dict[str, float]:
    """Run a command to its end; return its processor and wall seconds, and its largest memory in MiB.

    An exit code of 1 is that of a fit that is written but not to be trusted, which the figures of the fit tell.
    """
    costs = folder / "command.json"
    words = [sys.executable, str(LAUNCHER), str(costs), *map(str, command)]
    done = subprocess.run(words, env=empty_caches(folder), cwd=folder, capture_output=True, text=True, check=True)
    found = json.loads(costs.read_text())
    if found.pop("code") and not (folder / "fit.nc").exists():
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return found


def measured(options: argparse.Namespace, builds: Sequence[Build]) -> Iterator[BuildRun]:
    """Measure both kinds of all builds in turn, round by round, number by number."""
    with tempfile.TemporaryDirectory() as folder:
        for models in options.models:
            tables = write_table(Path(folder), models, options.samples)
            for number in range(options.rounds):
                for build in builds:
                    if build.name == BEFORE and models not in options.before_models:
                        continue
                    for kind in options.kinds:
                        yield getattr(build, kind)(tables, models, options.draws, 10 * number)


def summary(runs: Sequence[BuildRun]) -> Iterator[str]:
    """Lay the medians of each number of models beside its targets, a line each."""
    for models in dict.fromkeys(run.models for run in runs):
        target = TARGETS.get(models, Target())
        for kind in (WARM, COLD):
            now, before = (_median(runs, build, kind, models) for build in (THIS, BEFORE))
            if math.isnan(now):
                continue
            note = ""
            if math.isnan(before) and kind == WARM:
                before, note = target.before, ", as recorded"
            words = f"{models} models {kind}: {now:.1f} CPU s"
            if not math.isnan(before):
                words += f", before {before:.1f}{note}: {before / now:.1f} times" + _verdict(
                    before / now, getattr(target, f"{kind}_ratio"), at_least=True
                )
            yield words + _verdict(now, getattr(target, kind), at_least=False)
        if warm := _chosen(runs, THIS, WARM, models):
            memory = max(run.memory for run in warm)
            yield f"{models} models: {memory:.0f} MiB above import" + _verdict(memory, target.memory, at_least=False)


def _chosen(runs: Sequence[BuildRun], build: str, kind: str, models: int) -> list[BuildRun]:
    return [run for run in runs if (run.build, run.kind, run.models) == (build, kind, models)]


def _median(runs: Sequence[BuildRun], build: str, kind: str, models: int) -> float:
    chosen = _chosen(runs, build, kind, models)
    return statistics.median(run.processor for run in chosen) if chosen else math.nan


def _verdict(value: float, target: float, *, at_least: bool) -> str:
    if math.isnan(target) or math.isnan(value):
        return ""
    met = value >= target if at_least else value <= target
    return f" ({'at least' if at_least else 'at most'} {target:g}: {'met' if met else 'MISSED'})"


def table_of(runs: Sequence[BuildRun]) -> Table:
    """Lay all runs out."""
    table = Table(header_style="bold", box=None)
    for name in (*asdict(runs[0]), "counts"):
        table.add_column(name, justify="right")
    for run in runs:
        cells = [f"{value:.3f}" if name == "rhat" else value for name, value in asdict(run).items()]
        words = (f"{value:.1f}" if isinstance(value, float) else str(value) for value in cells)
        table.add_row(*words, "yes" if run.counts else "NO")
    return table


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="PATH", help="a checkout with its own .venv")
    parser.add_argument("--before-models", type=int, nargs="+", default=[20, 40], help="what it fits too")
    parser.add_argument("--before-calls", type=int, default=2, help="its calls in a process, of which the last is warm")
    parser.add_argument("--models", type=int, nargs="+", default=list(TARGETS), help=f"multiples of {FAMILIES}")
    parser.add_argument("--kinds", nargs="+", choices=(WARM, COLD), default=[WARM, COLD])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="file for every run")
    parser.add_argument("--smoke", action="store_true", help="8 models, 100 draws, this build alone")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.models, options.rounds, options.samples, options.draws, options.before = [8], 1, 200, 100, None
    if options.before and not (options.before / ".venv/bin/python").exists():
        parser.error(f"--before {options.before}: no .venv/bin/python there; make it with uv sync")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 where a fit of this build did not go well, except of a smoke run."""
    options = parse(arguments)
    # A link to the Python of a virtual environment is what makes it one.
    builds = [Build(THIS, Path(sys.executable))]
    if options.before:
        builds.insert(0, Build(BEFORE, options.before.absolute() / ".venv/bin/python", options.before_calls))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(f"{len(os.sched_getaffinity(0))} cores, {options.samples} samples, {options.draws} draws a chain")
    runs: list[BuildRun] = []
    for run in measured(options, builds):
        runs.append(run)
        console.print(f"{run.build} {run.kind} {run.models}: {run.processor:.1f} CPU s, {run.wall:.1f} s")
        if options.json:
            options.json.write_text(json.dumps([asdict(run) for run in runs], indent=1))
    console.print(table_of(runs))
    for line in summary(runs):
        console.print(line)
    return int(not options.smoke and not all(run.counts for run in runs if run.build == THIS))


if __name__ == "__main__":
    sys.exit(main())
