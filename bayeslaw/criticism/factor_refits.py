"""Refits of the factor law without some models: its curve alone, which is what tells their mean losses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from bayeslaw.criticism.densities import Densities
from bayeslaw.criticism.kept_curve import KeptCurve, KeptModels, keep_models
from bayeslaw.criticism.resampling import Resampler
from bayeslaw.factor.model import BY_FAMILY, FactorModel
from bayeslaw.fit import Fit
from bayeslaw.laws.factor import CURVE_SITES
from bayeslaw.priors import Prior
from bayeslaw.sampling.compiled import hessian_one_by_one, one_by_one
from bayeslaw.sampling.coordinates import constrain, unconstrained_centre
from bayeslaw.sampling.mode import find_mode

STARTS = 4
ATTEMPTS = ((500, 0.95), (1500, 0.99), (2000, 0.998))


@dataclass(frozen=True)
class CurveTarget:
    """The posterior of the curve given all models, from which refits start.

    Parameters
    ----------
    start
        Flat position at the centres of the priors, shape ``[coordinate]``.
    potential
        From a flat position to minus the log density.
    """

    start: np.ndarray
    potential: Callable[[Array], Array]


@dataclass(frozen=True)
class FactorRefits:
    """Refits of a factor law without some models.

    The posterior of the factor law is that of its curve times that of its dependence, which share no site, so a refit
    of the curve tells the mean losses left out. It is that of `bayeslaw.fit` to the table of the other models: their
    lowest losses, sizes and families are all it knows. Draws given all models cannot stand for those without some:
    floors reach as far as the lowest loss of a family, and so never where they would if it had not been seen.

    Parameters
    ----------
    model
        The factor law with the table of all models.
    draws, chains
        Of the refits: draws kept per chain, and number of chains.
    """

    model: FactorModel
    draws: int = 500
    chains: int = 4

    @property
    def _sites(self) -> dict[str, Prior]:
        return {name: self.model.sites[name] for name in (*CURVE_SITES, *BY_FAMILY)}

    @cached_property
    def _flat(self) -> tuple[np.ndarray, Callable[[Array], dict[str, Array]]]:
        centres = {
            name: jnp.full(self.model.shapes[name], unconstrained_centre(prior)) for name, prior in self._sites.items()
        }
        flat, unravel = ravel_pytree(centres)
        return np.asarray(flat), unravel

    @cached_property
    def _sampler(self) -> Resampler:
        everything = keep_models(self.model, np.zeros(len(self.model.table.mean), dtype=bool))
        target = CurveTarget(self._flat[0], lambda position: self._potential(position, everything))
        mode = find_mode(target, starts=STARTS, seed=0)
        hessian = hessian_one_by_one(self._potential)
        return Resampler(self._potential, hessian, mode, everything, self.draws, self.chains, ATTEMPTS)

    @cached_property
    def _densities(self) -> Callable[..., Any]:
        def densities(position: Array, kept: KeptModels) -> tuple[Array, Array]:
            curve = KeptCurve(self.model, kept)
            return one_by_one(lambda one: curve.held_log_densities(self._values(one)[0]))(position)

        return jax.jit(densities)

    def left_out(self, held: np.ndarray, *, seed: int) -> Densities:
        """Refit without some models, and evaluate their mean losses.

        Parameters
        ----------
        held
            Whether each model is left out, shape ``[lm]``.
        seed
            Seed.

        Returns
        -------
        Densities
            Of the mean losses in the reported unit, at the draws given the other models.
        """
        with jax.enable_x64(True):
            kept = keep_models(self.model, held)
            drawn = self._sampler.sample(kept, seed=seed)
            rows, joint = map(np.asarray, self._densities(jnp.asarray(drawn.position), kept))
        return Densities(rows[:, held], joint, drawn.rhat, drawn.divergences)

    def all_rows(self, held: np.ndarray) -> None:
        """Return nothing: draws given all models do not stand for those without some; see the class."""

    def _values(self, position: Array) -> tuple[dict[str, Array], Array]:
        free, values, total = self._flat[1](position), {}, jnp.zeros(())
        for name, prior in self._sites.items():
            values[name], term = constrain(prior, free[name])
            total = total + term
        return values, total

    def _potential(self, position: Array, kept: KeptModels) -> Array:
        values, log_determinant = self._values(position)
        prior = sum(jnp.sum(each.distribution().log_prob(values[name])) for name, each in self._sites.items())
        return -(prior + log_determinant + KeptCurve(self.model, kept).log_likelihood(values))


def refits_of_models(fit: Fit, *, draws: int, chains: int) -> FactorRefits:
    """Return what refits a factor law without some models."""
    return FactorRefits(fit.model, draws=draws, chains=chains)


def elpd_caveat() -> str:
    """Say why draws given all models cannot be weighed; see `FactorRefits`."""
    return (
        "Floors of the factor law end at the lowest loss of a family, so that its draws do not cover those without "
        "that model, and its score in this comparison is too high: leave out whole models, which refits."
    )
