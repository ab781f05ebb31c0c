"""How often what `bayeslaw.when` says of pools and budgets is true, over simulated tables with a known truth.

Each table has 171 pools of up to two of 18 models of three families, whose losses are a power law of their regime with
independent normal noise. The law of each regime is drawn for each table: its floor evenly from 1.3 to 1.7 nats, its
amplitude at a billion parameters from 1 to 2, its exponent from 0.2 to 0.45, so that either side may be better, and
some laws cross. The collaboration law is fitted with its own priors, which is not what the truths are drawn from, as is
so for any user. Asked are the probabilities that pools of a regime are expected to lose less than a single model, at
five budgets from inside the data to a hundred times beyond, and that there is a crossover in that range.

Printed is how often such statements hold, by the probability stated, with the standard error of the difference over
tables (statements of one table are not independent), and how often the interval of the crossover holds the true one,
where there is one.

    python benchmarks/crossovers.py --tables 60
    python benchmarks/crossovers.py --smoke                      # four tables
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.decision.crossings import last_crossings

FLOORS, AMPLITUDES, EXPONENTS = (1.3, 1.7), (1.0, 2.0), (0.2, 0.45)
NOISE = 0.05
BUDGETS = (1e9, 1e10, 1e11, 1e12, 1e13)
BEYOND = 100.0
LEVEL = 0.9
EDGES = (0.0, 0.05, 0.35, 0.65, 0.95, 1.0)
BINS = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]


def true_laws(generator: np.random.Generator) -> dict[str, bl.PowerTruth]:
    """Draw a law for each regime."""
    names = ("single", "homogeneous", "heterogeneous")
    drawn = [[float(generator.uniform(*ends)) for ends in (FLOORS, AMPLITUDES, EXPONENTS)] for _ in names]
    return {
        name: bl.PowerTruth(floor=floor, amplitude=amplitude, exponent=exponent)
        for name, (floor, amplitude, exponent) in zip(names, drawn, strict=True)
    }


def true_crossing(laws: Mapping[str, bl.PowerTruth], regime: str, budgets: np.ndarray) -> float:
    """Find the budget above which pools of a regime truly lose less; NaN where there is none in the range."""

    def advantage(logs: np.ndarray) -> np.ndarray:
        return laws["single"].mean(np.exp(logs)) - laws[regime].mean(np.exp(logs))

    dense = np.geomspace(budgets[0], budgets[-1], 5001)
    return float(last_crossings(dense, advantage(np.log(dense))[None], advantage)[0])


def look_at(table: int, seed: int, draws: int) -> list[dict[str, Any]]:
    """Draw a table, fit it, ask, and return each statement with what is true."""
    laws = true_laws(np.random.default_rng([seed, table]))
    pools = bl.simulate_pools(laws, noise=NOISE, seed=seed + table)
    found = bl.when(
        bl.fit(bl.CollaborationLaw(), pools, draws=draws, chains=2), budgets=BUDGETS, beyond=BEYOND, interval=LEVEL
    )
    records = []
    for row in found.rows.to_dict(orient="records"):
        true = float(laws["single"].mean(row["parameters"]) - laws[row["regime"]].mean(row["parameters"]))
        where = "inside" if row["extrapolation"] == 0 else "beyond"
        of = {"table": table, "what": f"pool better, {where}", "stated": row["probability_better"]}
        records.append(of | {"holds": true > 0, "covered": row["lower"] <= true <= row["upper"]})
    for row, regime in zip(found.crossover.to_dict(orient="records"), found.advantages.regimes, strict=True):
        crossing = true_crossing(laws, row["regime"], regime.budgets)
        exists = bool(np.isfinite(crossing))
        covered = bool(row["lower"] <= crossing <= row["upper"]) if exists else None
        of = {"table": table, "what": "crossover exists", "stated": row["probability_exists"]}
        records.append(of | {"holds": exists, "covered": covered})
    return records


def standard_error(values: np.ndarray, tables: np.ndarray) -> float:
    """Return the standard error of the mean of values, [statement], of which those of a table depend on each other."""
    sums = np.bincount(np.unique(tables, return_inverse=True)[1], values)
    return float(np.sqrt((sums**2).sum()) / len(values))


def reliability(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare stated probabilities with how often statements hold, by kind of statement and probability."""
    rows = []
    for what in records["what"].unique():
        of_kind = (records["what"] == what).to_numpy()
        stated, holds, tables = (records[name].to_numpy()[of_kind] for name in ("stated", "holds", "table"))
        within = np.clip(np.searchsorted(EDGES, stated, side="left") - 1, 0, len(BINS) - 1)
        parts = {"all": np.ones(len(stated), bool)} | {name: within == place for place, name in enumerate(BINS)}
        for name, some in parts.items():
            if some.any():
                rows.append(
                    {
                        "what": what,
                        "stated": name,
                        "statements": int(some.sum()),
                        "tables": len(np.unique(tables[some])),
                        "mean_stated": float(stated[some].mean()),
                        "held": float(holds[some].mean()),
                        "standard_error": standard_error(holds[some] - stated[some], tables[some]),
                    }
                )
    return rows


def coverage(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Count how often intervals hold what is true: of advantages, and of crossovers where there is one."""
    rows = []
    for what in records["what"].unique():
        some = ((records["what"] == what) & records["covered"].notna()).to_numpy()
        held, tables = records["covered"].to_numpy()[some].astype(float), records["table"].to_numpy()[some]
        if len(held):
            error = standard_error(held - held.mean(), tables)
            rows.append({"what": what, "intervals": len(held), "covered": float(held.mean()), "standard_error": error})
    return rows


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print both tables."""
    table = Table(title=f"statements over {record['tables']} tables", title_justify="left", box=None)
    for name in ("statement", "stated", "statements", "mean stated", "held"):
        table.add_column(name, justify="left" if name in ("statement", "stated") else "right")
    for row in record["reliability"]:
        held = f"{row['held']:.3f} ± {row['standard_error']:.3f}"
        table.add_row(row["what"], row["stated"], str(row["statements"]), f"{row['mean_stated']:.3f}", held)
    console.print(table)
    for row in record["coverage"]:
        console.print(
            f"{LEVEL:.0%} intervals, {row['what']}: {row['covered']:.3f} ± {row['standard_error']:.3f} of "
            f"{row['intervals']} hold the truth"
        )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--draws", type=int, default=500, help="draws of each of two chains (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, help="file of finished tables: read, and added to")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--smoke", action="store_true", help="four tables")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tables, options.draws = 4, 100
    return options


def kept_records(path: Path | None, of: Mapping[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """Read the statements of tables that an earlier run wrote, by table; those asked otherwise are left out."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["table"]: line["records"] for line in lines if line["of"] == of}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    of = {"seed": options.seed, "draws": options.draws}
    kept = kept_records(options.checkpoint, of)
    for table in range(options.tables):
        if table in kept:
            continue
        kept[table] = look_at(table, options.seed, options.draws)
        if options.checkpoint is not None:
            line = json.dumps({"of": of, "table": table, "records": kept[table]})
            with options.checkpoint.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        print(f"table {table + 1} of {options.tables}", file=sys.stderr, flush=True)
    records = [record for table in range(options.tables) for record in kept[table]]
    frame = pd.DataFrame(records)
    record = {"tables": options.tables, "reliability": reliability(frame), "coverage": coverage(frame)}
    if options.json:
        print(json.dumps(record, indent=2))
    else:
        show(record, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
