"""Effective draws per second of the collaboration law, beside the same law in NumPyro and in PyMC with nutpie.

Every contender samples the same data file in processes of its own, one after the other, with empty compilation caches.
A run counts only if the largest R-hat is below 1.01 and every mean of floor, amplitude, exponent and noise scale lies
within 0.1 standard deviations of a long reference run; a contender that falls short gets twice the draws and warm-up,
until its time is spent. These runs treat rows as independent. Another part times the package's fit of the same pools
with independent rows and with the rows' dependence, in turn.

    uv run --group peers python benchmarks/sampling.py
    uv run python benchmarks/sampling.py --dependence
    uv run python benchmarks/sampling.py --smoke
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_losses

sys.path.insert(0, str(Path(__file__).parent))
from sampling_dependence import DEPENDENCE_LIMIT, compare_dependence, report_dependence
from sampling_peers import CONTENDERS, DEPENDENT, POOL_VARIABLES, WARMUP, sampled_law, versions
from sampling_runs import Moments, Run, assess, moments, posterior, sample

BASELINE = "pymc-plain"
FULL = {"families": 3, "sizes": 6, "samples": 2000, "max_size": 4}


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
    names = ("pool", "lm", *POOL_VARIABLES, "member", "win_share", "sampling_factor", "family")
    arrays: dict[str, Any] = {name: pools[name].to_numpy() for name in names}
    # An array of objects cannot be read back without pickle.
    arrays = {name: values.astype(str) if values.dtype == object else values for name, values in arrays.items()}
    arrays |= {f"prior_{site}": values for site, values in priors(pools).items()}
    np.savez(path, **arrays)
    return pools.sizes["pool"]


def priors(pools: xr.Dataset) -> dict[str, np.ndarray]:
    """Read the priors of the law that is sampled off, for the peers to use.

    Parameters
    ----------
    pools
        Pools dataset.

    Returns
    -------
    dict
        By site: location and scale of the logarithm; all are log-normal.
    """
    law = sampled_law(pools["loss"].to_numpy())
    sites = LawModel(law, Noise(dependence="independent"), law.observe(pools)).sites
    for site, prior in sites.items():
        if prior.name != "LogNormal":
            raise RuntimeError(f"the peers write {site} as log-normal, the package as {prior}")
    return {site: np.array([value for _, value in prior.arguments]) for site, prior in sites.items()}


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
    rivals = [name for name in CONTENDERS if name != DEPENDENT]
    parser.add_argument("--contenders", nargs="+", choices=rivals, default=rivals)
    parser.add_argument("--reference", choices=rivals, default="ours", help="contender that makes the reference run")
    parser.add_argument("--reference-draws", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600, help="seconds a contender has to converge")
    parser.add_argument("--once", action="store_true", help="do not lengthen runs that do not count")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for every run")
    parser.add_argument("--dependence", action="store_true", help="independent rows beside dependent ones alone")
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
    contenders = [] if options.dependence else installed(options.contenders)
    budget = Budget(options.draws, options.chains, options.limit, lengthen=not options.once, warm=not options.smoke)
    size = {"families": 3, "sizes": 5, "samples": 500, "max_size": 2} if options.smoke else FULL
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        pools = write_data(data, **size)
        print(f"{pools} pools of up to {size['max_size']} of {size['families'] * size['sizes']} models")
        if contenders:
            runs = compete_all(options, contenders, data, budget)
            print(table(runs, contenders, budget))
        lengths = {"draws": options.draws, "chains": options.chains, "rounds": options.rounds}
        both = compare_dependence(data, **lengths, limit=options.limit)
    ratio, converged = report_dependence(both)
    record = {
        "environment": facts,
        "pools": pools,
        "runs": [{**asdict(r), "counts": r.counts, "rate": r.rate} for r in runs],
        "dependence": {"ratio": ratio, "converged": converged, "runs": [asdict(r) for r in both]},
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    if options.smoke:
        finite = all(math.isfinite(r.ess) for r in runs + both)
        return int(not finite or {r.contender for r in runs} != set(contenders))
    missed = not converged or ratio > DEPENDENCE_LIMIT
    return int(missed or ("ours" in contenders and not any(r.counts for r in runs if r.contender == "ours")))


def compete_all(options: argparse.Namespace, contenders: list[str], data: Path, budget: Budget) -> list[Run]:
    """Run all contenders in turn, round by round; what does not converge in all its time is left out from then on."""
    reference = None if options.smoke else make_reference(options, data)
    runs, left = [], list(contenders)
    for round_ in range(options.rounds):
        for contender in list(left):
            found = compete(contender, data, budget, reference, seed=10 * round_)
            runs += found
            print(
                f"round {round_ + 1}: {contender} {', '.join(f'{r.kind} {r.seconds:.1f} s' for r in found)}", flush=True
            )
            if not options.smoke and not any(r.counts for r in found):
                left.remove(contender)
    return runs


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
