"""Modes under flat priors: what published point fits report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.fitting.given_rows import GivenRows, Outline, Rows, given_rows, outline_of, rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import combined_scale
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.posterior.mode import minimize, scattered_starts


@dataclass(frozen=True)
class _NegativeLogLikelihood:
    """From a flat position, `Rows` and a smoothing to minus the log likelihood."""

    outline: Outline

    def __call__(self, position: Array, data: tuple[Rows, Array]) -> Array:
        model = given_rows(self.outline, data[0])
        values, _ = model.values(position)
        if (rounded := DISTRIBUTIONS[model.noise.distribution].rounded_cost) is not None:
            return _rounded_cost(model, rounded, values, data[1])
        return -model.fast_log_likelihood()(values)


def flat_prior_mode(model: LawModel, *, starts: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """Maximise the likelihood alone: what published point fits report.

    Parameters
    ----------
    model
        The model; its pooling must not be partial, since flat priors say nothing of spreads. Call under float64.
    starts
        How many starts.
    seed
        Seed of the scatter of the starts.

    Returns
    -------
    dict
        Value of every parameter and noise site.
    """
    outline, rows = outline_of(model), rows_of(model)
    negative = _NegativeLogLikelihood(outline)
    posterior = row_posterior(model)
    # Priors hold the search while the noise, which starts far below the residuals, finds its size: without them the
    # first steps are so long that a floor can end at none.
    held = minimize(posterior.potential, scattered_starts(posterior.start, starts, seed), rows)
    places = scattered_starts(held, starts, seed)
    position = minimize(negative, places, (rows, np.asarray(1e-1)))
    kinked = DISTRIBUTIONS[model.noise.distribution].rounded_cost is not None
    for smoothing in (1e-2, 1e-3, 1e-4) if kinked else (0.0,):
        position = minimize(negative, position[None], (rows, np.asarray(smoothing)))
    values = given_rows(outline, rows).values(jnp.asarray(position))[0]
    return {name: np.asarray(value) for name, value in values.items()}


def _rounded_cost(
    model: GivenRows, cost: Callable[[Any, Any, Any], Array], values: dict[str, Any], smoothing: Array
) -> Array:
    """Negative log likelihood with its kink rounded over `smoothing` scales, so that gradients lead to the mode."""
    location = model.location(values)
    scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
    scale = jnp.broadcast_to(scale, location.shape)
    residual = (model.response - location) / scale
    return cost(residual, scale, smoothing).sum()
