"""Log density of what the joint law was fitted to, at every draw."""

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.fitting.joint_posterior import log_likelihood_at

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def log_likelihood(fit: "Fit") -> np.ndarray:
    """Log density of the mean losses, correlations and deviations of a joint fit at every draw, [draw]."""
    model, posterior = fit.model, fit.values()
    return log_likelihood_at(model, {name: np.asarray(posterior[name], dtype=float) for name in model.sites})
