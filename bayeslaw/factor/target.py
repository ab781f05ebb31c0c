"""The posterior of the factor law over flat positions, its mode and its curvature."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from bayeslaw.factor.model import FactorModel
from bayeslaw.sampling.compiled import compile_for, hessian_one_by_one
from bayeslaw.sampling.coordinates import constrain, unconstrained_centre
from bayeslaw.sampling.mode import covariance_factor


@dataclass(frozen=True)
class FactorTarget:
    """A log posterior density over flat positions.

    Parameters
    ----------
    model
        The model.
    start
        A position at the centres of the priors, shape ``[coordinate]``.
    values
        Maps a flat position to the value of every site and the log determinant of the map.
    potential
        Minus the log posterior density of a flat position, up to a constant.
    """

    model: FactorModel
    start: np.ndarray
    values: Callable[[Array], tuple[dict[str, Array], Array]]
    potential: Callable[[Array], Array]


def factor_target(model: FactorModel) -> FactorTarget:
    """Write the posterior of a factor law over positions free of constraints.

    Parameters
    ----------
    model
        The model. Call under float64.

    Returns
    -------
    FactorTarget
        Pure functions, ready to be compiled.
    """
    sites = model.sites
    flat, unravel = ravel_pytree(
        {name: jnp.full(model.shapes[name], unconstrained_centre(prior)) for name, prior in sites.items()}
    )

    def values(position: Array) -> tuple[dict[str, Array], Array]:
        free, constrained, total = unravel(position), {}, jnp.zeros(())
        for name, prior in sites.items():
            constrained[name], term = constrain(prior, free[name])
            total = total + term
        return constrained, total

    def potential(position: Array) -> Array:
        constrained, total = values(position)
        prior = sum(jnp.sum(density) for density in model.log_prior(constrained).values())
        return -(prior + total + model.log_likelihood(constrained))

    return FactorTarget(model, np.asarray(flat), values, potential)


def curvature_factor(target: FactorTarget, mode: np.ndarray) -> np.ndarray:
    """Factor the posterior's covariance as the Hessian at the mode tells it.

    Parameters
    ----------
    target
        The posterior.
    mode
        Its mode, shape ``[coordinate]``.

    Returns
    -------
    np.ndarray
        As `bayeslaw.sampling.mode.covariance_factor` returns it.
    """
    position = jnp.asarray(mode)
    return covariance_factor(np.asarray(compile_for(hessian_one_by_one(target.potential), position)(position)))
