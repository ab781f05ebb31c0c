"""Effective draws a second of processor time of the joint law, beside the same density in PyMC with nutpie and NumPyro.

All fit one simulated table, each in processes of its own with empty caches, one after the other, in turn. Before that
the logarithms of the densities are compared at random places, and PyMC's gradient with its differences. Seconds are
those of whole calls: the first of a process, and a second of the same shape (see `joint_peers_contenders.py` for where
the clocks start). An effective size is the smallest, bulk or tail, over all coordinates of all sites; where R-hat is
above 1.01 it means little, and its rate is marked. What means are apart from the package's is in Monte Carlo standard
errors, the largest over all coordinates: about 2.7 is expected of equal posteriors.

    uv run --group peers python benchmarks/joint_peers.py
    uv run python benchmarks/joint_peers.py --smoke
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from arviz_stats.sampling_diagnostics import ess, rhat
from numpyro.infer.util import log_density
from rich.console import Console
from rich.table import Table

import bayeslaw as bl

sys.path.insert(0, str(Path(__file__).parent))
from joint_builds import RHAT_LIMIT, empty_caches
from joint_peers_contenders import CONTENDERS, FAMILIES, KINDS, JointTask, joint_model, simulated
from joint_peers_density import compiled_density, pymc_model
from sampling import environment, installed
from sampling_runs import posterior

OURS = "ours"
PLACES, LARGEST_DIFFERENCE, LARGEST_SLOPE_DIFFERENCE = 8, 1e-6, 1e-4


@dataclass(frozen=True)
class JointRun:
    """One call of a contender: what it cost in seconds, and how well it sampled.

    `apart` is how far the mean of a coordinate is from that of the package's call of the same round and kind, at most.
    """

    contender: str
    kind: str
    processor: float
    wall: float
    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    steps: float
    apart: float

    @property
    def counts(self) -> bool:
        """Whether chains agree."""
        return self.rhat <= RHAT_LIMIT

    @property
    def rate(self) -> float:
        """Effective draws a second of processor time."""
        return min(self.ess_bulk, self.ess_tail) / self.processor


def check_densities(task: JointTask, with_pymc: bool) -> Iterator[str]:
    """Compare the contenders' log densities at places drawn from the prior; yield what was found.

    Raises
    ------
    RuntimeError
        If two differ by more than `LARGEST_DIFFERENCE` of the larger, or a slope from its difference quotient.
    """
    losses = simulated(task)
    model = joint_model(losses)
    numpyro_form = bl.numpyro_model(bl.JointLaw(), losses)
    with jax.enable_x64(True):
        places = [model.draw_prior(jax.random.key(seed)) for seed in range(PLACES)]
        priors = [sum(each.sum() for each in model.log_prior(place).values()) for place in places]
        own = np.array(
            [float(model.log_likelihood(place) + prior) for place, prior in zip(places, priors, strict=True)]
        )
        numpyro = np.array([float(log_density(numpyro_form, (), {}, place)[0]) for place in places])
    yield _compared("NumPyro's", numpyro, own, LARGEST_DIFFERENCE)
    if with_pymc:
        density = compiled_density(pymc_model(model))
        values = [{name: np.asarray(value) for name, value in place.items()} for place in places]
        yield _compared("PyMC's", np.array(list(map(density.at, values))), own, LARGEST_DIFFERENCE)
        slopes, quotients = density.slopes(PLACES)
        yield _compared("PyMC's slopes and difference quotients", slopes, quotients, LARGEST_SLOPE_DIFFERENCE)


def _compared(name: str, found: np.ndarray, expected: np.ndarray, limit: float) -> str:
    difference = float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)))
    if not difference <= limit:
        raise RuntimeError(f"{name}: {found} instead of {expected}")
    return f"{name} at {len(found)} places: apart by {difference:.1e} at most, relatively"


def sample(contender: str, task: JointTask, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Run a contender in a process of its own; return what it wrote, cold and warm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        caches = empty_caches(folder) | {"PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}"}
        options = {**task._asdict(), "seed": seed, "started": time.time()}
        command = [sys.executable, str(Path(__file__).with_name("joint_peers_contenders.py")), contender, name]
        command += [f"--{option}={value}" for option, value in options.items()]
        found = subprocess.run(command, env=caches, capture_output=True, text=True, check=False)
        if found.returncode:
            raise RuntimeError(f"{contender} failed:\n{found.stderr[-3000:]}")
        results = {}
        for kind in KINDS:
            with np.load(folder / f"{kind}.npz") as file:
                results[kind] = dict(file)
        return results


def assess(contender: str, kind: str, result: dict[str, np.ndarray], reference: xr.Dataset | None) -> JointRun:
    """Judge one call, beside the package's draws where there are some."""
    draws = posterior(result)
    bulk, tail = (_flat(ess(draws, method=method)) for method in ("bulk", "tail"))
    numbers: dict[str, Any] = {name: float(result[name]) for name in ("processor", "wall", "steps")}
    apart = math.nan if reference is None else _apart(draws, reference)
    # A coordinate that does not move has no R-hat, and must not pass for one that converged.
    return JointRun(
        contender,
        kind,
        rhat=float(_flat(rhat(draws)).max()),
        ess_bulk=float(bulk.min()),
        ess_tail=float(tail.min()),
        divergences=int(result["divergences"]),
        apart=apart,
        **numbers,
    )


def _flat(values: xr.Dataset) -> np.ndarray:
    return np.concatenate([np.ravel(values[name]) for name in sorted(map(str, values.data_vars))])


def _apart(draws: xr.Dataset, reference: xr.Dataset) -> float:
    means, variances = [], []
    for each in (draws, reference):
        means.append(_flat(each.mean(("chain", "draw"))))
        variances.append(_flat(each.var(("chain", "draw"))) / _flat(ess(each, method="mean")))
    return float(np.max(np.abs(means[0] - means[1]) / np.sqrt(variances[0] + variances[1])))


def compete(contenders: Sequence[str], task: JointTask, rounds: int) -> Iterator[JointRun]:
    """Run all contenders in turn, round by round."""
    for number in range(rounds):
        reference: dict[str, xr.Dataset] = {}
        for contender in contenders:
            found = sample(contender, task, seed=10 * number)
            for kind, result in found.items():
                yield assess(contender, kind, result, reference.get(kind))
            if contender == OURS:
                reference = {kind: posterior(result) for kind, result in found.items()}


def table_of(runs: Sequence[JointRun]) -> Table:
    """Lay all runs out."""
    table = Table(header_style="bold", box=None)
    for name in (*asdict(runs[0]), "ESS/CPU s"):
        table.add_column(name, justify="right")
    for run in runs:
        cells = [f"{value:.4f}" if name == "rhat" else value for name, value in asdict(run).items()]
        words = (f"{value:.1f}" if isinstance(value, float) else str(value) for value in cells)
        table.add_row(*words, f"{run.rate:.1f}" + ("" if run.counts else "*"))
    return table


def ratios(runs: Sequence[JointRun]) -> Iterator[str]:
    """Say how many times the rate of each peer that of the package is: medians over rounds."""
    rates: dict[tuple[str, str], list[JointRun]] = {}
    for run in runs:
        rates.setdefault((run.contender, run.kind), []).append(run)
    median = {key: statistics.median(run.rate for run in found) for key, found in rates.items()}
    for (contender, kind), rate in median.items():
        if contender != OURS and (OURS, kind) in median:
            agree = sum(run.counts for run in rates[contender, kind])
            words = f"{contender} {kind}: {rate:.1f} effective draws a CPU second, ours {median[OURS, kind]:.1f}: "
            agreeing = f"chains agreed in {agree} of {len(rates[contender, kind])} runs"
            yield words + f"{median[OURS, kind] / rate:.1f} times; {agreeing}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--models", type=int, default=20, help=f"a multiple of {FAMILIES}")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=1000, help="NumPyro's, which has no number of its own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for every run")
    parser.add_argument("--smoke", action="store_true", help="8 models and few draws; nothing has to converge")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.models, options.samples, options.rounds = 8, 200, 1
        options.draws, options.chains, options.warmup = 100, 2, 100
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 where an effective size is not finite, or the package's chains do not agree."""
    options = parse(arguments)
    facts = environment(options.cores)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in facts.items()))
    contenders = installed(options.contenders)
    task = JointTask(*(getattr(options, name) for name in JointTask._fields))
    console.print(f"{task.models} models, {task.samples} samples, {task.chains} chains of {task.draws} draws")
    for line in check_densities(task, any(name.startswith("pymc") for name in contenders)):
        console.print(line)
    runs: list[JointRun] = []
    for run in compete(contenders, task, options.rounds):
        runs.append(run)
        console.print(f"{run.contender} {run.kind}: {run.processor:.1f} CPU s, {run.wall:.1f} s")
        if options.json:
            options.json.write_text(json.dumps({"environment": facts, "runs": [asdict(r) for r in runs]}, indent=1))
    console.print(table_of(runs))
    console.print("* chains disagree: R-hat is above 1.01")
    for line in ratios(runs):
        console.print(line)
    finite = all(math.isfinite(run.rate) for run in runs)
    return int(not finite or not (options.smoke or all(run.counts for run in runs if run.contender == OURS)))


if __name__ == "__main__":
    sys.exit(main())
