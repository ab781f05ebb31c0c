"""Refits of the joint law without some models: its curve alone, which is what tells their mean losses."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from bayeslaw.comparison.kept_curve import KeptCurve, KeptModels, keep_models
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.joint_posterior import block_sites, sampled_sites
from bayeslaw.joint.curve import Curve
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.laws.results import Densities
from bayeslaw.likelihood.compiled import compile_once, one_by_one
from bayeslaw.posterior.coordinates import all_with_numbers, numbers_of
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.free_coordinates import ManyPositions, free_sites
from bayeslaw.posterior.many_modes import begin_at_mode
from bayeslaw.posterior.retries import largest_rhat
from bayeslaw.posterior.sites import Sites, centres
from bayeslaw.posterior.solution import draw_posterior

STARTS = 4
ATTEMPTS = {"hmc": ((300, 0.9), (800, 0.95), (2000, 0.98))}


class KeptData(NamedTuple):
    """What the posterior of a curve given some of the models takes: arrays all of them.

    Parameters
    ----------
    curve
        The curve of all models.
    kept
        The models kept.
    numbers
        Numbers of the priors of the curve's sites, shape ``[number]``.
    """

    curve: Curve
    kept: KeptModels
    numbers: Any


@dataclass(frozen=True)
class KeptCurvePrior:
    """From a flat position of the curve's sites and `KeptData` to minus their log prior density."""

    sites: Sites

    def __call__(self, position: Array, data: KeptData) -> Array:
        """Evaluate at a flat position."""
        return self.sites.negative_log_prior(*self.sites.values(position, data.numbers), data.numbers)


@dataclass(frozen=True)
class KeptCurvePotential:
    """From the same to minus the log posterior density given the models kept."""

    sites: Sites

    def __call__(self, position: Array, data: KeptData) -> Array:
        """Evaluate at a flat position."""
        values, log_determinant = self.sites.values(position, data.numbers)
        prior = self.sites.negative_log_prior(values, log_determinant, data.numbers)
        return prior - KeptCurve(data.curve, data.kept).log_likelihood(values)


@dataclass(frozen=True)
class KeptCurveByHand:
    """From `KeptData` to the log posterior density given the models kept, at many positions, with its gradient."""

    sites: Sites

    def __call__(self, data: KeptData) -> ManyPositions:
        """Take up the data."""
        priors = all_with_numbers(dict(self.sites.priors), data.numbers)
        curve = CurveGradient(KeptCurve(data.curve, data.kept).curve, np.asarray(data.kept.rows))
        return ManyPositions(free_sites(priors, self.sites.shapes), curve.log_likelihood)


@dataclass(frozen=True)
class _HeldDensities:
    """From flat positions, [draw, coordinate], and `KeptData` to the log densities of the models left out."""

    sites: Sites

    def __call__(self, positions: Array, data: KeptData) -> tuple[Array, Array]:
        curve = KeptCurve(data.curve, data.kept)

        def at(position: Array) -> tuple[Array, Array]:
            return curve.held_log_densities(self.sites.values(position, data.numbers)[0])

        return one_by_one(at)(positions)


@dataclass(frozen=True)
class JointRefits:
    """Refits of a joint law without some models.

    The posterior of the joint law is that of its curve times that of its dependence, which share no site, so a refit
    of the curve tells the mean losses left out. It is that of `bayeslaw.fit` to the table of the other models: their
    lowest losses, sizes and families are all it knows. Draws given all models cannot stand for those without some:
    floors reach as far as the lowest loss of a family, and so never where they would if it had not been seen.

    Parameters
    ----------
    model
        The joint law with the table of all models.
    draws, chains
        Of the refits: draws kept per chain, and number of chains.
    """

    model: JointModel
    draws: int = 500
    chains: int = 4

    @cached_property
    def posterior_of_kept(self) -> Posterior:
        """The posterior given some of the models, with the mode given all of them as its start."""
        sites = block_sites(self.model, "curve")
        by_hand = KeptCurveByHand(sites)
        everything = by_hand(self.data(np.zeros(len(self.model.table.mean), dtype=bool)))
        mode, _ = begin_at_mode(everything, centres(self.model.sites, sites), starts=STARTS, seed=0)
        return Posterior(KeptCurvePotential(sites), mode.position, prior=KeptCurvePrior(sites), by_hand=by_hand)

    def data(self, held: np.ndarray) -> KeptData:
        """Return the data of the posterior without some models; `held` says which, shape ``[lm]``."""
        numbers = numbers_of(self.model.sites[name] for name in sampled_sites(self.model, "curve"))
        return jax.tree.map(np.asarray, KeptData(self.model.curve, keep_models(self.model, held), numbers))

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
            posterior, data = self.posterior_of_kept, self.data(held)
            choices: dict[str, Any] = {"draws": self.draws, "chains": self.chains, "seed": seed, "attempts": ATTEMPTS}
            drawn = draw_posterior(posterior, data, **choices).draws
            densities = compile_once(_HeldDensities(block_sites(self.model, "curve")), drawn.flat, data)
            rows, joint = map(np.asarray, densities(drawn.flat, data))
        return Densities(rows[:, held], joint, largest_rhat(drawn.position), drawn.divergences)

    def all_rows(self, held: np.ndarray) -> None:
        """Return nothing: draws given all models do not stand for those without some; see the class."""


def refits_of_models(fit: Fit, *, draws: int, chains: int) -> JointRefits:
    """Return what refits a joint law without some models."""
    return JointRefits(fit.model, draws=draws, chains=chains)


def elpd_caveat() -> str:
    """Say why draws given all models cannot be weighed; see `JointRefits`."""
    return (
        "Floors of the joint law end at the lowest loss of a family, so that its draws do not cover those without "
        "that model, and its score in this comparison is too high: leave out whole models, which refits."
    )
