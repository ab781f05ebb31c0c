"""How well laws fitted to models up to a size predict single larger ones, each by itself.

Pools follow once the mean losses of their larger members are known, and a mean over many pools hides which family was
missed: here every larger model is one target. CRPS is relative to the loss found. ``z`` is the loss found minus the
mean predicted, in standard deviations of the prediction, averaged by family: families that are missed the same way at
every cut are seen by it. ``joint_apart`` asks the same fit for each model in a call of its own: the rows of both
differ by Monte Carlo error only, as nothing that is predicted may depend on what else is asked.

    python benchmarks/single_models.py --losses LOSSES.csv --models MODELS.csv --cut 1.6e9 --cut 3e9
    python benchmarks/single_models.py --losses zoo --unit document --cut 5e4 1.2e5 3e5 7e5 --json
    python benchmarks/single_models.py --smoke
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from extrapolation import SMOKE_CUT, parse_table, read
from extrapolation_laws import joint, least_squares, members_of
from extrapolation_protocol import Law, Split, name_members, pool_table, split_at
from extrapolation_scores import DrawnPrediction, Prediction
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.losses.model_names import NEW_FAMILY


@dataclass(frozen=True)
class Scores:
    """Scores of one law at one cut: means over models, and mean ``z`` by family."""

    law: str
    cut: float
    models: int
    relative_crps: float
    coverage90: float
    median_bias: float
    z: dict[str, float]


def single_targets(losses: xr.Dataset, cut: float) -> Split:
    """Split a table into what is known up to a size, and every larger model by itself."""
    split = split_at(losses, cut, targets=1)
    rows = np.flatnonzero(losses["parameters"].to_numpy() > cut)[:, None]
    task = replace(split.task, targets=name_members(losses, rows))
    return Split(task, pool_table(losses, rows)["loss"].to_numpy())


def power(task: Any) -> DrawnPrediction:
    """Predict by the power law of single models, families partially pooled."""
    fitted = bl.fit(bl.PowerLaw(), task.losses, seed=task.seed)
    models = [pool[0] for pool in task.targets]
    families = [model.family if model.family in fitted.model.groups else NEW_FAMILY for model in models]
    at = {"parameters": [model.parameters for model in models], "family": families}
    return DrawnPrediction(bl.predict_draws(fitted, at, seed=task.seed).to_numpy().reshape(-1, len(models)))


def joint_apart(task: Any) -> DrawnPrediction:
    """Predict by the joint law, each model in a call of its own."""
    fitted = bl.fit(bl.JointLaw(), task.losses, seed=task.seed)
    asked = [{"members": [text]} for text in members_of(task)]
    each = [bl.predict_draws(fitted, at, samples="same", seed=task.seed).to_numpy() for at in asked]
    return DrawnPrediction(np.stack([draws.ravel() for draws in each], axis=1))


LAWS: dict[str, Law] = {"least_squares": least_squares, "power": power, "joint": joint, "joint_apart": joint_apart}


def score(name: str, cut: float, prediction: Prediction, split: Split) -> Scores:
    """Score a prediction of single models."""
    losses, (lower, upper) = split.target_losses, prediction.band()
    deviation = (upper - lower) / (2 * 1.645)
    middle = np.median(prediction.draws, axis=0) if isinstance(prediction, DrawnPrediction) else prediction.mean
    z, families = (losses - prediction.mean) / deviation, [pool[0].family for pool in split.task.targets]
    by_family = {name: float(z[[family == name for family in families]].mean()) for name in dict.fromkeys(families)}
    covered = float(((lower < losses) & (losses < upper)).mean())
    bias = float((middle / losses - 1).mean())
    return Scores(name, cut, len(losses), float((prediction.crps(losses) / losses).mean()), covered, bias, by_family)


def compete(losses: xr.Dataset, cuts: Sequence[float], laws: dict[str, Law]) -> Iterator[Scores]:
    """Let every law predict the larger models at every cut; a law that refuses a table is named and left out."""
    for cut in cuts:
        split = single_targets(losses, cut)
        for name, law in laws.items():
            try:
                prediction = law(split.task)
            except InputError as error:
                print(f"{name} gives no prediction at {cut:.4g}: {error.problem}", file=sys.stderr)
                continue
            yield score(name, cut, prediction, split)


def show(scores: Sequence[Scores], console: Console) -> None:
    """Print scores by law and cut, and their means over cuts."""
    table = Table(header_style="bold", box=None)
    for name in ("law", "cut", "models", "CRPS / loss", "coverage 90%", "bias of median", "mean z by family"):
        table.add_column(name, justify="left" if name in ("law", "mean z by family") else "right")
    for one in scores:
        z = ", ".join(f"{family} {value:+.1f}" for family, value in one.z.items())
        numbers = f"{one.relative_crps:.2%}", f"{one.coverage90:.2f}", f"{one.median_bias:+.1%}"
        table.add_row(one.law, f"{one.cut:.3g}", str(one.models), *numbers, z)
    console.print(table)
    for name in dict.fromkeys(one.law for one in scores):
        own = [one for one in scores if one.law == name]
        crps, coverage = (np.mean([getattr(one, key) for one in own]) for key in ("relative_crps", "coverage90"))
        console.print(f"{name} over {len(own)} cuts: CRPS {crps:.2%} of the loss, coverage {coverage:.2f}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    return parse_table(parser, LAWS, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    laws = {name: LAWS[name] for name in options.law or LAWS}
    try:
        if options.smoke:
            losses, cuts = bl.simulate_losses(sizes=5, samples=300, clusters=30), [SMOKE_CUT]
        else:
            losses, cuts = read(options), options.cut
        scores = list(compete(losses, cuts, laws))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(one) for one in scores], indent=2))
    else:
        show(scores, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
