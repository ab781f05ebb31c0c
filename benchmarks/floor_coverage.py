"""How often bands beyond the largest model hold the truth, by the share of the loss that its floor is.

Every table has eight models of sizes over two decades, whose losses follow a power law with one percent of noise; the
truth's exponent is drawn for each table, evenly on a log scale from 0.1 to 0.6, unless one is given. `PowerLaw` is
fitted with the priors named, and asked for the mean loss of models 10 and 100 times as large as the largest. The share
is that of the floor in the true loss of the largest model. Tables are drawn from that truth, not from the prior, which
would be right on average over itself whatever it expects. One program, compiled once for each kind of prior, fits all.

``default`` are the priors of the package; ``share_2_2`` are the same with a beta prior on the floor's share that stays
away from both ends; ``log_normal`` is a log-normal floor around 60 % of the lowest loss, as it was up to version 0.9.

    python benchmarks/floor_coverage.py --tables 400
    python benchmarks/floor_coverage.py --tables 100 --prior default log_normal --exponent 0.3 --json
    python benchmarks/floor_coverage.py --smoke                          # ten tables of two shares
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.calibration.calibration_run import run_simulations
from bayeslaw.calibration.coverage import LEVELS
from bayeslaw.calibration.row_calibration import CalibratedLaw
from bayeslaw.fitting.given_rows import rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.laws.calibrated import FittedDraws, Simulated
from bayeslaw.laws.power import power_law
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise

SIZES = np.geomspace(1e8, 1e10, 8)
BEYOND = (10.0, 100.0)
SHARES = (0.0, 0.05, 0.3, 0.6, 0.9)
EXPONENTS = (0.1, 0.6)
NOISE = 0.01
LEVEL = 0.9

PRIORS: Mapping[str, Callable[[np.ndarray], bl.PowerLaw]] = {
    "default": lambda losses: bl.PowerLaw(pooling="complete"),
    "share_2_2": lambda losses: bl.PowerLaw(pooling="complete", floor="Share(2, 2)"),
    "log_normal": lambda losses: bl.PowerLaw(
        pooling="complete",
        floor=f"LogNormal({np.log(0.6 * losses.min())}, 0.45)",
        amplitude=f"LogNormal({np.log(0.4 * np.median(losses))}, 0.7)",
        exponent="LogNormal(-1.204, 0.5)",
    ),
}
"""By name from the losses of a table to the law."""


@dataclass(frozen=True)
class TablesOfAShare:
    """Tables whose floor is a share of the loss of their largest model; offers what `bayeslaw.calibrate` asks of laws.

    Attributes
    ----------
    share
        The share.
    exponent
        The exponent of the truth; one drawn for every table where None.
    prior
        Key of `PRIORS`.
    rows
        What fits and predicts.
    """

    share: float
    exponent: float | None
    prior: str
    rows: CalibratedLaw

    name = "power"
    unit = "nats"
    targets = pd.DataFrame({"where": [f"{ratio:g}x" for ratio in BEYOND], "parameters": SIZES[-1] * np.array(BEYOND)})

    @property
    def identity(self) -> dict[str, Any]:
        return {"share": self.share, "exponent": self.exponent, "prior": self.prior}

    def labels(self, quantity: str) -> tuple[str, ...]:
        return (quantity,)

    def simulate(self, seed: int) -> Simulated:
        generator = np.random.default_rng(seed)
        drawn = float(np.exp(generator.uniform(*np.log(EXPONENTS))))
        exponent = drawn if self.exponent is None else self.exponent
        # The loss of the largest model is one.
        truth = {"floor": self.share, "amplitude": 1 - self.share, "exponent": exponent}
        with jax.enable_x64(True):
            mean = np.asarray(power_law(SIZES / SIZES[-1], **truth))
            beyond = np.asarray(power_law(np.array(BEYOND), **truth))
        losses = mean * np.exp(NOISE * generator.standard_normal(len(SIZES)))
        return Simulated(losses, {"exponent": np.array(exponent)}, {"mean": beyond, "new": beyond})

    def fit(self, data: np.ndarray, seed: int) -> FittedDraws | None:
        observations = replace(self.rows.template.observations, loss=data)
        with jax.enable_x64(True):
            model = LawModel(PRIORS[self.prior](data), Noise(), observations)
            posterior, rows = row_posterior(model), rows_of(model)
        return self.rows.fit_posterior(posterior, rows, data, seed, self.targets)


def rows_for(prior: str) -> CalibratedLaw:
    """Fit one table, for what tables have in common."""
    losses = 0.5 + 0.5 * (SIZES / SIZES[-1]) ** -0.3
    table = pd.DataFrame({"family": "one", "parameters": SIZES, "loss": losses})
    fitted = bl.fit(PRIORS[prior](losses), bl.models_from_frame(table), draws=50, chains=1)
    return CalibratedLaw(fitted.keep(()))


def coverage(subject: TablesOfAShare, tables: int, seed: int) -> list[dict[str, Any]]:
    """Fit tables and count which bands of the mean hold the truth: one record for each of `BEYOND`."""
    done = run_simulations(subject, tables, seed, journal=None, advance=lambda count: None)
    kept = [outcome for outcome in done if not outcome.failed]
    held = np.array([outcome.held["mean"][LEVELS.index(LEVEL)] for outcome in kept])
    widths = np.array([outcome.widths["mean"] for outcome in kept])
    return [
        {
            "prior": subject.prior,
            "share": subject.share,
            "beyond": ratio,
            "coverage90": float(held[:, place].mean()),
            "standard_error": float(held[:, place].std() / np.sqrt(len(held))),
            "width90": float(widths[:, place].mean()),
            "tables": len(kept),
            "failed": len(done) - len(kept),
        }
        for place, ratio in enumerate(BEYOND)
    ]


def show(records: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print a row for each prior and share."""
    title = (
        f"share of {LEVEL:.0%} bands of the mean that hold the truth ± its standard error over tables / mean width, "
        "the loss of the largest model being one"
    )
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    table.add_column("prior")
    for name in ("floor's share", *(f"{ratio:g} times beyond" for ratio in BEYOND), "tables"):
        table.add_column(name, justify="right")
    for first, second in zip(records[::2], records[1::2], strict=True):
        cells = [f"{r['coverage90']:.3f} ± {r['standard_error']:.3f} / {r['width90']:.4f}" for r in (first, second)]
        table.add_row(first["prior"], f"{first['share']:g}", *cells, str(first["tables"]))
    console.print(table)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=400, help="tables of each share (default: 400)")
    parser.add_argument("--share", type=float, nargs="+", default=list(SHARES), help="true shares of the floor")
    parser.add_argument("--prior", nargs="+", choices=PRIORS, default=["default"], help="priors to fit with")
    parser.add_argument("--exponent", type=float, help="exponent of the truth (default: one drawn for each table)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--smoke", action="store_true", help="ten tables of two shares")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tables, options.share = 10, [0.3, 0.9]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    records = []
    for prior in options.prior:
        rows = rows_for(prior)
        for share in options.share:
            subject = TablesOfAShare(share, options.exponent, prior, rows)
            records += coverage(subject, options.tables, options.seed)
            print(f"{prior}, share {share:g}: done", file=sys.stderr)
    if options.json:
        print(json.dumps(records, indent=2))
    else:
        show(records, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
