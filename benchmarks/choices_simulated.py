"""Whether what `bayeslaw choose` says of pools is true, over simulated tables with a known truth.

Each table has eight models of three families on a hundred clusters of one sample, and pools of up to three of them. The
true mean losses of models are normal around 2.5 nats; how far they are apart is drawn for each table, log-uniformly,
between 0.01 and 0.05 where models are "alike" (less than the sampling error of a difference of two families, about
0.06) and between 0.05 and 0.5 where they are "apart"; the share of it that models of a family have in common is uniform
on 0 to 1. Losses on samples are normal around the means, of a part of the family and one of the model. What is true of
pools is their mean loss on 20,000 new samples.

No prior of how far models are apart is calibrated for every distance of its own, where eight models tell little of it:
so both kinds are looked at together as well, which is distances that are log-uniform between 0.01 and 0.5.

Asked are, of the ten pools that are told of, the probabilities to be the best of all pools and better than every single
model, and the regret. Printed is how often the statements hold, with a simultaneous envelope (see
`benchmarks/reliability.py`), the regret expected beside that there is, the regret of the pool that loses least on the
table, and what is promised of the chosen pool less what it loses.

    python benchmarks/choices_simulated.py --tables 200 --checkpoint choices.jsonl
    python benchmarks/choices_simulated.py --smoke                      # few tables
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from reliability import Records, kept_draws, kept_tables, reliability, show_reliability
from rich.console import Console

from bayeslaw.decision.cluster_draws import drawn_losses
from bayeslaw.decision.limits import Limits
from bayeslaw.decision.table_decision import Decision, decide

MODELS, FAMILIES, CLUSTERS, NEW_SAMPLES = 8, 3, 100, 20_000
SPREADS = {"alike": (0.01, 0.05), "apart": (0.05, 0.5)}
LEVEL, FAMILY_PART, OWN_PART = 2.5, 0.2, 0.25
TOLD = 10
POOLS = [pool for size in (1, 2, 3) for pool in combinations(range(MODELS), size)]
RULES = ("mixture", "oracle")


def drawn(means: np.ndarray, families: np.ndarray, samples: int, generator: np.random.Generator) -> np.ndarray:
    """Draw losses on samples, [sample, model]."""
    of_family = FAMILY_PART * generator.standard_normal((samples, FAMILIES))[:, families]
    return means + of_family + OWN_PART * generator.standard_normal((samples, MODELS))


def true_losses(nll: np.ndarray, rule: str) -> dict[tuple[int, ...], float]:
    """Return the mean loss of every pool."""
    if rule == "oracle":
        return {pool: float(nll[:, pool].min(axis=1).mean()) for pool in POOLS}
    likelihood = np.exp(-nll)
    return {pool: float(-np.log(likelihood[:, pool].mean(axis=1)).mean()) for pool in POOLS}


def table_of(nll: np.ndarray, families: np.ndarray) -> xr.Dataset:
    """Make a loss table, a cluster a sample."""
    names = [f"sample-{number}" for number in range(len(nll))]
    variables = {
        "nll": (("sample", "lm"), nll),
        "family": ("lm", [f"family-{number}" for number in families]),
        "parameters": ("lm", np.full(MODELS, 1e9)),
        "cluster": ("sample", names),
    }
    coordinates = {"sample": names, "lm": [str(number) for number in range(MODELS)]}
    return xr.Dataset(variables, coordinates, attrs={"kind": "losses", "unit": "sample", "source": "simulated"})


def look_at(table: int, *, kind: str, rule: str, draws: int) -> Records:
    """Draw a table, choose, and return each statement with what is true, and the regrets in the first."""
    generator = np.random.default_rng([table, list(SPREADS).index(kind), 7])
    low, high = np.log(SPREADS[kind])
    spread, shared = np.exp(generator.uniform(low, high)), generator.uniform()
    families = generator.integers(FAMILIES, size=MODELS)
    common = generator.standard_normal(FAMILIES)[families]
    apart = np.sqrt(shared) * common + np.sqrt(1 - shared) * generator.standard_normal(MODELS)
    means = LEVEL + spread * apart
    losses = table_of(np.maximum(drawn(means, families, CLUSTERS, generator), 0.01), families)
    truth = true_losses(np.maximum(drawn(means, families, NEW_SAMPLES, generator), 0.01), rule)
    decision = decide(losses, Limits(3, {}), rule=rule, cost="parameters", top=1, seed=table)
    return records_of(table, decision, truth, np.concatenate(list(drawn_losses(decision.contenders, draws, table))))


def records_of(table: int, decision: Decision, truth: dict[tuple[int, ...], float], lost: np.ndarray) -> Records:
    """Put statements beside what is true; `lost` are the draws, [draw, pool]."""
    contenders = decision.contenders
    true = np.array([truth[tuple(sorted(int(name) for name in decision.names(pool)))] for pool in contenders.pools])
    best_single = true[contenders.single].min()
    # Pools of which one has a member more that never matters are one.
    expected, told = contenders.expected, list(range(TOLD))
    told = [place for place in told if not np.isclose(expected[place], expected[:place], rtol=0, atol=1e-12).any()]
    ties = [np.isclose(expected, expected[place], rtol=0, atol=1e-12) for place in told]
    best = lost == lost.min(axis=1, keepdims=True)
    better = lost < lost[:, contenders.single].min(axis=1, keepdims=True)
    holds = [bool(true[tie].min() == true.min()) for tie in ties] + [bool(true[place] < best_single) for place in told]
    stated = np.column_stack([best[:, told], better[:, told]])
    whats = [f"{what}, {'first' if place == 0 else 'others'}" for what in ("best", "better") for place in told]
    alone = [False] * len(told) + [bool(contenders.single[place]) for place in told]
    judged = decision.cross_fit(np.arange(0)).judged(np.ones(len(contenders.weights)))
    regrets = {
        "expected": float((lost[:, 0] - lost.min(axis=1)).mean()),
        "chosen": float(true[0] - true.min()),
        "in sample": float(true[contenders.means[: contenders.eligible].argmin()] - true.min()),
        "promise": float(judged[0] - true[0]),
    }
    rows = zip(whats, stated.T, holds, kept_draws(stated, table), alone, strict=True)
    return [
        {"table": table, "what": what, "stated": float(each.mean()), "holds": held, "drawn": text, "regrets": regrets}
        for what, each, held, text, single in rows
        if not single
    ]


def show(records: Records, tables: int, console: Console) -> None:
    """Print reliability and regrets."""
    frame = pd.DataFrame(records)
    show_reliability(reliability(frame), tables, console)
    regrets = pd.DataFrame([row["regrets"] for row in frame.groupby("table").head(1).to_dict(orient="records")])
    for name, values in regrets.items():
        words = {"promise": "promised less true loss of the chosen"}.get(str(name), f"regret, {name}")
        console.print(f"  {words}: {values.mean():.5f} ± {values.std(ddof=1) / len(values) ** 0.5:.5f}")
    less = regrets["in sample"].to_numpy() - regrets["chosen"].to_numpy()
    error = float(less.std(ddof=1) / len(less) ** 0.5)
    words = "at most" if less.mean() >= 0 else "MORE THAN"
    words = "more, by less than two standard errors, than" if -2 * error < less.mean() < 0 else words
    console.print(
        f"  in sample less chosen: {less.mean():.5f} ± {error:.5f}: the regret of the chosen is {words} that of the "
        "lowest loss on the table"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rule", choices=RULES, help="one rule (default: both)")
    parser.add_argument("--checkpoint", type=Path, help="file of the tables that are done: read, and added to")
    parser.add_argument("--smoke", action="store_true", help="few tables")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tables, options.draws = 4, 100
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False)
    for rule in [options.rule] if options.rule else RULES:
        together: Records = []
        for kind in SPREADS:
            asked = {"kind": kind, "rule": rule, "draws": options.draws}
            said = partial(print, f"{rule}, {kind}:", file=sys.stderr, flush=True)
            records = kept_tables(options.checkpoint, asked, options.tables, partial(look_at, **asked), said)
            console.print(f"rule {rule}, models {kind}")
            show(records, options.tables, console)
            together += [row | {"table": f"{kind} {row['table']}"} for row in records]
        console.print(f"rule {rule}, models alike and apart")
        show(together, len(SPREADS) * options.tables, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
