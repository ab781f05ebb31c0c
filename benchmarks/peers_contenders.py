"""The contenders of `peers.py`: each turns known single models into draws of the losses of larger ones."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from extrapolation_laws import REFERENCE
from extrapolation_scores import DrawnPrediction
from scipy import optimize

import bayeslaw as bl
from bayeslaw.diagnosis.checks import errors
from bayeslaw.prediction.targets import NEW_FAMILY

REFITS = 200
FEWEST_OF_A_FAMILY = 4
EXPONENTS = np.geomspace(0.01, 3.0, 400)
HUBER_WIDTH = 1e-3
HUBER_GRID = tuple((floor, rate) for floor in (-1.0, 0.0, 1.0) for rate in (0.1, 0.3, 0.6, 1.0))
QUANTILES = tuple((np.arange(200) + 0.5) / 200)
PEER = """
import json, sys, warnings
import polars as pl
from simple_scaling_laws import fit
warnings.simplefilter("ignore")
task = json.load(open(sys.argv[1]))
runs = {"training_run_id": [str(i) for i in range(len(task["loss"]))], "model_size__n": task["parameters"]}
model = fit(pl.DataFrame(runs | {"test_loss__l": task["loss"]}), seed=task["seed"])
at = pl.DataFrame({"point_id": [f"{i:06d}" for i in range(len(task["targets"]))], "model_size__n": task["targets"]})
found = model.predict(at, kind="new-run", quantiles=task["quantiles"]).sort("point_id")
columns = [name for name in found.columns if name.startswith("test_loss__l")]
json.dump(found.select(columns).to_numpy().T.tolist(), open(sys.argv[2], "w"))
"""


@dataclass(frozen=True)
class Models:
    """Single models: family and parameters of each, and losses where they are known, all [model]."""

    family: np.ndarray
    parameters: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True)
class Task:
    """What a contender may use.

    Attributes
    ----------
    table
        The table of the known models, of losses on samples or of whole models.
    known
        The known models with their mean losses.
    targets
        The larger models, whose losses are for scoring alone.
    seed
        Seed.
    """

    table: xr.Dataset
    known: Models
    targets: Models
    seed: int = 1


Contender = Callable[[Task], DrawnPrediction]


def power(task: Task) -> DrawnPrediction:
    """Predict by the package's `PowerLaw` with its defaults, as new models of their family and size."""
    fitted = bl.fit(bl.PowerLaw(), task.table, seed=task.seed)
    return DrawnPrediction(_of_law(fitted, task), tuple(str(finding.code) for finding in errors(fitted)))


def recommended(task: Task) -> DrawnPrediction:
    """Predict by the law that the package recommends for the table of the known models."""
    law = bl.recommend(task.table).law
    fitted = bl.fit(law, task.table, seed=task.seed)
    draws = _of_joint_law(fitted, task) if law.name == "joint" else _of_law(fitted, task)
    return DrawnPrediction(draws, (law.name, *(str(finding.code) for finding in errors(fitted))))


def _of_law(fitted: bl.Fit, task: Task) -> np.ndarray:
    """Draw new rows of a law of rows at the targets, [draw, target]; a family not seen is a new one."""
    targets = task.targets
    at: dict[str, object] = {"parameters": targets.parameters}
    if fitted.law.varies:
        known = set(fitted.model.groups)
        at["family"] = [name if name in known else NEW_FAMILY for name in targets.family.tolist()]
    if "training_tokens" in fitted.law.covariates:
        at["training_tokens"] = tokens_of(task)
    return bl.predict_draws(fitted, at, kind="new", seed=task.seed).to_numpy().reshape(-1, len(targets.loss))


def tokens_of(task: Task) -> np.ndarray:
    """Expect tokens of the targets from the trend of known models' tokens by size, on logarithms, [target]."""
    tokens = np.log(task.table["training_tokens"].to_numpy().astype(float))
    slope, level = np.polyfit(np.log(task.known.parameters), tokens, 1)
    return np.exp(level + slope * np.log(task.targets.parameters))


def _of_joint_law(fitted: bl.Fit, task: Task) -> np.ndarray:
    """Draw the targets, [draw, target]."""
    families, sizes = task.targets.family.tolist(), task.targets.parameters
    members = [f"{size:.17g}:{family}" for family, size in zip(families, sizes, strict=True)]
    return (
        bl.predict_draws(fitted, {"members": members}, samples="same", seed=task.seed)
        .to_numpy()
        .reshape(-1, len(members))
    )


def least_squares(task: Task) -> DrawnPrediction:
    """Predict by one power law of all models, by least squares, with a bootstrap of models and of residuals."""
    return DrawnPrediction(_bootstrap(task.known, task.targets.parameters, np.random.default_rng(task.seed)))


def least_squares_by_family(task: Task) -> DrawnPrediction:
    """Predict as `least_squares`, apart for each family that has enough models; all models for the others."""
    draws, generator = np.empty((REFITS, len(task.targets.loss))), np.random.default_rng(task.seed)
    for family in np.unique(task.targets.family):
        own = task.known.family == family
        enough = len(np.unique(task.known.parameters[own])) >= FEWEST_OF_A_FAMILY
        columns = task.targets.family == family
        known = _at(task.known, own) if enough else task.known
        draws[:, columns] = _bootstrap(known, task.targets.parameters[columns], generator)
    return DrawnPrediction(draws)


def _at(models: Models, rows: np.ndarray) -> Models:
    return Models(models.family[rows], models.parameters[rows], models.loss[rows])


def _bootstrap(known: Models, sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Refit to models drawn with replacement, and add a residual drawn from the fit to all, [draw, size]."""
    counts = np.ones((1 + REFITS, len(known.loss)))
    for row in counts[1:]:
        row[:] = np.bincount(_resampled(known.parameters, generator), minlength=len(row))
    floor, amplitude, exponent = fit_power_curves(known.parameters, known.loss, counts)
    residuals = known.loss - _curves(floor[:1], amplitude[:1], exponent[:1], known.parameters)[0]
    residuals = residuals * np.sqrt(len(residuals) / max(len(residuals) - 3, 1))
    curves = _curves(floor[1:], amplitude[1:], exponent[1:], sizes)
    return curves + generator.choice(residuals, curves.shape)


def fit_power_curves(
    parameters: np.ndarray, losses: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit power laws with a floor of at least zero by least squares, for many weights at once.

    Given the exponent the law is linear, so the best floor and amplitude are in closed form; exponents are a grid.

    Parameters
    ----------
    parameters, losses
        Of the models, each [model].
    counts
        Weight of each model in each fit, [fit, model].

    Returns
    -------
    tuple of np.ndarray
        Floor, amplitude at a billion parameters, and exponent, each [fit].
    """
    basis = (parameters / REFERENCE) ** -EXPONENTS[:, None]
    total, squares = counts.sum(axis=1)[:, None], counts @ (basis**2).T
    mean_basis, mean_loss = counts @ basis.T / total, (counts @ losses)[:, None] / total
    across = (counts * losses) @ basis.T
    slope = (across / total - mean_basis * mean_loss) / np.maximum(squares / total - mean_basis**2, 1e-300)
    floor = mean_loss - slope * mean_basis
    # Where the best floor is negative, the best law has none.
    bounded = floor < 0
    floor, slope = np.where(bounded, 0.0, floor), np.where(bounded, across / squares, slope)
    cost = (
        (counts @ losses**2)[:, None]
        + total * floor**2
        + slope**2 * squares
        - 2 * (floor * total * mean_loss + slope * across - floor * slope * total * mean_basis)
    )
    best = cost.argmin(axis=1)[:, None]
    return np.take_along_axis(floor, best, 1)[:, 0], np.take_along_axis(slope, best, 1)[:, 0], EXPONENTS[best[:, 0]]


def _curves(floor: np.ndarray, amplitude: np.ndarray, exponent: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Evaluate power laws at sizes, [fit, size]."""
    return floor[:, None] + amplitude[:, None] * (sizes / REFERENCE) ** -exponent[:, None]


def _resampled(parameters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw models with replacement until three sizes are among them, [model]."""
    while True:
        chosen = generator.integers(len(parameters), size=len(parameters))
        if len(np.unique(parameters[chosen])) >= 3:
            return chosen


def huber(task: Task) -> DrawnPrediction:
    """Predict by the fit of Hoffmann et al. 2022 (arXiv 2203.15556, equation 3), with a bootstrap of models.

    Huber loss of the log residuals, from a grid of starts; training tokens beside sizes where all models have them.
    """
    log_budgets, at = [np.log(task.known.parameters)], [np.log(task.targets.parameters)]
    if "training_tokens" in task.table:
        log_budgets.append(np.log(task.table["training_tokens"].to_numpy().astype(float)))
        at.append(np.log(tokens_of(task)))
    middle = [column.mean() for column in log_budgets]
    x = np.stack([column - centre for column, centre in zip(log_budgets, middle, strict=True)])
    new = np.stack([column - centre for column, centre in zip(at, middle, strict=True)])
    log_loss, generator = np.log(task.known.loss), np.random.default_rng(task.seed)
    starts = [np.array([floor, *([0.0, rate] * len(x))]) for floor, rate in HUBER_GRID]
    best = min((_huber_fit(start, x, log_loss) for start in starts), key=lambda found: found[1])[0]
    residuals = log_loss - _log_sum(best, x)
    draws = np.empty((REFITS, len(task.targets.loss)))
    for row in draws:
        chosen = _resampled(task.known.parameters, generator)
        refitted, _ = _huber_fit(best, x[:, chosen], log_loss[chosen])
        row[:] = np.exp(_log_sum(refitted, new) + generator.choice(residuals, new.shape[1]))
    return DrawnPrediction(draws)


def _terms(position: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """Logarithms of the floor and of what each budget adds, each [model]."""
    terms = [np.full(x.shape[1], position[0])]
    return terms + [position[1 + 2 * i] - position[2 + 2 * i] * column for i, column in enumerate(x)]


def _log_sum(position: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(_terms(position, x))


def _huber_fit(start: np.ndarray, x: np.ndarray, log_loss: np.ndarray) -> tuple[np.ndarray, float]:
    def cost(position: np.ndarray) -> tuple[float, np.ndarray]:
        terms = np.stack(_terms(position, x))
        expected = np.logaddexp.reduce(terms)
        share, away = np.exp(terms - expected), log_loss - expected
        size = np.abs(away)
        each = np.where(size < HUBER_WIDTH, away**2 / 2, HUBER_WIDTH * (size - HUBER_WIDTH / 2))
        pull = np.clip(away, -HUBER_WIDTH, HUBER_WIDTH)
        slopes = [-(pull * share[0]).sum()]
        for column, weight in zip(x, share[1:], strict=True):
            slopes += [-(pull * weight).sum(), (pull * weight * column).sum()]
        # In units of the squared width, so that the search does not stop at once.
        return float(each.sum()) / HUBER_WIDTH**2, np.array(slopes) / HUBER_WIDTH**2

    limits = [(-12.0, 12.0), *([(-12.0, 12.0), (0.0, 3.0)] * len(x))]
    found = optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=limits)
    return found.x, float(found.fun)


def simple_scaling_laws(python: Path) -> Contender:
    """Return the contender ``simple-scaling-laws``, of all models together, in a Python that has it installed."""

    def predict(task: Task) -> DrawnPrediction:
        given = {"parameters": task.known.parameters.tolist(), "loss": task.known.loss.tolist(), "seed": task.seed}
        given |= {"targets": task.targets.parameters.tolist(), "quantiles": list(QUANTILES)}
        with tempfile.TemporaryDirectory() as folder:
            asked, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
            asked.write_text(json.dumps(given))
            subprocess.run([python, "-c", PEER, asked, answer], check=True, capture_output=True)
            # Equally likely quantiles stand for draws.
            return DrawnPrediction(np.array(json.loads(answer.read_text())))

    return predict


CONTENDERS: Mapping[str, Contender] = {
    "power": power,
    "recommended": recommended,
    "least_squares": least_squares,
    "least_squares_by_family": least_squares_by_family,
    "huber": huber,
}
PEER_NAME = "simple_scaling_laws"
