"""How well laws of one curve extrapolate it: the language part of a published benchmark of scaling laws.

Rows marked for training are fitted, those beyond them scored, both on the natural logarithm of the loss. ``power`` is
the package's PowerLaw with its default priors, each curve by itself, ``pooled`` the same with curves of a domain
partially pooled, both by NUTS. ``unbroken`` is the law and priors of ``power`` by importance sampling, ``broken`` a
smoothly broken power law by the same, and ``stack`` mixes these two by how well they predict the last training rows
when these are hidden. RMSLE is the root mean squared error of the log loss of a curve, averaged over the curves of a
domain; density is the mean log predictive density of the log loss (larger is better) and coverage the share of rows
inside the central 90 % predictive interval, new noise included, each over all scored rows together and, second,
averaged over curves. Seconds are a curve's, after compilation.

    python benchmarks/curves.py benchmark.lang.csv
    python benchmarks/curves.py benchmark.lang.csv --law power pooled --json
    python benchmarks/curves.py --smoke                                # three simulated curves, in seconds
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from curves_predict import BASELINE, HIDDEN_SHARE, POWER, STACK, STACKED, Outcome, predict_curves, stack
from curves_protocol import BAND, Curve, Scores, read_curves, score
from rich.console import Console
from rich.table import Table

from bayeslaw.errors import InputError

DEFAULT_LAWS = (BASELINE, "power", *STACKED, STACK)
# The stack fits its laws a second time.
SMOKE_LAWS = DEFAULT_LAWS[:-1]
EVERY_LAW = (BASELINE, *POWER, *STACKED, STACK)
REFERENCE_ROW = {"NMT": 0.0482, "LM": 0.0011, "BB": 0.0100}
# Of language and nanoGPT curves together, so not of these rows alone: RMSLE and mean log predictive density.
PUBLISHED = {
    "BNSL": (0.0223, None),
    "MCMC on M4": (0.0235, 2.216),
    "LC-PFN": (0.0398, 1.519),
    "NSL-PFN": (0.0194, 2.773),
}


def compete(curves: Sequence[Curve], names: Sequence[str]) -> dict[str, Outcome]:
    """Let laws predict all curves; the stack takes the fits of its laws where these compete too."""
    outcomes: dict[str, Outcome] = {}
    for name in sorted(names, key=EVERY_LAW.index):
        if name == STACK and all(law in outcomes for law in STACKED):
            outcomes[name] = stack({law: outcomes[law] for law in STACKED}, curves)
        else:
            outcomes[name] = predict_curves(name, curves)
    return outcomes


def record(outcome: Outcome, scores: Scores, curves: int) -> dict[str, Any]:
    """Return what is printed as JSON of a law."""
    found = asdict(scores) | {"seconds_per_curve": outcome.seconds / curves, "compile_seconds": outcome.compiling}
    found |= {"warnings": outcome.warnings}
    return found | ({"weights": outcome.weights} if outcome.weights else {})


def show(records: dict[str, dict[str, Any]], curves: Sequence[Curve], published: bool, console: Console) -> None:
    """Print the scores of laws as a table, beside the published ones if these are of the same curves."""
    rows = sum(len(curve.new_loss) for curve in curves)
    domains = list(dict.fromkeys(curve.domain for curve in curves))
    title = f"{len(curves)} curves, {rows} scored rows; errors and densities of the natural log of the loss"
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    table.add_column("law")
    coverage = f"predictive {BAND:.0%}"
    for name in (*(f"RMSLE {name}" for name in domains), "density, rows", "curves", coverage, "curves"):
        table.add_column(name, justify="right")
    for name in ("s a curve", "compile s"):
        table.add_column(name, justify="right")
    for name, found in records.items():
        errors = [f"{found['rmsle'][domain]:.4f}" for domain in domains]
        middle = [f"{found[key]:.3f}" for key in ("density", "density_by_curve", "coverage90", "coverage90_by_curve")]
        seconds = f"{found['seconds_per_curve']:.2f}", f"{found['compile_seconds']:.1f}"
        table.add_row(name, *errors, *middle, *seconds)
    if published:
        table.add_row("least squares, reference", *(f"{REFERENCE_ROW.get(domain, np.nan):.4f}" for domain in domains))
    console.print(table)
    for name, found in records.items():
        for warning in found["warnings"]:
            console.print(f"{name}: {warning}: draws are less certain")
        if "weights" in found:
            weights = ", ".join(f"{law} {weight:.2f}" for law, weight in found["weights"].items())
            console.print(f"{name}: {weights}, from the last {HIDDEN_SHARE:.0%} of the training rows of every curve")
    if published:
        console.print("published, for language and nanoGPT curves together (RMSLE / density; not these rows alone):")
        for name, (error, density) in PUBLISHED.items():
            console.print(f"  {name} {error:.4f} / {'-' if density is None else f'{density:.3f}'}")


def simulated_curves(seed: int = 0) -> list[Curve]:
    """Simulate three power laws with noise of one percent, to be run in seconds."""
    generator, curves = np.random.default_rng(seed), []
    for name, floor, exponent in (("a", 0.5, 0.3), ("b", 0.7, 0.5), ("c", 0.3, 0.2)):
        budget = 1e6 * 2.0 ** np.arange(14)
        loss = (floor + 0.4 * (budget / 1e8) ** -exponent) * np.exp(generator.normal(0, 0.01, budget.size))
        curves.append(Curve("simulated", name, budget[:10], loss[:10], budget[10:], loss[10:]))
    return curves


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, nargs="?", metavar="CSV", help="benchmark.lang.csv, or a file like it")
    parser.add_argument(
        "--law",
        nargs="+",
        choices=EVERY_LAW,
        help=f"laws to run ({', '.join(DEFAULT_LAWS)}; without the last for --smoke)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--smoke", action="store_true", help="three simulated curves")
    options = parser.parse_args(arguments)
    if not (options.smoke or options.curves):
        parser.error("give the CSV file of the benchmark, or --smoke")
    options.law = options.law or (SMOKE_LAWS if options.smoke else DEFAULT_LAWS)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        curves = simulated_curves() if options.smoke else read_curves(options.curves)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    outcomes = compete(curves, options.law)
    records = {name: record(found, score(curves, found.predictions), len(curves)) for name, found in outcomes.items()}
    if options.json:
        rows = sum(len(curve.new_loss) for curve in curves)
        print(json.dumps({"curves": len(curves), "scored_rows": rows, "laws": records}, indent=2))
    else:
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False)
        show(records, curves, not options.smoke, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
