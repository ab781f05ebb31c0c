"""How often what `bayeslaw.when` says of pools and budgets is true, over simulated tables with a known truth.

Each table has 171 pools of up to two of 18 models of three families, whose losses are a power law of their regime with
independent normal noise. The law of each regime is drawn for each table: its floor evenly from 1.3 to 1.7 nats, its
amplitude at a billion parameters from 1 to 2, its exponent from 0.2 to 0.45, so that either side may be better, and
some laws cross. The collaboration law is fitted with its own priors, which is not what the truths are drawn from, as is
so for any user. Asked are the probabilities that pools of a regime are expected to lose less than a single model, at
five budgets from inside the data to a hundred times beyond, and that there is a crossover in that range.

With ``--law joint`` each table has the losses of six models of three families on 120 samples, drawn as by
`bayeslaw.simulate_losses`: power laws and how much models have in common are drawn for each table (see
`benchmarks/crossovers_joint.py`). Asked is the same of pools of two new models, on the curves of these families, and of
the best pool of the models scored.

Printed is how often such statements hold, by the probability stated, with a simultaneous 95 % envelope (see
`benchmarks/reliability.py`), and how often intervals hold what is true, of advantages and, where there is one, of the
crossover.

    python benchmarks/crossovers.py --tables 200 --checkpoint collaboration.jsonl
    python benchmarks/crossovers.py --law joint --tables 200 --draws 250 --checkpoint joint.jsonl --fits fits
    python benchmarks/crossovers.py --smoke                      # four tables
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from crossovers_joint import JOINT_BUDGETS, SimulatedLosses, Truth
from reliability import Records, kept_draws, kept_tables, reliability, show_reliability
from rich.console import Console

import bayeslaw as bl
from bayeslaw.decision.crossings import last_crossings

FLOORS, AMPLITUDES, EXPONENTS = (1.3, 1.7), (1.0, 2.0), (0.2, 0.45)
NOISE = 0.05
BUDGETS = (1e9, 1e10, 1e11, 1e12, 1e13)
BEYOND = 100.0
LEVEL = 0.9


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


def of_regimes(table: int, found: bl.Crossovers, truths: Mapping[str, Truth]) -> Records:
    """Put what is said of each regime beside what is true.

    Parameters
    ----------
    table
        Number of the table.
    found
        What is said.
    truths
        Of every regime: from budgets to what a single model loses more than a pool, and the budget above which that is
        positive, NaN where there is none.
    """
    records: Records = []
    for regime in found.advantages.regimes:
        advantage, crossing = truths[regime.regime]
        rows = [row for row in found.rows.to_dict(orient="records") if row["regime"] == regime.regime]
        places = np.searchsorted(regime.budgets, [row["parameters"] for row in rows])
        drawn = kept_draws(np.column_stack([regime.draws[:, places] > 0, np.isfinite(regime.crossing)]), table)
        true = advantage(np.array([row["parameters"] for row in rows]))
        for row, value, text in zip(rows, true, drawn[:-1], strict=True):
            where = "inside" if row["extrapolation"] == 0 else "beyond"
            what = "best pool better" if regime.steps else f"pool better, {where}"
            of = {"table": table, "what": what, "stated": row["probability_better"], "drawn": text}
            records.append(of | {"holds": bool(value > 0), "covered": bool(row["lower"] <= value <= row["upper"])})
        [row] = [each for each in found.crossover.to_dict(orient="records") if each["regime"] == regime.regime]
        exists = bool(np.isfinite(crossing))
        # Of few draws with a crossover no interval is told.
        told = exists and np.isfinite(row["lower"])
        covered = bool(row["lower"] <= crossing <= row["upper"]) if told else None
        of = {"table": table, "what": f"{'best pool, ' if regime.steps else ''}crossover exists"}
        of |= {"stated": row["probability_exists"], "drawn": drawn[-1]}
        records.append(of | {"holds": exists, "covered": covered})
    return records


def of_collaboration(table: int, *, seed: int, draws: int, fits: Path | None = None) -> Records:
    """Draw a table of pools, fit it, ask, and return each statement with what is true."""
    del fits
    laws = true_laws(np.random.default_rng([seed, table]))
    pools = bl.simulate_pools(laws, noise=NOISE, seed=seed + table)
    found = bl.when(
        bl.fit(bl.CollaborationLaw(), pools, draws=draws, chains=2), budgets=BUDGETS, beyond=BEYOND, interval=LEVEL
    )
    truths: dict[str, Truth] = {}
    for regime in found.advantages.regimes:
        law = laws[regime.regime]

        def advantage(budgets: np.ndarray, law: bl.PowerTruth = law) -> np.ndarray:
            return laws["single"].mean(budgets) - law.mean(budgets)

        truths[regime.regime] = advantage, true_crossing(laws, regime.regime, regime.budgets)
    return of_regimes(table, found, truths)


def of_joint(table: int, *, seed: int, draws: int, fits: Path | None = None) -> Records:
    """Draw a loss table, fit it jointly or read its fit, ask, and return the same."""
    simulated = SimulatedLosses.of(seed, table)
    kept = None if fits is None else fits / f"seed{seed}-draws{draws}-table{table}.nc"
    if kept is not None and kept.exists():
        fit = bl.load_fit(kept)
    else:
        fit = bl.fit(bl.JointLaw(), simulated.losses, draws=draws, chains=2)
        if kept is not None:
            fit.save(kept)
    found = bl.when(fit, budgets=JOINT_BUDGETS, sizes=2, interval=LEVEL)
    return of_regimes(table, found, simulated.truths(found))


STUDIES = {"collaboration": of_collaboration, "joint": of_joint}


def standard_error(values: np.ndarray, tables: np.ndarray) -> float:
    """Return the standard error of the mean of values, [statement], of which those of a table depend on each other."""
    sums = np.bincount(np.unique(tables, return_inverse=True)[1], values)
    return float(np.sqrt((sums**2).sum()) / len(values))


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
    show_reliability(record["reliability"], record["tables"], console)
    for row in record["coverage"]:
        console.print(
            f"{LEVEL:.0%} intervals, {row['what']}: {row['covered']:.3f} ± {row['standard_error']:.3f} of "
            f"{row['intervals']} hold the truth"
        )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", choices=tuple(STUDIES), default="collaboration")
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--draws", type=int, default=500, help="draws of each of two chains (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, help="file of the tables that are done: read, and added to")
    parser.add_argument("--fits", type=Path, help="folder of joint fits, which are kept and read by a later run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--smoke", action="store_true", help="four tables")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tables, options.draws = 4, 100
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.fits is not None:
        options.fits.mkdir(parents=True, exist_ok=True)
    of = {"law": options.law, "seed": options.seed, "draws": options.draws}
    look_at = partial(STUDIES[options.law], seed=options.seed, draws=options.draws, fits=options.fits)
    said = partial(print, file=sys.stderr, flush=True)
    frame = pd.DataFrame(kept_tables(options.checkpoint, of, options.tables, look_at, said))
    record = {"law": options.law, "tables": options.tables}
    record |= {"reliability": reliability(frame), "coverage": coverage(frame)}
    if options.json:
        print(json.dumps(record, indent=2))
    else:
        show(record, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
