"""Noise where none is asked for: on losses, or on log losses where these span much and the rows say so."""

import numpy as np

from bayeslaw.fitting.least_squares import fit_point
from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations
from bayeslaw.likelihood.noise import Noise

LOSS, LOG_LOSS = "loss", "log_loss"
SPAN = 5.0
"""How many times the lowest the highest loss is, below which the two hardly differ: noise is then on losses."""
MORE_ROWS = 2
"""How many more rows than parameters tell two kinds of noise apart."""
SMALLEST_SHARE = 1e-12


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
    factors = len(np.unique(observations.groups[law.group])) if law.varies else 1
    if len(observations.loss) < len(law.parameter_names) + factors + MORE_ROWS:
        return -np.inf
    found = fit_point(law, observations, response, penalised=False)
    response_of_rows = np.asarray(found.response.of_loss(observations.loss))
    mean_square = max(float(np.square(found.residuals).mean()), SMALLEST_SHARE * float(np.var(response_of_rows)))
    return float(found.response.log_jacobian(response_of_rows).sum() - len(response_of_rows) / 2 * np.log(mean_square))
