"""The curves of the benchmark: their rows, what is fitted and what is scored, least squares, and the scores.

Rows are those of ``benchmark.lang.csv`` without exact duplicates: a curve is a domain, a task and a model, its budget
the examples seen. Rows with ``Training == 1`` are fitted and rows with ``Training == 0`` scored. All scores are of the
natural logarithm of the loss: the root mean squared error of a curve (RMSLE), averaged over curves; the log
predictive density and the coverage of central bands, over all scored rows together and over curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import logsumexp

from bayeslaw.errors import InputError

COLUMNS = ("Domain", "Task", "Model", "Seen Examples", "Loss", "Training")
FEWEST_ROWS = 5
SMALLEST_DEVIATION = 1e-6
BAND = 0.9


@dataclass(frozen=True)
class Curve:
    """One curve, its rows in order of budget.

    Attributes
    ----------
    domain, name
        Domain, and task and model.
    budget, loss
        Examples seen and loss of the rows that are fitted, [row].
    new_budget, new_loss
        The same of the rows that are scored, [new].
    """

    domain: str
    name: str
    budget: np.ndarray
    loss: np.ndarray
    new_budget: np.ndarray
    new_loss: np.ndarray

    @property
    def reference(self) -> float:
        """Geometric mean of the budgets that are fitted, the unit in which laws see budgets."""
        return float(np.exp(np.log(self.budget).mean()))


@dataclass(frozen=True)
class Prediction:
    """Distribution of the log loss at each scored row: a mixture of normals.

    Attributes
    ----------
    mean, deviation
        Of the normals, [component, new].
    weight
        Weights of the normals, which sum to one, [component].
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray

    @property
    def point(self) -> np.ndarray:
        """Mean of the log loss, which minimises the expected squared error of the log loss, [new]."""
        return self.weight @ self.mean

    def density(self, log_loss: np.ndarray) -> np.ndarray:
        """Log density of the log losses, [new]."""
        rows = stats.norm.logpdf(log_loss, self.mean, self.deviation)
        # A weight may underflow to zero: of a break that the rows exclude.
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(rows + np.log(self.weight)[:, None], axis=0))

    def distribution(self, log_loss: np.ndarray) -> np.ndarray:
        """Probability below the log losses, [new]."""
        return self.weight @ np.asarray(stats.norm.cdf(log_loss, self.mean, self.deviation))


@dataclass(frozen=True)
class Scores:
    """Scores of the predictions of a law.

    Attributes
    ----------
    rmsle
        Root mean squared error of the log loss of each curve, averaged over the curves of each domain.
    density
        Mean log predictive density of the log loss, over all scored rows.
    density_by_curve
        The same, first averaged over the rows of each curve, then over curves.
    coverage90
        Share of all scored rows inside the central 90 % band.
    coverage90_by_curve
        The same, averaged over curves.
    """

    rmsle: dict[str, float]
    density: float
    density_by_curve: float
    coverage90: float
    coverage90_by_curve: float


def read_curves(path: Path) -> list[Curve]:
    """Read the curves of a table of the benchmark.

    Parameters
    ----------
    path
        A CSV file with the columns of `COLUMNS`.

    Returns
    -------
    list of Curve
        In the order of the file.

    Raises
    ------
    InputError
        If the file is not there, lacks a column, or holds a row or curve that cannot be used.
    """
    accepted = f"a CSV file with the columns {', '.join(COLUMNS)}"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", accepted, "give the path of benchmark.lang.csv") from None
    if missing := [name for name in COLUMNS if name not in table]:
        raise InputError(f"{path} has no column {missing[0]!r}", accepted, "give the benchmark's own file")
    for name in ("Seen Examples", "Loss"):
        numbers = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=float)
        if (wrong := ~(np.isfinite(numbers) & (numbers > 0))).any():
            row = int(np.flatnonzero(wrong)[0])
            problem = f"{path} has {name} {table[name].iloc[row]!r} in row {row + 1}"
            raise InputError(problem, "positive finite numbers", "mend or delete the row")
    wrong = ~np.isin(np.asarray(table["Training"]), [0, 1])
    if wrong.any():
        problem = f"{path} has Training {table['Training'].iloc[int(np.flatnonzero(wrong)[0])]!r}"
        raise InputError(problem, "1 for a row that is fitted and 0 for one that is scored", "mend the column")
    table = table.drop_duplicates()
    names = table[["Domain", "Task", "Model"]].astype(str).agg("\n".join, axis=1)
    return [_curve(str(name).split("\n"), rows) for name, rows in table.groupby(names, sort=False)]


def _curve(key: Sequence[str], rows: pd.DataFrame) -> Curve:
    rows = rows.sort_values("Seen Examples", kind="stable")
    known = rows["Training"].to_numpy() == 1
    budget, loss = rows["Seen Examples"].to_numpy(float), rows["Loss"].to_numpy(float)
    domain, name = key[0], " ".join(key[1:])
    if known.sum() < FEWEST_ROWS or known.all():
        raise InputError(
            f"the curve {domain} {name} has {known.sum()} rows to fit and {(~known).sum()} to score",
            f"at least {FEWEST_ROWS} rows to fit and one to score",
            "leave the curve out",
        )
    if np.unique(budget[known]).size < FEWEST_ROWS or budget[~known].min() <= budget[known].max():
        raise InputError(
            f"the scored rows of the curve {domain} {name} do not lie beyond {FEWEST_ROWS} budgets that are fitted",
            "scored rows beyond all fitted ones",
            "mend the column Training",
        )
    return Curve(domain, name, budget[known], loss[known], budget[~known], loss[~known])


def holdout(curve: Curve, share: float) -> Curve:
    """Hide the last rows that are fitted and score them instead; the scored rows are not used.

    Parameters
    ----------
    curve
        A curve.
    share
        Share of the fitted rows that is hidden, at least one row and at most what leaves `FEWEST_ROWS`.

    Returns
    -------
    Curve
        The shortened curve.
    """
    hidden = min(max(1, round(share * len(curve.loss))), len(curve.loss) - FEWEST_ROWS)
    if hidden < 1:
        raise ValueError(f"the curve {curve.name} has too few rows to hide one")
    kept = len(curve.loss) - hidden
    known, new = slice(0, kept), slice(kept, None)
    return Curve(curve.domain, curve.name, curve.budget[known], curve.loss[known], curve.budget[new], curve.loss[new])


def score(curves: Sequence[Curve], predictions: Sequence[Prediction]) -> Scores:
    """Score predictions of the rows that were not fitted.

    Parameters
    ----------
    curves, predictions
        Curves and their predictions, in the same order.

    Returns
    -------
    Scores
        The scores.

    Raises
    ------
    ValueError
        If a prediction is not finite or of another shape than the rows.
    """
    errors, densities, inside = [], [], []
    for curve, prediction in zip(curves, predictions, strict=True):
        log_loss = np.log(curve.new_loss)
        if prediction.mean.shape[1:] != log_loss.shape or prediction.deviation.shape != prediction.mean.shape:
            raise ValueError(f"the prediction of {curve.name} has shape {prediction.mean.shape}")
        if not (np.isfinite(prediction.mean).all() and np.isfinite(prediction.deviation).all()):
            raise ValueError(f"the prediction of {curve.name} is not finite")
        errors.append(np.sqrt(np.mean((prediction.point - log_loss) ** 2)))
        densities.append(prediction.density(log_loss))
        inside.append(np.abs(prediction.distribution(log_loss) - 0.5) < BAND / 2)
    domains = np.array([curve.domain for curve in curves])
    rmsle = {str(name): float(np.mean(np.array(errors)[domains == name])) for name in dict.fromkeys(domains.tolist())}
    means = [float(np.mean([rows.mean() for rows in found])) for found in (densities, inside)]
    return Scores(
        rmsle, float(np.concatenate(densities).mean()), means[0], float(np.concatenate(inside).mean()), means[1]
    )


def fit_least_squares(curve: Curve) -> tuple[np.ndarray, float]:
    """Fit ``floor + amplitude x^-exponent`` by least squares on the log loss, from 25 starts.

    Parameters
    ----------
    curve
        A curve; only its fitted rows are seen.

    Returns
    -------
    logarithms : np.ndarray
        Natural logarithms of floor, amplitude at the reference budget, and exponent.
    deviation : float
        Root mean square of the residuals of the log loss.
    """
    position, log_loss, lowest = np.log(curve.budget / curve.reference), np.log(curve.loss), curve.loss.min()

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        return log_power_law(logarithms, position) - log_loss

    middle = float(np.median(curve.loss))
    starts = [
        np.log([share * lowest, max(middle - share * lowest, 1e-3 * middle), exponent])
        for share in (0.01, 0.2, 0.5, 0.8, 0.95)
        for exponent in (0.05, 0.1, 0.3, 0.6, 1.0)
    ]
    # A step too far overflows, is seen to be worse than any other, and is shortened.
    with np.errstate(over="ignore", invalid="ignore"):
        fits = [optimize.least_squares(residuals, start, max_nfev=40) for start in starts]
        best = min(fits, key=lambda fit: fit.cost)
        best = optimize.least_squares(residuals, best.x, max_nfev=3000, xtol=1e-12, ftol=1e-12)
    return best.x, max(float(np.sqrt(np.mean(best.fun**2))), SMALLEST_DEVIATION)


def log_power_law(logarithms: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Log loss of a power law at log budgets relative to the reference, from the logarithms of its parameters."""
    floor, amplitude, exponent = logarithms
    return np.log(np.exp(floor) + np.exp(amplitude - np.exp(exponent) * position))


def least_squares(curve: Curve) -> Prediction:
    """Predict by the power law of least squares, with normal bands as wide as its residuals."""
    logarithms, deviation = fit_least_squares(curve)
    mean = log_power_law(logarithms, np.log(curve.new_budget / curve.reference))
    return Prediction(mean[None], np.full_like(mean, deviation)[None], np.ones(1))
