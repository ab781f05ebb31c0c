"""How long the joint law takes to fit and to predict, and how that grows with models and samples.

Of one table NUTS on the same blocks is beside the usual sampler, by effective draws a second of processor time: the
smallest effective size over all coordinates, and all that a call does, compilation too. Tables are simulated. A step of
the sampler costs what models cost, whatever the number of samples; a prediction draws the losses of every hypothetical
model on every sample. Seconds of sampling are apart from those of compilation. Memory is the largest resident size that
the process ever had, with the fit and all that was imported.

    python benchmarks/joint.py                                        # some minutes
    python benchmarks/joint.py --smoke                                # one small table, few draws and pools
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.hypothetical import NewModel

DRAWS, POOLS, SAMPLES = 200, 10_000, 2_000
HYPOTHETICAL, LARGEST_POOL = 40, 5
SECONDS_TARGET, MEMORY_TARGET = 10.0, 2048


@dataclass(frozen=True)
class FitTime:
    """Seconds of one fit, and how well it went."""

    sampler: str
    models: int
    samples: int
    processor: float
    ess: float
    sampling: float
    compiling: float
    total: float
    rhat: float
    divergences: int
    attempts: int


@dataclass(frozen=True)
class Ratio:
    """Effective draws a second of processor time: of the usual sampler, of NUTS, and how they compare."""

    usual: float
    nuts: float

    @property
    def ratio(self) -> float:
        """How many times those of NUTS."""
        return self.usual / self.nuts


@dataclass(frozen=True)
class PredictionTime:
    """Seconds of one prediction, and the memory of the process in MiB."""

    pools: int
    draws: int
    samples: int
    cold: float
    warm: float
    memory: float


def time_fit(models: int, samples: int, draws: int, sampler: str = "auto") -> tuple[bl.Fit, FitTime]:
    """Fit the law to a simulated table of four families, by four chains."""
    losses = bl.simulate_losses(families=4, sizes=models // 4, samples=samples, clusters=samples // 10)
    start, processor = time.perf_counter(), time.process_time()
    fitted = bl.fit(bl.JointLaw(), losses, draws=draws, sampler=sampler)
    total, processor = time.perf_counter() - start, time.process_time() - processor
    seconds, settings = fitted.tree["sample_stats"].attrs, json.loads(fitted.tree.attrs["settings"])
    figures = bl.diagnostics(fitted)
    return fitted, FitTime(
        sampler,
        models,
        samples,
        processor,
        min(figures.ess_bulk_min, figures.ess_tail_min),
        seconds["sampling_time"],
        seconds["compile_time"],
        total,
        figures.rhat_max,
        figures.divergences,
        settings["attempts"],
    )


def time_prediction(fitted: bl.Fit, pools: int, draws: int) -> PredictionTime:
    """Predict pools of known and hypothetical models, twice."""
    model = fitted.model
    assert model is not None
    generator = np.random.default_rng(0)
    largest = np.log(model.table.parameters.max())
    families = [*model.groups, "unseen"]
    new = [
        NewModel(float(np.exp(largest + generator.uniform(-3, 3))), families[number % len(families)], str(number))
        for number in range(HYPOTHETICAL)
    ]
    candidates = [*new, *map(str, model.table.names)]
    members = [
        [candidates[place] for place in generator.choice(len(candidates), size, replace=False)]
        for size in generator.integers(1, LARGEST_POOL + 1, pools)
    ]
    values = fitted.values()
    every = max(1, len(values["floor"]) // draws)
    thinned = {name: values[name][::every][:draws] for name in model.sites}
    seconds: list[float] = []
    for seed in range(2):
        start = time.perf_counter()
        draw_pools(model, thinned, members, seed=seed)
        seconds.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cold, warm = seconds
    return PredictionTime(pools, draws, len(model.table.weights), cold, warm, memory)


def measured(smoke: bool) -> Iterator[FitTime | Ratio | PredictionTime]:
    """Measure one thing after the other."""
    designs = [(8, 200)] if smoke else [(20, 500), (20, SAMPLES), (20, 4 * SAMPLES), (40, SAMPLES), (80, SAMPLES)]
    for models, samples in designs:
        draws = 100 if smoke else 1000
        fitted, seconds = time_fit(models, samples, draws)
        yield seconds
        if smoke or (models, samples) == (20, SAMPLES):
            yield (peer := time_fit(models, samples, draws, "nuts")[1])
            yield Ratio(seconds.ess / seconds.processor, peer.ess / peer.processor)
        if smoke or (models, samples) == (20, SAMPLES):
            yield time_prediction(fitted, POOLS // 100 if smoke else POOLS, DRAWS // 10 if smoke else DRAWS)


def show(result: FitTime | Ratio | PredictionTime, console: Console) -> None:
    table = Table(header_style="bold", box=None)
    for name in asdict(result):
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in asdict(result).values()))
    console.print(table)
    if isinstance(result, Ratio):
        console.print(f"effective draws a second of processor time: {result.ratio:.1f} times those of NUTS\n")
    if isinstance(result, PredictionTime):
        verdicts = (result.warm <= SECONDS_TARGET, result.memory < MEMORY_TARGET)
        words = ["met" if verdict else "MISSED" for verdict in verdicts]
        console.print(f"targets: warm {SECONDS_TARGET:.0f} s {words[0]}, memory {MEMORY_TARGET} MiB {words[1]}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small table, few draws and pools")
    options = parser.parse_args(arguments)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    for result in measured(options.smoke):
        show(result, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
