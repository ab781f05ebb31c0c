"""Draws of a law of rows along budgets, for its picture."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayeslaw.fitting.fits import Fit
from bayeslaw.likelihood.noise import draw_losses
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.prediction.new_pools import pool_deviations
from bayeslaw.prediction.row_prediction import deviate, law_draws, new_group_draws


def curve_gradient(
    fit: Fit, group: str, grid: np.ndarray, training_tokens: float | None, kinds: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Draw a law of rows along a grid of budgets.

    Parameters
    ----------
    fit
        The fit.
    group
        A group of the fit, ``"new"``, or nothing where one law holds for all rows.
    grid
        Budgets, [point].
    training_tokens
        Number of training tokens, where the law has them.
    kinds
        Which bands: ``"mean"``, ``"new"``.

    Returns
    -------
    dict
        Losses by kind, [draw, point]. All points of a new row have the same noise.
    """
    targets = _targets(fit, group, grid, training_tokens)
    mean, scale = law_draws(fit, targets, seed=0)
    draws = {"mean": mean}
    if "new" in kinds:
        draws["new"] = _with_common_noise(fit, targets, mean, scale)
    return draws


def _targets(fit: Fit, group: str, parameters: np.ndarray, training_tokens: float | None) -> pd.DataFrame:
    targets = pd.DataFrame({"parameters": parameters})
    if training_tokens is not None:
        targets["training_tokens"] = training_tokens
    return targets.assign(**{fit.law.group: group}) if group else targets


def _with_common_noise(fit: Fit, targets: pd.DataFrame, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    if fit.model.dependence is not None:
        return deviate(fit, mean, pool_deviations(fit, targets, scale, samples="same", seed=0, common=True))
    shape = DISTRIBUTIONS[fit.noise.distribution].values(fit.values())
    with jax.enable_x64(True):
        additive = replace(fit.noise, response="loss")
        zero, one = jnp.zeros(len(mean)), jnp.ones(len(mean))
        shape = {site: jnp.asarray(values) for site, values in shape.items()}
        noise = draw_losses(jax.random.PRNGKey(0), additive, zero, one, shape)
    return deviate(fit, mean, scale * np.asarray(noise)[:, None])


def floor_draws(fit: Fit, group: str) -> np.ndarray | None:
    """Draw the floor of a group, known or new, in the fit's unit, [draw]; None where the law has none."""
    if fit.law.asymptote is None:
        return None
    floor = fit.values()[fit.law.asymptote]
    if floor.ndim == 1:
        return floor
    if group in fit.model.groups:
        return floor[:, fit.model.groups.index(group)]
    parameter = next(p for p in fit.model.parameters if p.name == fit.law.asymptote)
    return new_group_draws(fit.values(), parameter, np.random.default_rng(0))
