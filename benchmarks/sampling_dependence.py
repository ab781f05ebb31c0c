"""The package's fit of the same pools with independent rows and with the rows' dependence, in turn."""

import math
from pathlib import Path

import numpy as np
from sampling_peers import DEPENDENT, WARMUP
from sampling_runs import RHAT_LIMIT, Run, assess, sample

DEPENDENCE_LIMIT = 3.0


def compare_dependence(data: Path, *, draws: int, chains: int, rounds: int, limit: float) -> list[Run]:
    """Fit the same pools with independent and with dependent rows, in turn; a fit samples until it can be trusted."""
    runs = []
    for round_ in range(rounds):
        for contender in ("ours", DEPENDENT):
            lengths = {"draws": draws, "warmup": WARMUP[contender], "chains": chains}
            found = sample(contender, data, **lengths, seed=10 * round_, limit=limit, warm=False)
            runs += [assess(contender, kind, result, None) for kind, result in found.items()]
            print(describe(runs[-1]) if found else f"{contender} did not finish in {limit:.0f} s", flush=True)
    return runs


def describe(run: Run) -> str:
    """Say in a line how long a fit took to converge, without compiling, and how well it did."""
    return (
        f"{run.contender:16s}{run.sampling_seconds:8.2f} s{run.seconds:8.1f} s in all, R-hat {run.rhat:.4f}, "
        f"{run.divergences} divergences, {run.steps:.1f} steps a draw, bulk ESS {run.ess_bulk:.0f} at least"
    )


def report_dependence(runs: list[Run]) -> tuple[float, bool]:
    """Print the ratio of the median times to convergence, without compiling.

    Returns the ratio, and whether all fits converged.
    """
    times = {name: [r.sampling_seconds for r in runs if r.contender == name] for name in ("ours", DEPENDENT)}
    if not all(times.values()):
        return math.inf, False
    ratio = float(np.median(times[DEPENDENT]) / np.median(times["ours"]))
    converged = all(run.rhat < RHAT_LIMIT and run.divergences == 0 for run in runs)
    verdict = "all" if converged else "not all"
    print(f"dependent over independent: {ratio:.2f}, at most {DEPENDENCE_LIMIT:g} wanted; {verdict} converged")
    return ratio, converged
