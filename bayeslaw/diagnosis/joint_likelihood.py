"""Log density of what the joint law was fitted to, at every draw."""

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def log_likelihood(fit: "Fit") -> np.ndarray:
    """Log density of the mean losses, correlations and deviations of a joint fit at every draw, [draw]."""
    model, posterior = fit.model, fit.values()
    values = {name: np.asarray(posterior[name], dtype=float) for name in model.sites}
    curve, dependence = CurveAtDraws(model.curve, values), DependenceAtDraws(model.dependence, values)
    return curve.log_likelihood() + dependence.log_likelihood()
