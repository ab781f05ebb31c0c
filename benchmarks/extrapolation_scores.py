"""Predictions of many pools, and their scores: RMSE, CRPS, coverage and mean width of the central 90 % band."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

BAND = 0.9
# Three decimals, as in the published figures of the baseline, so that no pool at the edge of a band changes sides.
NORMAL_QUANTILE = 1.645


class Prediction(Protocol):
    """Predictive distributions of the losses of the targets; all arrays [target]."""

    @property
    def mean(self) -> np.ndarray: ...

    def crps(self, losses: np.ndarray) -> np.ndarray: ...

    def band(self) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class NormalPrediction:
    """Normal distributions of `mean` and `deviation`, both [target]."""

    mean: np.ndarray
    deviation: np.ndarray

    def crps(self, losses: np.ndarray) -> np.ndarray:
        """Evaluate the closed form (Gneiting and Raftery 2007, section 4.2)."""
        z = (losses - self.mean) / self.deviation
        spread = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
        return self.deviation * spread

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        half = NORMAL_QUANTILE * self.deviation
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class DrawnPrediction:
    """Draws from the predictive distributions, [draw, target], and what a reader should know of them."""

    draws: np.ndarray
    remarks: tuple[str, ...] = ()

    @property
    def mean(self) -> np.ndarray:
        return self.draws.mean(axis=0)

    def crps(self, losses: np.ndarray) -> np.ndarray:
        """Estimate ``E|X - y| - E|X - X'| / 2``, the second mean over pairs of different draws.

        So the score is unbiased for the distribution drawn from, and neither few nor many draws are an advantage.
        """
        count = len(self.draws)
        rank = 2 * np.arange(1, count + 1) - count - 1
        # Centred on the loss, so that no digits cancel where losses are large beside their spread.
        centred = np.sort(self.draws - losses, axis=0)
        return np.abs(centred).mean(axis=0) - rank @ centred / (count * (count - 1))

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = np.quantile(self.draws, [(1 - BAND) / 2, (1 + BAND) / 2], axis=0)
        return lower, upper


@dataclass(frozen=True)
class Scores:
    """How well the targets were predicted; `rmse`, `crps` and `width90` in the unit of the losses."""

    rmse: float
    crps: float
    coverage90: float
    width90: float


def score(prediction: Prediction, losses: np.ndarray) -> Scores:
    """Score a prediction.

    Parameters
    ----------
    prediction
        What a law returned.
    losses
        The losses of the targets, [target].

    Returns
    -------
    Scores
        Means over the targets.

    Raises
    ------
    ValueError
        If the prediction is of another number of pools, or not finite.
    """
    mean, crps, (lower, upper) = prediction.mean, prediction.crps(losses), prediction.band()
    for values in (mean, crps, lower, upper):
        if values.shape != losses.shape:
            raise ValueError(f"a prediction of shape {values.shape} for targets of shape {losses.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"the prediction of target {int((~np.isfinite(values)).argmax())} is not finite")
    return Scores(
        rmse=float(np.sqrt(np.mean((losses - mean) ** 2))),
        crps=float(crps.mean()),
        coverage90=float(((lower < losses) & (losses < upper)).mean()),
        width90=float((upper - lower).mean()),
    )
