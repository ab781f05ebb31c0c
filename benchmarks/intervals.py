"""How often the intervals of `bayeslaw.attainability` and `bayeslaw.advantage` hold the truth, and how wide they are.

Tables are simulated from a known truth. Losses have a part common to all models of a cluster, a part of each model on a
cluster, and one of each model on a sample: all normal, gamma, or heavy-tailed (log-normal). Clusters have equal numbers
of samples, or unequal ones. Members differ by enough for one to be best always (``best``), by about a standard error of
their difference (``near``), or not at all (``tie``).

The truth of `attainability` is its estimand: the loss of the rule minus that of the member that four fifths of a table
choose, on new clusters. For ``near`` the latter is averaged over the simulated tables. The truth of
`advantage` is of best members by their expected losses. Shares are judged where one is shown; ends may be infinite, and
the width is the median.

    python benchmarks/intervals.py                     # 2,000 tables a cell: half an hour
    python benchmarks/intervals.py --tables 400
    python benchmarks/intervals.py --smoke             # 40 tables of three cells, in seconds
"""

import argparse
import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import bayeslaw as bl

LEVEL = 0.9
BETTER = {"best": 0.6, "near": 0.1, "tie": 0.0}
TRUTH_CLUSTERS = 40_000
# Without the checks of arguments, which simulated tables pass and which take most of the time.
ATTAINABILITY, ADVANTAGE = inspect.unwrap(bl.attainability), inspect.unwrap(bl.advantage)
FEWEST, MOST, LEAST = 0.87, 0.93, 0.87


@dataclass(frozen=True)
class Cell:
    """Tables of one kind.

    Parameters
    ----------
    function
        ``"attainability"`` or ``"advantage"``.
    members
        How the members differ: a key of `BETTER`.
    clusters
        Number of clusters.
    noise
        ``"gamma"``, ``"normal"`` or ``"lognormal"``.
    samples
        Mean number of samples of a cluster.
    unequal
        Whether clusters have different numbers of samples.
    """

    function: str
    members: str
    clusters: int
    noise: str = "gamma"
    samples: int = 20
    unequal: bool = False


@dataclass(frozen=True)
class Coverage:
    """How often intervals of one quantity held the truth.

    Parameters
    ----------
    cell
        The tables.
    quantity
        The quantity.
    truth
        Its true value.
    shown
        Share of tables for which it was given.
    covered
        Share of these whose interval holds the truth.
    error
        Standard error of that share.
    width
        Median width of the intervals.
    """

    cell: Cell
    quantity: str
    truth: float
    shown: float
    covered: float
    error: float
    width: float

    @property
    def target(self) -> tuple[float, float]:
        """Lowest and highest coverage aimed at."""
        sure = self.cell.members == "best" and self.cell.clusters >= 10
        return (FEWEST, MOST) if sure else (LEAST, 1.0)


def draw_losses(cell: Cell, clusters: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw losses of all members, [sample, member], and the number of each sample's cluster, [sample]."""
    sizes = np.full(clusters, cell.samples)
    if cell.unequal:
        sizes = 1 + generator.geometric(1 / cell.samples, clusters)
    code = np.repeat(np.arange(clusters), sizes)
    members = 3 if cell.function == "attainability" else 4

    def part(name: str, shape: tuple[int, ...]) -> np.ndarray:
        mean, gamma, deviation = {"common": (2.0, 2, 0.5), "of cluster": (0.5, 2, 0.35), "own": (1.0, 2, 0.7)}[name]
        if cell.noise == "normal":
            # Far enough from zero that no loss is negative.
            return mean + 2.0 + deviation * generator.standard_normal(shape)
        if cell.noise == "gamma":
            return generator.gamma(gamma, mean / gamma, shape)
        return mean * np.exp(0.8 * generator.standard_normal(shape) - 0.32)

    nll = part("common", (clusters, 1))[code] + part("of cluster", (clusters, members))[code]
    nll = nll + part("own", (len(code), members))
    return nll + shifts(cell, members), code


def shifts(cell: Cell, members: int) -> np.ndarray:
    """Return what each member loses more than the first, [member]: pools of any two have a best one, or none."""
    steps = np.arange(members) if cell.function == "advantage" else np.minimum(np.arange(members), 1)
    return BETTER[cell.members] * steps


def dataset(nll: np.ndarray, code: np.ndarray) -> xr.Dataset:
    """Make a loss table of drawn losses: models of two families in turn, of two sizes."""
    members = nll.shape[1]
    return xr.Dataset(
        {
            "nll": (("sample", "lm"), nll),
            "family": ("lm", [f"family-{member % 2}" for member in range(members)]),
            "parameters": ("lm", 1e8 * (1 + np.arange(members) // 2)),
            "cluster": ("sample", code.astype(str)),
        },
        coords={"sample": np.arange(len(nll)).astype(str), "lm": [f"m{member}" for member in range(members)]},
        attrs={"kind": "losses", "unit": "sample", "source": "simulated"},
    )


@dataclass(frozen=True)
class Study:
    """A cell with the number of its tables.

    Parameters
    ----------
    cell
        The cell.
    tables
        Number of tables.
    seed
        Seed.
    """

    cell: Cell
    tables: int
    seed: int = 0

    @cached_property
    def found(self) -> list[dict[str, tuple[float, float, float]]]:
        """Estimate and ends of every quantity, of each table; NaN where it is not given."""
        return [self._of_table(number) for number in range(self.tables)]

    def _of_table(self, number: int) -> dict[str, tuple[float, float, float]]:
        cell = self.cell
        losses = dataset(*draw_losses(cell, cell.clusters, np.random.default_rng([self.seed, cell.clusters, number])))
        if cell.function == "advantage":
            parts = ADVANTAGE(losses, max_size=2, tolerance=10.0, rule="mixture", interval=LEVEL).overall
            estimates = {name: getattr(parts, name) for name in ("total", "better_partners", "diversity")}
            return {name: (each.value, each.lower, each.upper) for name, each in estimates.items()}
        members = list(losses["lm"].to_numpy())
        share = ATTAINABILITY(losses, members, rules=["mixture"], interval=LEVEL, seed=number)["mixture"]
        estimates = {"difference": share.difference, "gain": share.gain, "share": share}
        found = {name: (each.value, each.lower, each.upper) for name, each in estimates.items()}
        return found | {"best": (share.best,) * 3}

    @cached_property
    def truth(self) -> dict[str, float]:
        """True value of every quantity."""
        nll, _ = draw_losses(self.cell, TRUTH_CLUSTERS, np.random.default_rng(self.seed + 10**6))
        # But for the shifts members are alike.
        shift = shifts(self.cell, nll.shape[1])
        mean = (nll - shift).mean() + shift
        if self.cell.function == "attainability":
            best = mean.min()
            if self.cell.members == "near":
                best = np.mean([each["best"][0] for each in self.found])
            difference, gain = -np.log(np.exp(-nll).mean(axis=1)).mean() - best, best - nll.min(axis=1).mean()
            return {"difference": difference, "gain": gain, "share": -difference / gain}
        return self._advantage(nll, mean)

    @staticmethod
    def _advantage(nll: np.ndarray, mean: np.ndarray) -> dict[str, float]:
        """Average over the matched pairs of the design, which are the same for every table."""
        losses = dataset(nll[:2], np.arange(2))
        pools = bl.make_pools(losses, design="matched", max_size=2, tolerance=10.0, seed=0)
        pools = pools.isel(pool=pools["match"].to_numpy() >= 0)
        members = pools["member"].to_numpy()
        lost = [-np.log(np.exp(-nll[:, pair]).mean(axis=1)).mean() for pair in members]
        total = np.mean(np.subtract(lost[0::2], lost[1::2]))
        best = mean[members].min(axis=1)
        partners = np.mean(best[0::2] - best[1::2])
        return {"total": float(total), "better_partners": float(partners), "diversity": float(total - partners)}

    def coverage(self) -> Iterator[Coverage]:
        """Say how often the intervals of every quantity hold the truth."""
        for quantity, truth in self.truth.items():
            values = np.array([each[quantity] for each in self.found])
            given = values[np.isfinite(values[:, 0])]
            covered = float(((given[:, 1] <= truth) & (truth <= given[:, 2])).mean()) if len(given) else np.nan
            error = float(np.sqrt(covered * (1 - covered) / len(given))) if len(given) else np.nan
            width = float(np.median(given[:, 2] - given[:, 1])) if len(given) else np.nan
            yield Coverage(self.cell, quantity, float(truth), len(given) / len(values), covered, error, width)


def cells() -> list[Cell]:
    """List the cells of the study."""
    usual = [Cell("attainability", members, number) for members in BETTER for number in (5, 10, 30, 100)]
    others = [
        Cell("attainability", members, number, noise)
        for noise in ("normal", "lognormal")
        for members in ("best", "tie")
        for number in (5, 10, 30)
    ]
    unequal = [Cell("attainability", "best", number, unequal=True) for number in (10, 30)]
    return usual + others + unequal + [Cell("advantage", m, n) for m in ("best", "tie") for n in (5, 10, 30)]


def smoke_cells() -> list[Cell]:
    """List the cells of the quick run."""
    return [
        Cell("attainability", "best", 10, samples=5),
        Cell("attainability", "tie", 5, samples=5),
        Cell("advantage", "best", 10, samples=5),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000, help="simulated tables of each cell")
    parser.add_argument("--smoke", action="store_true", help="40 tables of three cells")
    parser.add_argument("--json", action="store_true", help="print one record a line")
    options = parser.parse_args(arguments)
    wanted, tables = (smoke_cells(), 40) if options.smoke else (cells(), options.tables)
    console = Console(width=140)
    shown = Table(title=f"coverage of {LEVEL:.0%} intervals, {tables:,} tables a cell", header_style="bold")
    for name in ("cell", "quantity", "truth", "shown", "covered", "target", "width"):
        shown.add_column(name, justify="left" if name in ("cell", "quantity") else "right")
    for cell in wanted:
        for result in Study(cell, tables).coverage():
            if options.json:
                print(json.dumps(asdict(result)), flush=True)
            name = f"{cell.function}, {cell.members}, {cell.clusters} clusters, {cell.noise}"
            name += ", unequal" if cell.unequal else ""
            low, high = result.target
            figures = (f"{result.truth:.4f}", f"{result.shown:.2f}", f"{result.covered:.3f} ± {result.error:.3f}")
            shown.add_row(name, result.quantity, *figures, f"{low:.2f} to {high:.2f}", f"{result.width:.4f}")
    if not options.json:
        console.print(shown)


if __name__ == "__main__":
    main()
