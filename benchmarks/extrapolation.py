"""How well laws fitted to models up to a size predict pools that hold larger ones, beside least squares.

The protocol is in extrapolation_protocol.py, predictions and their scores are in extrapolation_scores.py, and the laws
in extrapolation_laws.py. Losses are of the oracle, in bits
per byte where the table knows bytes and else in nats per sample. Seconds are those of fitting and predicting, with the
compilation that this takes.

    python benchmarks/extrapolation.py --losses LOSSES.csv --models MODELS.csv --cut 1.6e9 --cut 3e9
    python benchmarks/extrapolation.py --losses zoo --unit line --cut 5e5 --json
    python benchmarks/extrapolation.py --smoke                          # a small simulated table, in seconds
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from extrapolation_laws import LAWS, recommended
from extrapolation_protocol import TARGETS, Law, Split, split_at
from extrapolation_scores import BAND, DrawnPrediction, Scores, score
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.losses.missing import MISSING_POLICIES, missing_note
from bayeslaw.losses.statistics import loss_unit
from bayeslaw.losses.table_arguments import find_table

BASELINE = "least_squares"
SMOKE_CUT, SMOKE_TARGETS = 3e9, 100


@dataclass(frozen=True)
class Result:
    """What each law scored at a cut, in what time, and why a law refused the table."""

    cut: float
    split: Split
    recommended: str
    scores: dict[str, Scores]
    seconds: dict[str, float]
    remarks: dict[str, Sequence[str]]
    refused: dict[str, str]

    def record(self) -> dict[str, Any]:
        """Return what is printed as JSON; ``refused`` is there only where a law gave no prediction."""
        laws = {name: asdict(scores) | {"seconds": self.seconds[name]} for name, scores in self.scores.items()}
        record = {"cut": self.cut, "pools": len(self.split.target_losses), "recommended": self.recommended}
        return record | {"laws": laws} | ({"refused": self.refused} if self.refused else {})


def compete(split: Split, cut: float, laws: dict[str, Law]) -> Result:
    """Let every law predict the targets of a split."""
    result = Result(cut, split, recommended(split.task.losses), {}, {}, {}, {})
    for name, law in laws.items():
        start = time.perf_counter()
        try:
            prediction = law(split.task)
        except InputError as error:
            result.refused[name] = error.problem
            continue
        result.seconds[name] = time.perf_counter() - start
        result.scores[name] = score(prediction, split.target_losses)
        result.remarks[name] = prediction.remarks if isinstance(prediction, DrawnPrediction) else ()
    return result


def compete_at(losses: xr.Dataset, cuts: Iterable[float], laws: dict[str, Law], targets: int) -> Iterator[Result]:
    for cut in cuts:
        yield compete(split_at(losses, cut, targets=targets), cut, laws)


def show(result: Result, losses: xr.Dataset, console: Console) -> None:
    task = result.split.task
    known, models = task.losses.sizes["lm"], losses.sizes["lm"]
    unseen = sorted({*losses["family"].to_numpy().tolist()} - {*task.losses["family"].to_numpy().tolist()})
    console.print(
        f"cut {result.cut:.4g}: {known} of {models} models, {task.pools.sizes['pool']} training pools, "
        f"{len(task.targets)} targets, new families: {', '.join(unseen) or 'none'}"
    )
    table = Table(title=loss_unit(losses), title_justify="left", header_style="bold", box=None)
    table.add_column("law")
    for name in ("RMSE", "CRPS", "ratio", f"coverage {BAND:.0%}", f"width {BAND:.0%}", "seconds"):
        table.add_column(name, justify="right")
    for name, scores in result.scores.items():
        numbers = f"{scores.rmse:.4f}", f"{scores.crps:.4f}", f"{ratio(result, name):.2f}"
        rest = f"{scores.coverage90:.3f}", f"{scores.width90:.3f}", f"{result.seconds[name]:.1f}"
        table.add_row(name + " *" * (name == result.recommended), *numbers, *rest)
    console.print(table)
    for name, why in result.refused.items():
        console.print(f"{name} gives no prediction: {why}")
    for name, remarks in result.remarks.items():
        for remark in remarks:
            console.print(f"{name}: {remark}")
    console.print()


def ratio(result: Result, name: str) -> float:
    """Return the CRPS of a law relative to the baseline's, NaN where the baseline did not run."""
    return result.scores[name].crps / result.scores[BASELINE].crps if BASELINE in result.scores else np.nan


def show_means(results: list[Result], console: Console) -> None:
    """Average over cuts: coverage at one cut rests on few larger models and is mostly luck."""
    for name in dict.fromkeys(name for result in results for name in result.scores):
        there = [result for result in results if name in result.scores]
        ratios = [ratio(result, name) for result in there]
        coverage = np.mean([result.scores[name].coverage90 for result in there])
        console.print(
            f"{name} over {len(there)} cuts: CRPS ratio {np.mean(ratios):.3f} on average and {max(ratios):.2f} at "
            f"most, coverage {coverage:.3f}"
        )
    console.print("* recommended: what the package chooses without the targets")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    return parse_table(parser, LAWS, arguments)


def parse_table(
    parser: argparse.ArgumentParser, laws: dict[str, Law], arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Read the options of a benchmark that hides the larger models of a table from laws."""
    parser.add_argument("--losses", type=Path, metavar="CSV|TABLE", help="wide CSV, folder of a loss table, or zoo")
    parser.add_argument("--models", type=Path, metavar="CSV", help="model, family, parameters; needed for a wide CSV")
    parser.add_argument(
        "--cut", type=float, nargs="+", action="extend", metavar="PARAMETERS", help="largest known size"
    )
    parser.add_argument("--missing", choices=MISSING_POLICIES, default="error", help="what to do with missing losses")
    parser.add_argument("--unit", help="what a sample is")
    parser.add_argument("--cluster", help="columns that name the document of each sample, commas between")
    parser.add_argument("--sample", help="column of sample names")
    parser.add_argument("--describe", nargs="+", action="extend", default=[], help="columns that describe samples")
    parser.add_argument("--law", nargs="+", action="extend", choices=laws, help="laws to run (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--smoke", action="store_true", help="a small simulated table and few targets")
    options = parser.parse_args(arguments)
    if not options.smoke and not (options.losses and options.cut):
        parser.error("give --losses and --cut, or --smoke")
    return options


def read(options: argparse.Namespace) -> xr.Dataset:
    """Read the table that the options name."""
    names = ("models", "unit", "cluster", "sample", "describe", "missing")
    given = {name: getattr(options, name) for name in names}
    losses = bl.read_losses(find_table(options.losses, options.unit), **given)
    if note := missing_note(losses):
        print(note, file=sys.stderr)
    return losses


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    laws = {name: LAWS[name] for name in options.law or LAWS}
    try:
        if options.smoke:
            losses, cuts, targets = bl.simulate_losses(sizes=5, samples=300, clusters=30), [SMOKE_CUT], SMOKE_TARGETS
        else:
            losses, cuts, targets = read(options), options.cut, TARGETS
        results = []
        for result in compete_at(losses, cuts, laws, targets):
            results.append(result)
            if not options.json:
                show(result, losses, console)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([result.record() for result in results], indent=2))
    else:
        show_means(results, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
