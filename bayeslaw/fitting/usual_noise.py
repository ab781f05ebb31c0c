"""Noise where none is asked for: on losses, or on log losses where these span much and the rows say so."""

import jax
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.parameter import Parameter
from bayeslaw.likelihood.noise import Noise
from bayeslaw.likelihood.responses import RESPONSES

LOSS, LOG_LOSS = "loss", "log_loss"
SPAN = 5.0
"""How many times the lowest the highest loss is, below which the two hardly differ: noise is then on losses."""
STARTS = (0.0, -1.0, 1.0)
"""Starts of exponents and amplitudes, in standard deviations of a normal around the middle of their priors."""
PARAMETERS_AND_MORE = 3


def usual_noise(law: Law, observations: Observations) -> Noise:
    """Choose the noise of rows for which none is asked.

    Where the highest loss of single models is `SPAN` times the lowest or more, the law is fitted by least squares to
    losses and to log losses, groups apart by a factor each, and the rows' normal densities compared (as Box and Cox
    1964 compare transformations): noise that is alike on losses of 100 and of 2 fits neither. Pools, whose rows share
    errors in the unit of the loss, keep theirs.

    Parameters
    ----------
    law
        The law.
    observations
        The rows.

    Returns
    -------
    Noise
        Normal, on losses or on log losses.
    """
    losses = observations.loss
    if observations.row_dimension != "lm" or (losses <= 0).any() or losses.max() < SPAN * losses.min():
        return Noise()
    density = {response: log_density(law, observations, response) for response in (LOSS, LOG_LOSS)}
    return Noise(response=max(density, key=lambda response: density[response]))


def reason_for(noise: Noise, observations: Observations) -> str:
    """Say why a noise was chosen, in a sentence; empty for the noise that needs no reason."""
    if noise.response == LOSS:
        return ""
    factor = observations.loss.max() / observations.loss.min()
    return (
        f"noise is on log losses: losses span a factor of {factor:.3g}, and the rows are likelier with scatter in "
        "proportion to them (for the other write response: loss under noise: in the file of --config)"
    )


def log_density(law: Law, observations: Observations, response: str) -> float:
    """Log density of the losses at a least-squares fit with normal noise on a response, up to a constant.

    Parameters
    ----------
    law, observations
        The law and the rows.
    response
        A key of `bayeslaw.likelihood.responses.RESPONSES`.

    Returns
    -------
    float
        Minus infinity where there are too few rows to tell.
    """
    scale, losses = RESPONSES[response], observations.loss
    names, groups = np.unique(observations.groups.get(law.group, np.zeros(len(losses))), return_inverse=True)
    parameters, reference = law.parameters(observations), observations.reference
    covariates = [observations.covariates[name] / reference[name] for name in law.covariates]
    apart = len(names) if law.varies else 1
    if len(losses) < len(parameters) + apart + PARAMETERS_AND_MORE:
        return -np.inf
    target = np.asarray(scale.of_loss(losses))
    size = float(np.std(target)) or 1.0

    def residuals(position: np.ndarray) -> np.ndarray:
        free = dict(zip((p.name for p in parameters), position[apart - 1 :], strict=True))
        given = {p.name: np.exp(free[p.name]) if p.positive else free[p.name] for p in parameters}
        factor = np.exp(np.append(0.0, position[: apart - 1]))[groups if apart > 1 else 0]
        fitted = np.maximum(factor * np.asarray(type(law).function(*covariates, **given)), 1e-300)
        return (target - np.asarray(scale.of_loss(fitted))) / size

    with jax.enable_x64(True):
        starts = [np.append(np.zeros(apart - 1), [_middle(p, away) for p in parameters]) for away in STARTS]
        found = [least_squares(residuals, start, method="trf", max_nfev=200) for start in starts]
    mean_square = max(2 * min(each.cost for each in found) / len(losses), 1e-16) * size**2
    return float(scale.log_jacobian(target).sum() - len(losses) / 2 * np.log(mean_square))


def _middle(parameter: Parameter, away: float) -> float:
    """Give a place in the middle of a prior, on the log scale for what is positive."""
    draws = np.asarray(parameter.prior.distribution().sample(jax.random.PRNGKey(0), (400,)), dtype=float)
    free = np.log(np.maximum(draws, 1e-300)) if parameter.positive else draws
    return float(np.quantile(free, norm.cdf(away)))
