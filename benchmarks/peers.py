"""The package's laws of single models beside what a user would take instead, on models larger than a cut.

Models of at most so many parameters are known; each larger one is predicted as a single new model of its family and
size, with all its uncertainty. A cell is a table at a cut. Printed is the continuous ranked probability score of each
contender, averaged over the larger models as a share of their loss, and the share of them inside the central 90 %
band. ``power`` is `PowerLaw` and ``recommended`` the law of `bayeslaw.recommend`, both with defaults;
``least_squares`` (all families together, or by family) and ``huber``, the fit of Hoffmann et al. 2022, have a bootstrap
of models; ``simple_scaling_laws`` is the package of that name in a Python that has it.

CELLS is a YAML list of tables, with paths relative to it:

    - {table: words.csv, models: models.csv, unit: word, cluster: [docid, sentid], cuts: [5e8, 1.45e9]}
    - {table: zoo, cuts: [1.2e5, 3e5]}

    python benchmarks/peers.py CELLS.yaml --simple-scaling-laws /path/to/python
    python benchmarks/peers.py CELLS.yaml --contender power least_squares --json
    python benchmarks/peers.py --smoke                                  # a small simulated table
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from extrapolation_scores import BAND, DrawnPrediction
from peers_contenders import CONTENDERS, PEER_NAME, Contender, Models, Task, simple_scaling_laws
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_yaml import parse_yaml
from bayeslaw.laws.observations import observe
from bayeslaw.losses.table_arguments import find_table

CELL_KEYS = ("table", "models", "unit", "cluster", "sample", "describe", "missing", "cuts")


def models_of(table: xr.Dataset) -> Models:
    """Take family, parameters and mean loss of every model of a table."""
    rows = observe(table, ("parameters",))
    return Models(np.asarray(rows.groups["family"]), np.asarray(rows.covariates["parameters"]), rows.loss)


def split_models(table: xr.Dataset, cut: float) -> Task:
    """Split a table into the models up to a size, which are known, and the larger ones."""
    every = models_of(table)
    known = every.parameters <= cut
    if known.all() or not known.any():
        raise InputError(
            f"{'no' if known.all() else 'every'} model is larger than the cut {cut:.4g}",
            f"a cut from {every.parameters.min():.4g} to below {every.parameters.max():.4g}",
            "give another cut",
        )
    parts = [Models(every.family[rows], every.parameters[rows], every.loss[rows]) for rows in (known, ~known)]
    training = table.isel(lm=np.flatnonzero(known))
    # A simulated table tells there what every model was expected to lose.
    training.attrs = {name: value for name, value in table.attrs.items() if name != "truth"}
    return Task(training, parts[0], parts[1])


def score(prediction: DrawnPrediction, losses: np.ndarray) -> dict[str, float]:
    """Score draws: CRPS as a share of the loss and coverage, means over the models."""
    lower, upper = prediction.band()
    inside = (lower <= losses) & (losses <= upper)
    error = (prediction.mean - losses) / losses
    return {
        "crps": float((prediction.crps(losses) / losses).mean()),
        "coverage90": float(inside.mean()),
        "bias": float(error.mean()),
    }


def cells(path: Path) -> Iterator[tuple[str, xr.Dataset, float]]:
    """Read the cells that a file names: label, table and cut of each."""
    entries = parse_yaml(path.read_text())
    if not isinstance(entries, list):
        raise InputError(f"{path} holds no list", "a list of tables with cuts", "begin every table with '- table:'")
    for entry in entries:
        unknown = [key for key in entry if key not in CELL_KEYS] if isinstance(entry, dict) else ["no mapping"]
        if unknown or not {"table", "cuts"} <= entry.keys():
            raise InputError(f"{path} has an entry {entry!r}", f"the keys {', '.join(CELL_KEYS)}", "see --help")
        given = {key: value for key, value in entry.items() if key not in ("table", "cuts")}
        if "models" in given:
            given["models"] = path.parent / given["models"]
        beside = path.parent / entry["table"]
        source = find_table(beside if beside.exists() else Path(entry["table"]), given.get("unit"))
        table = bl.read_losses(source, **given)
        for cut in entry["cuts"]:
            yield str(entry["table"]), table, float(cut)


def compete(task: Task, contenders: Mapping[str, Contender]) -> dict[str, dict[str, Any]]:
    """Let contenders predict the larger models of a cell."""
    found: dict[str, dict[str, Any]] = {}
    for name, contender in contenders.items():
        begun = time.perf_counter()
        prediction = contender(task)
        found[name] = score(prediction, task.targets.loss) | {"seconds": time.perf_counter() - begun}
        found[name]["remarks"] = list(prediction.remarks)
    return found


def show(records: Sequence[Mapping[str, Any]], names: Sequence[str], console: Console) -> None:
    """Print a row a cell, a column a contender, and their means."""
    title = f"CRPS as a share of the loss / coverage of the {BAND:.0%} band, of single models larger than the cut"
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    for name in ("table", "cut", "known", "larger", *names):
        table.add_column(name, justify="left" if name == "table" else "right")
    for record in records:
        scores = (record["contenders"][name] for name in names)
        texts = [f"{one['crps']:.4f} / {one['coverage90']:.2f}" for one in scores]
        counts = (f"{record['cut']:.3g}", str(record["known"]), str(record["larger"]))
        table.add_row(Path(record["table"]).parent.name or record["table"], *counts, *texts)
    means = [
        [np.mean([record["contenders"][name][key] for record in records]) for key in ("crps", "coverage90")]
        for name in names
    ]
    table.add_row("mean", "", "", "", *(f"{crps:.4f} / {coverage:.2f}" for crps, coverage in means))
    console.print(table)
    for record in records:
        for name, one in record["contenders"].items():
            if one["remarks"]:
                console.print(f"{record['table']} {record['cut']:.3g}, {name}: {', '.join(one['remarks'])}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, nargs="?", metavar="CELLS", help="YAML list of tables with cuts")
    parser.add_argument("--contender", nargs="+", choices=CONTENDERS, help="contenders to run (default: all)")
    parser.add_argument("--simple-scaling-laws", type=Path, metavar="PYTHON", help="a Python that has this package")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--smoke", action="store_true", help="a small simulated table")
    options = parser.parse_args(arguments)
    if not (options.smoke or options.cells):
        parser.error("give a file of cells, or --smoke")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    contenders = {name: CONTENDERS[name] for name in options.contender or CONTENDERS}
    if options.simple_scaling_laws:
        contenders[PEER_NAME] = simple_scaling_laws(options.simple_scaling_laws)
    records = []
    try:
        simulated = bl.simulate_losses(sizes=6, samples=200, clusters=20)
        for label, table, cut in [("simulated", simulated, 5e9)] if options.smoke else cells(options.cells):
            task = split_models(table, cut)
            counts = {"known": len(task.known.loss), "larger": len(task.targets.loss)}
            records.append({"table": label, "cut": cut, **counts, "contenders": compete(task, contenders)})
            print(f"{label} at {cut:.3g}: done", file=sys.stderr)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(records, indent=2))
    else:
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 180, highlight=False)
        show(records, list(contenders), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
