"""Where rows do not have the shape of the law that was fitted to them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from bayeslaw.diagnosis.row_findings import row_findings
from bayeslaw.diagnosis.row_residuals import outlying_probability, residuals_of, trend_along
from bayeslaw.diagnosis.row_scaling import targets_of
from bayeslaw.findings import Finding
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.prediction.row_prediction import draw_rows

if TYPE_CHECKING:
    from bayeslaw.diagnosis.row_residuals import Residuals
    from bayeslaw.fitting.fits import Fit

CHANCE = 0.01
"""Probability, were the law right, below which a finding is made."""
CHANCE_OF_ROW = 0.001
"""The same for a row that lies off: it has to widen bands by much, and tails are not quite those of the reference."""
FALLS = 0.99
MOST_NAMED = 3
BELOW_ZERO = 0.05


def findings_of_rows(fit: "Fit") -> Iterator[Finding]:
    """Say where rows cannot carry a law, the noise does not suit them, or they have another shape."""
    yield from row_findings(fit)
    if fit.model.dependence is not None or fit.observations.facts.get("overlapping"):
        return
    rising = list(_rising(fit))
    yield from rising
    residuals = residuals_of(fit)
    outlying = list(_outlying(fit, residuals))
    yield from outlying
    if not rising and not outlying:
        yield from _bent(fit, residuals)
    yield from _below_zero(fit)


def _rising(fit: "Fit") -> Iterator[Finding]:
    """Say where losses rise along a covariate with which the fitted law falls."""
    names = [name for name in fit.law.exponents if np.ptp(fit.observations.covariates[name]) > 0]
    if not names:
        # A law of another form has no exponents: whether it may rise is its own affair.
        return
    values = fit.values()
    groups = np.eye(max(fit.model.group_count, 1))[fit.model.group_index]
    columns = np.column_stack([np.log(fit.observations.covariates[name]) for name in names])
    design = np.column_stack([groups[:, groups.any(axis=0)], columns])
    freedom = len(design) - np.linalg.matrix_rank(design)
    if freedom < 1:
        return
    inverse = np.linalg.pinv(design.T @ design)
    slopes = inverse @ design.T @ fit.observations.loss
    left = fit.observations.loss - design @ slopes
    errors = np.sqrt(np.maximum((left @ left) / freedom, np.finfo(float).tiny) * np.maximum(np.diag(inverse), 0))
    for name, slope, error in zip(names, slopes[-len(names) :], errors[-len(names) :], strict=True):
        falls = min(float((values[exponent] > 0).mean()) for exponent in fit.law.exponents[name])
        if falls > FALLS and slope > 0 and stats.t(freedom).sf(slope / error) < CHANCE:
            reach = stats.t(freedom).ppf(0.95) * error
            each = [loss_text(np.log(10) * number) for number in (slope, slope - reach, slope + reach)]
            message = (
                f"Losses rise with {name}, by {each[0]} {fit.unit} for ten times as many (90 % confidence interval "
                f"{each[1]} to {each[2]}, least squares), and the law can only fall: it says nothing of larger budgets."
            )
            remedy = f"check that losses are not scores and that {name} are right; or give the exponent a Normal prior"
            yield Finding("rising-loss", "error", message, remedy)


def _outlying(fit: "Fit", residuals: "Residuals") -> Iterator[Finding]:
    probability = outlying_probability(fit, residuals)
    rows = np.argsort(probability, kind="stable")[: int((probability < CHANCE_OF_ROW).sum())]
    if not len(rows):
        return
    law = np.median(residuals.law, axis=0)
    named = ", ".join(
        f"{fit.observations.labels[row]} ({loss_text(float(fit.observations.loss[row]))}, "
        f"the law {loss_text(float(law[row]))})"
        for row in rows[:MOST_NAMED]
    )
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    least = max(float(probability[rows[0]]), 1e-6)
    message = (
        f"Far from the law, by the scatter of the other rows, {'lies' if len(rows) == 1 else 'lie'} {named}{more} "
        f"(p = {least:.1g} for any of {len(probability)} rows): under {fit.noise.distribution} noise "
        f"{'it widens' if len(rows) == 1 else 'they widen'} all bands."
    )
    remedy = "check its loss and its size; a law fitted with noise: distribution: student_t hardly follows such rows"
    yield Finding("outlying-rows", "warning", message, remedy)


def _bent(fit: "Fit", residuals: "Residuals") -> Iterator[Finding]:
    """Say where neighbours along a covariate deviate alike: the curve of the rows is not the law's."""
    for name in fit.law.exponents:
        trend = trend_along(fit, residuals, name)
        if trend is None or trend.probability * len(fit.law.exponents) >= CHANCE or trend.correlation <= 0:
            continue
        side, chance = "above" if trend.deviation > 0 else "below", _at_least(trend.probability, len(residuals.law))
        message = (
            f"The rows bend in another way than the law: from {count_label(trend.low)} to {count_label(trend.high)} "
            f"{name} losses lie {side} it, by {loss_text(abs(trend.deviation))} {fit.unit} on average, and neighbours "
            f"deviate alike (correlation {trend.correlation:.2f}, posterior predictive p {chance})."
        )
        remedy = "do not read the law beyond the rows; try --law broken_power, or leave out what is not of one curve"
        yield Finding("bent-rows", "warning", message, remedy)


def _at_least(probability: float, draws: int) -> str:
    return f"= {probability:.3f}" if probability > 0 else f"< {1 / draws:.3g}"


def _below_zero(fit: "Fit") -> Iterator[Finding]:
    """Say where bands of losses that are all positive reach below zero."""
    if (fit.observations.loss <= 0).any():
        return
    targets = targets_of(fit)[0]
    lower = np.quantile(draw_rows(fit, targets, kind="new", samples=None, seed=0), BELOW_ZERO, axis=0)
    if (lower < 0).any():
        message = (
            f"Bands of new rows reach below zero ({loss_text(lower.min())} {fit.unit}), where no loss of the table "
            "lies: the noise is the same on small losses as on large ones."
        )
        remedy = "fit with noise: response: log_loss, whose bands are positive"
        yield Finding("negative-losses", "warning", message, remedy)
