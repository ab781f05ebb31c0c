"""Averages of densities over draws, with their Monte Carlo errors."""

from dataclasses import dataclass

import numpy as np
from arviz_stats.base.array import array_stats
from scipy.optimize import root_scalar
from scipy.special import logsumexp

BRIDGE_MARGIN = 100.0
BRIDGE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Average:
    """Logarithms of averages.

    Parameters
    ----------
    value
        Log average of each column, shape ``[column]``.
    error
        Monte Carlo standard error of the sum of `value`, by the delta method, draws taken as independent.
    """

    value: np.ndarray
    error: float


def log_average(log_values: np.ndarray, log_weights: np.ndarray | None = None, *, copies: int = 1) -> Average:
    """Average exponentials over draws.

    Parameters
    ----------
    log_values
        Shape ``[draw, column]``.
    log_weights
        Normalised weights of the draws, shape ``[draw]``; equal ones where None.
    copies
        How many successive rows were made of each independent draw.

    Returns
    -------
    Average
        The log averages; minus infinity with an infinite error where no draw comes near.
    """
    count = len(log_values)
    weights = np.full(count, -np.log(count)) if log_weights is None else log_weights
    value = np.asarray(logsumexp(log_values + weights[:, None], axis=0))
    if np.isneginf(value).any():
        return Average(value, float("inf"))
    influence = np.exp(weights) * (np.exp(log_values - value) - 1).sum(axis=1)
    return Average(value, float(np.sqrt((influence.reshape(-1, copies).sum(axis=1) ** 2).sum())))


def bridge(without: np.ndarray, given: np.ndarray, *, copies: int = 1) -> tuple[float, float]:
    """Average a density over a distribution, with the help of draws of that distribution conditioned on it.

    The density of data given other data is the ratio of two normalising constants, which draws from both posteriors
    tell far better than an average over one: bridge sampling (Meng and Wong 1996) with the optimal bridge.

    Parameters
    ----------
    without
        Log density of the data at draws that do not know them, shape ``[draw]``.
    given
        The same at draws given them, shape ``[other draw]``.
    copies
        How many successive entries of `without` were made of each independent draw.

    Returns
    -------
    value : float
        Log of the average over the first distribution.
    error : float
        Its Monte Carlo standard error, draws taken as independent.
    """
    independent = len(without) // copies
    log_share = np.log(independent / (independent + len(given)))
    log_other = np.log(len(given) / (independent + len(given)))

    def terms(value: float) -> tuple[np.ndarray, np.ndarray]:
        upper = without - np.logaddexp(log_other + without, log_share + value)
        return upper, -np.logaddexp(log_other + given, log_share + value)

    def imbalance(value: float) -> float:
        upper, lower = terms(value)
        return float(logsumexp(upper) - np.log(len(upper)) - logsumexp(lower) + np.log(len(lower)) - value)

    # The imbalance falls in the value; where the draws do not overlap the root lies outside of their densities.
    low, high = min(without.min(), given.min()) - BRIDGE_MARGIN, max(without.max(), given.max()) + BRIDGE_MARGIN
    value = float(root_scalar(imbalance, bracket=(low, high), method="brentq", xtol=BRIDGE_TOLERANCE).root)
    upper, lower = (
        log_average(each[:, None], copies=number) for each, number in zip(terms(value), (copies, 1), strict=True)
    )
    return value, float(np.hypot(upper.error, lower.error))


def smoothed_log_weights(log_ratios: np.ndarray) -> tuple[np.ndarray, float]:
    """Smooth importance ratios by a generalised Pareto tail (Vehtari et al. 2024).

    Parameters
    ----------
    log_ratios
        Shape ``[draw]``.

    Returns
    -------
    log_weights : np.ndarray
        Normalised, shape ``[draw]``.
    pareto_k : float
        Shape of the tail; above 0.7 the weights are not to be relied on.
    """
    if np.ptp(log_ratios) == 0:
        return np.full(len(log_ratios), -np.log(len(log_ratios))), float("-inf")
    log_weights, pareto_k = array_stats.psislw(-log_ratios)
    return np.asarray(log_weights), float(np.asarray(pareto_k))


def error_of_sum(folds: np.ndarray) -> float:
    """Return the standard error of a sum over folds, taken as independent; NaN for a single one, or an infinite one."""
    if len(folds) < 2 or not np.isfinite(folds).all():
        return float("nan")
    return float(np.sqrt(len(folds)) * np.std(folds, ddof=1))
