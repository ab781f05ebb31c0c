"""Log density of the rows that a law was fitted to, at every draw."""

from typing import TYPE_CHECKING

import jax
import numpy as np

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def log_likelihood(fit: "Fit") -> np.ndarray:
    """Log density of all rows of a fit together at every draw, [draw]."""
    model, posterior = fit.model, fit.values()
    names = [*(parameter.name for parameter in model.parameters), *model.sites]
    with jax.enable_x64(True):
        values = {name: posterior[name] for name in names}
        density = model.fast_log_likelihood()
        return np.asarray(jax.jit(lambda values: jax.lax.map(density, values))(values))
