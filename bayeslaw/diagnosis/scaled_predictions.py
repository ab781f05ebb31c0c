"""How far the predictions of a fit move when its prior, or its likelihood, is made stronger or weaker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of

BEYOND = 10.0
"""How many times the largest budget of each group predictions are looked at beyond what was seen."""
LEVEL = 0.9
POWERS = ((0.8, 1.25), (0.95, 1.0526))
"""Powers of the density; the second pair where weights of the first cannot be relied on."""
RELIABLE = 0.7
LIMIT = 0.2
"""Share of its width by which a band may move for each doubling of a density, before a reader is told.

That is two thirds of a standard deviation of a normal posterior; parameters count as sensitive from one third on
(Kallioinen et al. 2024), which bands hardly show.
"""


@dataclass(frozen=True)
class Scalable:
    """A part of a posterior that priors and data of its own decide, and predictions that rest on it.

    Parameters
    ----------
    name
        Name of the part.
    where
        What each prediction is of, in words, [prediction].
    beyond
        Whether each lies beyond the budgets of its group, [prediction].
    draws
        Losses predicted, in the fit's unit, [draw, prediction].
    log_prior, log_likelihood
        Log densities of the part's priors with fixed arguments, and of what it was fitted to, [draw].
    """

    name: str
    where: Sequence[str]
    beyond: np.ndarray
    draws: np.ndarray
    log_prior: np.ndarray
    log_likelihood: np.ndarray


def prediction_sensitivity(fit: Fit) -> pd.DataFrame:
    """Measure how far bands of new rows would move under a prior or a likelihood of twice or half the strength.

    The densities are raised to powers near one and the draws reweighted (power scaling, Kallioinen et al. 2024, doi
    10.1007/s11222-023-10366-5), with smoothed weights. A band moves by the largest change of its median and of its two
    ends, relative to its width, for each doubling of the power. Only priors with fixed arguments are scaled, not the
    distribution of groups around their population, which is part of the law; parts of a posterior that share nothing
    are scaled apart.

    Parameters
    ----------
    fit
        A fit that kept its log prior.

    Returns
    -------
    pandas.DataFrame
        One row a prediction and part: ``part``, ``where``, ``beyond`` (whether past the budgets seen of its group),
        ``prior`` and ``likelihood``, shares of the width of the 90 % band; above `LIMIT` a band counts as moved.

    Raises
    ------
    KeyError
        If the fit was saved without its log prior.
    """
    frames = [
        pd.DataFrame(
            {
                "part": part.name,
                "where": list(part.where),
                "beyond": part.beyond,
                "prior": moved(part.draws, part.log_prior),
                "likelihood": moved(part.draws, part.log_likelihood),
            }
        )
        for part in kind_of(fit.law).scalable(fit)
    ]
    return pd.concat(frames, ignore_index=True)


def moved(draws: np.ndarray, log_density: np.ndarray) -> np.ndarray:
    """How far bands move when a density is raised to a power, for each doubling of it.

    Parameters
    ----------
    draws
        Draws of what bands are of, [draw, column].
    log_density
        Log of the density that is scaled, at the same draws, [draw].

    Returns
    -------
    np.ndarray
        Shares of each band's width, [column]: the largest change of its median and ends, the larger of two powers.
    """
    pairs = [[_weights((power - 1) * log_density) for power in powers] for powers in POWERS]
    chosen = next((n for n, pair in enumerate(pairs) if max(k for _, k in pair) <= RELIABLE), len(POWERS) - 1)
    before = _summary(draws, np.full(len(draws), 1 / len(draws)))
    width = np.maximum(before[2] - before[1], np.finfo(float).tiny)
    shifts = [
        np.abs(_summary(draws, weights) - before).max(axis=0) / width / abs(np.log2(power))
        for power, (weights, _) in zip(POWERS[chosen], pairs[chosen], strict=True)
    ]
    return np.max(shifts, axis=0)


def _weights(log_ratios: np.ndarray) -> tuple[np.ndarray, float]:
    """Smooth importance weights, [draw]; also returns the shape of their tail."""
    if np.ptp(log_ratios) == 0:
        return np.full(len(log_ratios), 1 / len(log_ratios)), -np.inf
    with np.errstate(all="ignore"):
        log_weights, shape = array_stats.psislw(-log_ratios)
    weights = np.exp(np.asarray(log_weights))
    return weights / weights.sum(), float(np.asarray(shape))


def _summary(draws: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Summarise weighted draws by median, lower and upper end of the interval, [3, column]."""
    order = np.argsort(draws, axis=0)
    ordered = np.take_along_axis(draws, order, axis=0)
    # The middle of each draw's weight, so that equal weights give the usual quantiles.
    shares = np.cumsum(weights[order], axis=0) - weights[order] / 2
    # No mean: under heavy tails there may be none.
    tails, columns = (0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2), range(draws.shape[1])
    return np.array([[np.interp(tail, shares[:, each], ordered[:, each]) for each in columns] for tail in tails])
