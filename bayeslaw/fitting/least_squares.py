"""Laws of rows at a point, by penalised least squares in a moment: for choices that are made before a fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.parameter import Parameter
from bayeslaw.laws.prior_draws import draw_parameters
from bayeslaw.likelihood.responses import RESPONSES, Response

STARTS = (0.0, -1.0)
"""Starts of all parameters, in standard deviations of a normal around the middle of their priors."""
MOST_EVALUATIONS = 200
PRIOR_DRAWS = 400
SMALLEST, SMALLEST_SHARE = 1e-300, 1e-3
FIRST_SHARE = 0.05
"""Scatter taken at first where parameters are held, as a share of the rows' standard deviation."""
FACTOR_SPREAD = 0.3
"""Standard deviation of the log factors of groups about the first one's, where parameters are held."""


@dataclass(frozen=True)
class PointFit:
    """A law at a point, whose groups differ by a factor each.

    Parameters
    ----------
    law, parameters, reference
        The law, its parameters with priors in the units of the rows, and the references of its covariates.
    response
        On which scale squares are least.
    groups
        Names of the groups that have a factor, the first of which is 1; empty where all rows have one law.
    position
        Logarithms of the factors but the first, then parameters, positive ones as logarithms.
    residuals
        Response of each row less the law, [row].
    """

    law: Law
    parameters: tuple[Parameter, ...]
    reference: Mapping[str, float]
    response: Response
    groups: tuple[str, ...]
    position: np.ndarray
    residuals: np.ndarray

    @property
    def deviation(self) -> float:
        """Standard deviation of the rows about the law, in the unit of the response."""
        freedom = max(len(self.residuals) - len(self.position), 1)
        return float(np.sqrt(np.square(self.residuals).sum() / freedom))

    def predict(self, covariates: Mapping[str, np.ndarray], groups: np.ndarray) -> np.ndarray:
        """Evaluate the law at rows, in the unit of the loss, [row]; a group that has no factor gets their mean."""
        with jax.enable_x64(True):
            return _evaluated(self, covariates, groups, self.position, _compiled(self.law))


def _evaluated(
    point: PointFit,
    covariates: Mapping[str, np.ndarray],
    groups: np.ndarray,
    position: np.ndarray,
    evaluated: Callable[..., Any],
) -> np.ndarray:
    factors = max(len(point.groups) - 1, 0)
    free = dict(zip((p.name for p in point.parameters), position[factors:], strict=True))
    given = {p.name: np.exp(free[p.name]) if p.positive else free[p.name] for p in point.parameters}
    places = [covariates[name] / point.reference[name] for name in point.law.covariates]
    with np.errstate(over="ignore"):
        losses = np.asarray(evaluated(places, given))
        if not point.groups:
            return losses
        logs = dict(zip(point.groups, np.append(0.0, position[:factors]), strict=True))
        usual = float(np.mean(list(logs.values())))
        return losses * np.exp([logs.get(str(group), usual) for group in groups])


def fit_point(law: Law, observations: Observations, response: str, *, penalised: bool) -> PointFit:
    """Fit a law by least squares.

    Parameters
    ----------
    law
        The law. Where its parameters vary between groups, these differ by a factor each, whatever its pooling.
    observations
        The rows.
    response
        A key of `bayeslaw.likelihood.responses.RESPONSES`.
    penalised
        Whether parameters are held near the middle of their priors, as strongly as those hold them beside rows with
        the scatter that they have without; what collinear budgets do not tell is then the prior's.

    Returns
    -------
    PointFit
        The best of several starts; where parameters are held, from the middle of the priors.
    """
    scale, parameters = RESPONSES[response], law.parameters(observations)
    every = observations.groups.get(law.group)
    names = tuple(str(name) for name in np.unique(every)) if every is not None and law.varies else ()
    rows = every if every is not None else np.zeros(len(observations.loss))
    target = np.asarray(scale.of_loss(observations.loss))
    empty = PointFit(law, parameters, observations.reference, scale, names, np.empty(0), np.empty(0))
    evaluated = _compiled(law)

    def residuals(position: np.ndarray) -> np.ndarray:
        fitted = _evaluated(empty, observations.covariates, rows, position, evaluated)
        return target - np.asarray(scale.of_loss(np.clip(fitted, SMALLEST, 1 / SMALLEST)))

    factors = max(len(names) - 1, 0)

    def rest(name: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
        largest = [observations.covariates[each].max() / observations.reference[each] for each in law.covariates]
        return np.asarray(type(law).function(*largest, **{**values, name: 0.0}))

    with jax.enable_x64(True):
        drawn = draw_parameters(parameters, rest, PRIOR_DRAWS)
    ranges = [_range_of(drawn[each.name], each.positive) for each in parameters]
    middle, spread = (np.array(each) for each in zip(*ranges, strict=True))
    middle, spread = np.append(np.zeros(factors), middle), np.append(np.full(factors, FACTOR_SPREAD), spread)
    size = max(float(np.std(target)), np.finfo(float).tiny)

    def search(unit: float, starts: list[np.ndarray], held: bool) -> np.ndarray:
        def cost(position: np.ndarray) -> np.ndarray:
            return np.append(residuals(position) / unit, (position - middle) / spread if held else np.empty(0))

        # A step too far overflows, is seen to be worse than any other, and is shortened.
        with np.errstate(over="ignore"):
            found = [least_squares(cost, start, x_scale="jac", max_nfev=MOST_EVALUATIONS) for start in starts]
        return min(found, key=lambda each: each.cost).x

    with jax.enable_x64(True):
        if penalised:
            position = search(FIRST_SHARE * size, [middle], held=True)
            freedom = max(len(target) - len(position), 1)
            scatter = np.sqrt(np.square(residuals(position)).sum() / freedom)
            position = search(max(scatter, SMALLEST_SHARE * size), [position], held=True)
        else:
            position = search(size, [middle + away * spread for away in STARTS], held=False)
        left = residuals(position)
    return PointFit(law, parameters, observations.reference, scale, names, position, left)


def _compiled(law: Law) -> Callable[..., Any]:
    """Compile the law's function: a search evaluates it some thousand times."""
    function = type(law).function
    return jax.jit(lambda places, given: function(*places, **given))


def _range_of(draws: np.ndarray, positive: bool) -> tuple[float, float]:
    """Give the middle of draws and their standard deviation, on the log scale for what is positive."""
    free = np.log(np.maximum(draws, SMALLEST)) if positive else draws
    low, middle, high = np.quantile(free, norm.cdf([-1, 0, 1]))
    return float(middle), float(high - low) / 2
