"""Residuals of the rows of a law, with what they say of its shape: rows far off, and neighbours that deviate alike."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.prediction.row_prediction import draw_rows, law_draws

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

MOST_DRAWS = 1000
FEWEST_FREEDOM = 2.0
FAR, FAR_SHARE = 2.5, 0.8
"""A row that lies off is so many scales of the noise away at least, or that share of the most there can be."""
FEWEST_PAIRS = 6
LARGEST_LEVERAGE = 0.5
"""Beyond, the law follows a row so closely that a normal approximation says little of it without the row."""
LARGEST_RESIDUAL = 1e3
"""In scales of the noise: beyond, draws of heavy tails are as good as infinite."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Residuals:
    """Rows beside the law at draws of a posterior, in the unit of the response.

    Parameters
    ----------
    observed
        Response less the law, [draw, row].
    replicated
        The same of replicates of the rows at each draw, [draw, row].
    scale
        Scale of the noise of each row, [draw, row].
    law
        The law in the unit of the loss, [draw, row].
    """

    observed: np.ndarray
    replicated: np.ndarray
    scale: np.ndarray
    law: np.ndarray


def residuals_of(fit: "Fit") -> Residuals:
    """Compare the rows of a fit with its law and with replicates of them, at `MOST_DRAWS` draws at most."""
    targets, response = _targets(fit), RESPONSES[fit.noise.response]
    law, scale = law_draws(fit, targets, seed=0)
    replicates = draw_rows(fit, targets, kind="new", samples=None, seed=0)
    every = -(-len(law) // MOST_DRAWS)
    law, scale, replicates = law[::every], scale[::every], replicates[::every]
    place = np.asarray(response.of_loss(law))
    if fit.model.standard_error is not None:
        # Replicates are of rows whose losses were measured exactly.
        wider = np.sqrt(scale**2 + fit.model.standard_error**2)
        replicated = (np.asarray(response.of_loss(replicates)) - place) * wider / scale
        scale = wider
    else:
        replicated = np.asarray(response.of_loss(replicates)) - place
    return Residuals(fit.model.response - place, replicated, scale, law)


def _targets(fit: "Fit") -> pd.DataFrame:
    targets = pd.DataFrame(dict(fit.observations.covariates))
    if not fit.model.groups:
        return targets
    return targets.assign(**{fit.law.group: np.array(fit.model.groups)[fit.model.group_index]})


def outlying_probability(fit: "Fit", found: Residuals) -> np.ndarray:
    """Probability of a residual as large as each row's, were its noise that of the other rows, for any row of the fit.

    A row far off widens the noise that it is judged by, and draws the law towards itself. So each residual is compared
    with the scatter of the others about a law without the row, which follows, as in a linear regression, from the share
    of its own loss that the law takes up: the variance of the law at the row over that of the noise (externally
    studentised residuals; Cook and Weisberg 1982). Probabilities are two-sided, and multiplied by the number of rows.
    Of a row that the law takes up by more than `LARGEST_LEVERAGE`, such as the smallest model of a family, that is an
    upper bound, and only a row much farther off is told. Rows near by the noise as it was fitted are not judged.

    Parameters
    ----------
    fit
        A fit of independent rows.
    found
        Their residuals.

    Returns
    -------
    np.ndarray
        Shape ``[row]``, at most 1; all 1 where the noise has heavy tails, or there are too few rows to tell.
    """
    rows = found.observed.shape[1]
    variance = np.mean(found.scale**2, axis=0)
    leverage = np.clip(found.observed.var(axis=0) / variance, 0.0, LARGEST_LEVERAGE)
    freedom = rows - leverage.sum() - 1
    if freedom < FEWEST_FREEDOM or not DISTRIBUTIONS[fit.noise.distribution].compressible:
        return np.ones(rows)
    standardised = found.observed.mean(axis=0) / np.sqrt(variance)
    squares = standardised**2
    others = np.maximum(squares.sum() - squares / (1 - leverage), ROUNDING * squares.sum())
    studentised = np.abs(standardised) / np.sqrt((1 - leverage) * others / freedom)
    probability = np.minimum(1.0, 2 * rows * stats.t(freedom).sf(studentised))
    # No row can lie further off than this by a noise that it has widened itself.
    most = (rows - 1) / np.sqrt(rows)
    return np.where(np.abs(standardised) >= min(FAR, FAR_SHARE * most), probability, 1.0)


@dataclass(frozen=True)
class Trend:
    """How alike neighbours along a covariate deviate from the law.

    Parameters
    ----------
    correlation
        Lag-one correlation of the posterior mean residuals along the covariate within groups.
    probability
        Posterior predictive probability of one as large.
    low, high
        Where the longest deviation to one side lies, in the covariate's unit.
    deviation
        Mean deviation there, in the unit of the loss: positive where losses lie above the law.
    """

    correlation: float
    probability: float
    low: float
    high: float
    deviation: float


def trend_along(fit: "Fit", found: Residuals, covariate: str) -> Trend | None:
    """Compare how alike neighbours deviate with replicates: none of these has a shape that the law lacks.

    A replicate is fitted like the rows: what the law takes up of its noise goes off it, as in a linear regression whose
    hat matrix is the covariance of the law at the rows over the variance of the noise.

    Parameters
    ----------
    fit
        A fit of independent rows.
    found
        Their residuals.
    covariate
        Along which rows are neighbours, within their groups.

    Returns
    -------
    Trend or None
        None where there are under `FEWEST_PAIRS` pairs of neighbours.
    """
    values = fit.observations.covariates[covariate]
    order = np.lexsort([values, fit.model.group_index])
    joined = fit.model.group_index[order][1:] == fit.model.group_index[order][:-1]
    if joined.sum() < FEWEST_PAIRS:
        return None
    scale = np.sqrt(np.mean(found.scale**2, axis=0))
    deviations = np.clip(found.observed / scale, -LARGEST_RESIDUAL, LARGEST_RESIDUAL)
    taken_up = np.cov(deviations, rowvar=False)
    replicated = np.clip(found.replicated / found.scale, -LARGEST_RESIDUAL, LARGEST_RESIDUAL)
    correlation = float(_lag_one(deviations.mean(axis=0)[None, order], joined)[0])
    usual = _lag_one((replicated - replicated @ taken_up)[:, order], joined)
    losses = fit.observations.loss - np.median(found.law, axis=0)
    first, last = _longest_run(losses[order], fit.model.group_index[order])
    within = order[first:last]
    return Trend(
        correlation,
        float((usual >= correlation).mean()),
        float(values[within].min()),
        float(values[within].max()),
        float(losses[within].mean()),
    )


def _lag_one(residuals: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """Correlation of neighbours, [draw], of residuals in order, [draw, row]."""
    products = (residuals[:, 1:] * residuals[:, :-1])[:, joined].mean(axis=1)
    return products / np.square(residuals).mean(axis=1)


def _longest_run(deviations: np.ndarray, groups: np.ndarray) -> tuple[int, int]:
    """Find the rows in a row, of one group and on one side of the law, whose deviations add up to the most."""
    edges = np.flatnonzero((np.diff(np.sign(deviations)) != 0) | (np.diff(groups) != 0)) + 1
    bounds = [0, *map(int, edges), len(deviations)]
    return max(pairwise(bounds), key=lambda run: abs(deviations[run[0] : run[1]].sum()))
