"""Effective draws per second of the collaboration law, beside the same law in NumPyro and in PyMC with nutpie.

Every contender samples the same data file in processes of its own, one after the other, with empty compilation caches.
A run counts only if the largest R-hat is below 1.01 and every mean of floor, amplitude, exponent and noise scale lies
within 0.1 standard deviations of a long reference run; a contender that falls short gets twice the draws and warm-up,
until its time is spent.

    uv run --group peers python benchmarks/sampling.py
    uv run python benchmarks/sampling.py --smoke
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from arviz_stats.sampling_diagnostics import ess, rhat

from bayeslaw.laws import CollaborationLaw
from bayeslaw.model import LawModel
from bayeslaw.noise import Noise
from bayeslaw.pools import make_pools
from bayeslaw.simulate import simulate_losses

sys.path.insert(0, str(Path(__file__).parent))
from sampling_peers import CONTENDERS, PARAMETERS, POOL_VARIABLES, WARMUP, versions

SHARED = (*PARAMETERS, "noise_scale")
RHAT_LIMIT = 1.01
MEAN_LIMIT = 0.1
BASELINE = "pymc-plain"
FULL = {"families": 3, "sizes": 6, "samples": 2000, "max_size": 4}
Moments = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Run:
    """One sampling run and whether it counts.

    `ess` is the smaller of bulk and tail over all parameters; `mean_error` the largest distance from the reference
    means in its standard deviations; `seconds` include starting and compiling where `kind` is ``"cold"``, and whatever
    else a call does; `sampling_seconds` are those of warm-up and draws alone where the contender tells them apart.
    """

    contender: str
    kind: str
    draws: int
    warmup: int
    seconds: float
    sampling_seconds: float
    rhat: float
    ess: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    steps: float
    mean_error: float

    @property
    def counts(self) -> bool:
        """Whether the run converged to the reference."""
        return self.rhat < RHAT_LIMIT and self.mean_error < MEAN_LIMIT

    @property
    def rate(self) -> float:
        """Smallest effective sample size per second: cold of the whole call, warm of its sampling without compiling."""
        timed = self.kind == "warm" and math.isfinite(self.sampling_seconds)
        return self.ess / (self.sampling_seconds if timed else self.seconds)


@dataclass(frozen=True)
class Budget:
    """Draws and chains of a first attempt, seconds that a contender has, whether longer and warm runs follow."""

    draws: int
    chains: int
    limit: float
    lengthen: bool
    warm: bool


def write_data(path: Path, *, families: int, sizes: int, samples: int, max_size: int) -> int:
    """Write the oracle losses of all pools with the priors; return the number of pools."""
    losses = simulate_losses(families=families, sizes=sizes, samples=samples, clusters=max(2, samples // 20), seed=0)
    pools = make_pools(losses, rule="oracle", max_size=max_size)
    names = ("pool", "lm", *POOL_VARIABLES, "member", "family")
    arrays: dict[str, Any] = {name: pools[name].to_numpy() for name in names}
    # An array of objects cannot be read back without pickle.
    arrays = {name: values.astype(str) if values.dtype == object else values for name, values in arrays.items()}
    arrays |= {f"prior_{site}": values for site, values in priors(pools).items()}
    np.savez(path, **arrays)
    return pools.sizes["pool"]


def priors(pools: xr.Dataset) -> dict[str, np.ndarray]:
    """Read the package's default priors off, for the peers to use.

    Parameters
    ----------
    pools
        Pools dataset.

    Returns
    -------
    dict
        By site: location and scale of the logarithm; all are log-normal.
    """
    law = CollaborationLaw()
    sites = LawModel(law, Noise(), law.observe(pools)).sites
    for site, prior in sites.items():
        if prior.name != "LogNormal":
            raise RuntimeError(f"the peers write {site} as log-normal, the package as {prior}")
    return {site: np.array([value for _, value in prior.arguments]) for site, prior in sites.items()}


def sample(
    contender: str, data: Path, *, draws: int, warmup: int, chains: int, seed: int, limit: float, warm: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Run a contender in a process of its own; return what it wrote, cold and warm, within `limit` seconds each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        caches = {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "JAX_ENABLE_COMPILATION_CACHE": "false",
            "PYTENSOR_FLAGS": f"compiledir={folder / 'pytensor'}",
            "NUMBA_CACHE_DIR": str(folder / "numba"),
        }
        options = {"draws": draws, "warmup": warmup, "chains": chains, "seed": seed, "started": time.time()}
        command = [sys.executable, str(Path(__file__).with_name("sampling_peers.py")), contender, str(data), name]
        command += [f"--{option}={value}" for option, value in options.items()] + ["--warm"] * warm
        with open(folder / "log", "w+") as log:
            process = subprocess.Popen(command, env={**os.environ, **caches}, stdout=log, stderr=subprocess.STDOUT)
            deadline, extended = time.monotonic() + limit, False
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                if not extended and (folder / "cold.npz").exists():
                    deadline, extended = time.monotonic() + limit, True
            if process.poll() is None:
                process.kill()
                process.wait()
            elif process.returncode:
                log.seek(0)
                raise RuntimeError(f"{contender} failed:\n{log.read()[-3000:]}")
        return {path.stem: dict(np.load(path)) for path in (folder / "cold.npz", folder / "warm.npz") if path.exists()}


def posterior(result: dict[str, np.ndarray]) -> xr.Dataset:
    """Draws as a dataset with dimensions chain, draw and what follows."""
    draws = {k.removeprefix("draws_"): v for k, v in result.items() if k.startswith("draws_")}
    return xr.Dataset({k: (("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim - 2))), v) for k, v in draws.items()})


def moments(draws: xr.Dataset) -> Moments:
    """Mean and standard deviation of every shared parameter, each [regime]."""
    dims = ("chain", "draw")
    return {k: (draws[k].mean(dims).to_numpy(), draws[k].std(dims).to_numpy()) for k in SHARED}


def assess(contender: str, kind: str, result: dict[str, np.ndarray], reference: Moments | None, warmup: int = 0) -> Run:
    """Judge one run."""
    draws = posterior(result)
    # A parameter that does not move has no R-hat; it must not pass for a converged one.
    mixing, bulk, tail = (
        np.concatenate([np.ravel(v) for v in values.data_vars.values()])
        for values in (
            rhat(draws),
            ess(draws, method="bulk"),
            ess(draws, method="tail"),
        )
    )
    error = math.nan
    if reference is not None:
        own = moments(draws)
        error = float(max(np.abs((own[k][0] - mean) / sd).max() for k, (mean, sd) in reference.items()))
    return Run(
        contender=contender,
        kind=kind,
        draws=draws.sizes["draw"],
        warmup=warmup,
        seconds=float(result["seconds"]),
        sampling_seconds=float(result["sampling_seconds"]),
        rhat=float(mixing.max()),
        ess=float(min(bulk.min(), tail.min())),
        ess_bulk=float(bulk.min()),
        ess_tail=float(tail.min()),
        divergences=int(result["divergences"]),
        steps=float(result["steps"]),
        mean_error=error,
    )


def compete(contender: str, data: Path, budget: Budget, reference: Moments | None, seed: int) -> list[Run]:
    """Run a contender, with twice the length after each run that does not count, until its time is spent."""
    spent, factor, runs = 0.0, 1, []
    while spent < budget.limit:
        draws, warmup = budget.draws * factor, WARMUP[contender] * factor
        found = sample(
            contender,
            data,
            draws=draws,
            warmup=warmup,
            chains=budget.chains,
            seed=seed,
            limit=budget.limit - spent,
            warm=budget.warm,
        )
        pair = [assess(contender, kind, result, reference, warmup) for kind, result in found.items()]
        # A run that was cut off says less than the shorter one before it.
        finished = len(pair) == 1 + budget.warm
        runs = pair if finished or not runs else runs
        if not finished or not budget.lengthen or all(run.counts for run in pair):
            break
        spent += pair[0].seconds
        factor *= 2
    return runs


def median_run(runs: list[Run], contender: str, kind: str) -> Run | None:
    """Pick the run of median rate among those that count, else the best that does not."""
    own = sorted((r for r in runs if r.contender == contender and r.kind == kind), key=lambda r: (r.counts, r.rate))
    counting = [r for r in own if r.counts]
    return counting[len(counting) // 2] if counting else own[-1] if own else None


def table(runs: list[Run], contenders: list[str], budget: Budget) -> str:
    """Lay the runs out; a contender without a run that counts says so, with what it had."""
    heads = ("draws", "R-hat", "diverg.", "steps", "mean err", "bulk", "tail", "s", "draw s", "ESS/s", "x (b)")
    lines = [f"{f'(b) is {BASELINE}':25s}" + "".join(f"{head:>9s}" for head in heads)]
    for kind in ("cold", "warm")[: 1 + budget.warm]:
        base = median_run(runs, BASELINE, kind)
        for contender in contenders:
            run = median_run(runs, contender, kind)
            if run is None:
                lines.append(f"{contender + ' ' + kind:25s}  did not converge in {budget.limit:.0f} s: no run finished")
                continue
            ratio = f"{run.rate / base.rate:.3g}" + ("" if base.counts else "*") if base else "-"
            cells = (
                f"{run.draws}",
                f"{run.rhat:.3f}",
                f"{run.divergences}",
                f"{run.steps:.1f}",
                f"{run.mean_error:.3f}",
                f"{run.ess_bulk:.0f}",
                f"{run.ess_tail:.0f}",
                f"{run.seconds:.2f}",
                f"{run.sampling_seconds:.2f}",
                f"{run.rate:.2f}",
                ratio,
            )
            verdict = (
                ""
                if run.counts or math.isnan(run.mean_error)
                else f"  does not count: not converged in {budget.limit:.0f} s"
            )
            lines.append(f"{contender + ' ' + kind:25s}" + "".join(f"{cell:>9s}" for cell in cells) + verdict)
    base = median_run(runs, BASELINE, "warm")
    if base and not base.counts:
        lines.append(f"* {BASELINE} did not converge: its rate is no measure of progress, the ratio only a hint")
    return "\n".join(lines)


def installed(contenders: list[str]) -> list[str]:
    """Leave out the contenders whose packages are not there, and say so."""
    missing = [name for name in ("pymc", "nutpie") if importlib.util.find_spec(name) is None]
    if missing and any(name.startswith("pymc") for name in contenders):
        print(f"PyMC peers skipped: {' and '.join(missing)} not installed (uv run --group peers ...)")
        return [name for name in contenders if not name.startswith("pymc")]
    return contenders


def environment(cores: int) -> dict[str, object]:
    """Bind this process and its children to some cores; say where and with what everything runs."""
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[:cores])
    facts: dict[str, object] = {"cores": min(cores, len(available)), "python": platform.python_version(), **versions()}
    if "nutpie" in facts:
        facts["compiled by"] = "nutpie's default backend, numba"
    return facts


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument(
        "--reference", choices=CONTENDERS, default="ours", help="contender that makes the reference run"
    )
    parser.add_argument("--reference-draws", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600, help="seconds a contender has to converge")
    parser.add_argument("--once", action="store_true", help="do not lengthen runs that do not count")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for every run")
    parser.add_argument("--smoke", action="store_true", help="a few small pools and draws; nothing has to converge")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.contenders = [name for name in options.contenders if not name.startswith("pymc")]
        options.draws, options.chains, options.rounds, options.limit, options.once = 400, 2, 1, 60.0, True
    return options


def main() -> int:
    """Run the benchmark; return 1 where a contender of the smoke run gives no finite draws or ours does not count."""
    options = parse()
    facts = environment(options.cores)
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    contenders = installed(options.contenders)
    budget = Budget(options.draws, options.chains, options.limit, lengthen=not options.once, warm=not options.smoke)
    size = {"families": 3, "sizes": 5, "samples": 500, "max_size": 2} if options.smoke else FULL
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        pools = write_data(data, **size)
        print(f"{pools} pools of up to {size['max_size']} of {size['families'] * size['sizes']} models")
        reference = None if options.smoke else make_reference(options, data)
        left = list(contenders)
        for round_ in range(options.rounds):
            for contender in list(left):
                found = compete(contender, data, budget, reference, seed=10 * round_)
                runs += found
                print(
                    f"round {round_ + 1}: {contender} {', '.join(f'{r.kind} {r.seconds:.1f} s' for r in found)}",
                    flush=True,
                )
                # What did not converge in all its time will not do so in a later round either.
                if not options.smoke and not any(r.counts for r in found):
                    left.remove(contender)
    print(table(runs, contenders, budget))
    record = {
        "environment": facts,
        "pools": pools,
        "runs": [{**asdict(r), "counts": r.counts, "rate": r.rate} for r in runs],
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    if options.smoke:
        return int(not all(math.isfinite(r.ess) for r in runs) or {r.contender for r in runs} != set(contenders))
    return int("ours" in contenders and not any(r.counts for r in runs if r.contender == "ours"))


def make_reference(options: argparse.Namespace, data: Path) -> Moments:
    """Run one contender for long; its means and standard deviations are what the others are held to."""
    found = sample(
        options.reference,
        data,
        draws=options.reference_draws,
        warmup=2 * WARMUP[options.reference],
        chains=options.chains,
        seed=999,
        limit=options.limit,
        warm=False,
    )
    if not found:
        raise RuntimeError(f"the reference run of {options.reference} did not finish in {options.limit:.0f} s")
    result = found["cold"]
    run = assess(options.reference, "cold", result, None)
    print(
        f"reference: {options.reference}, {run.draws} draws a chain, R-hat {run.rhat:.4f}, ESS {run.ess:.0f}",
        flush=True,
    )
    found_moments = moments(posterior(result))
    for name, (mean, sd) in found_moments.items():
        print(f"  {name:12s}" + "".join(f"  {m:9.4f} +- {s:.4f}" for m, s in zip(mean, sd, strict=True)))
    return found_moments


if __name__ == "__main__":
    sys.exit(main())
