"""Exact refits without some rows: one model compiled once, told which rows to leave out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.comparison.densities import Kept, compile_densities, keep_rows, kept_log_likelihood
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.given_rows import Outline, Rows, given_rows, outline_of, rows_of
from bayeslaw.fitting.row_posterior import PriorPotential, independent_information, row_posterior, values_at
from bayeslaw.laws.results import Densities
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import NOISE_SCALE
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.mode import factor_at, find_mode
from bayeslaw.posterior.retries import largest_rhat, sample_until_trusted
from bayeslaw.prediction.row_prediction import new_group_draws

STARTS = 2
ATTEMPTS = ((300, 0.9), (1000, 0.98))
COPIES = 16


@dataclass(frozen=True)
class Refit:
    """Draws of a law's posterior given some of the rows.

    Parameters
    ----------
    values
        Draws of every site, chains joined, each of shape ``[draw]`` or ``[draw, group]``.
    rhat
        Largest R-hat over the coordinates; 1 for a single chain.
    divergences
        Number of divergences.
    """

    values: dict[str, np.ndarray]
    rhat: float
    divergences: int


@dataclass(frozen=True)
class KeptPotential:
    """From a flat position, and rows with which of them are kept, to minus the log posterior density given these."""

    outline: Outline

    def __call__(self, position: Array, data: tuple[Rows, Kept]) -> Array:
        """Evaluate at a flat position."""
        model = given_rows(self.outline, data[0])
        values, log_determinant = model.values(position)
        return model.negative_log_prior(values, log_determinant) - kept_log_likelihood(model, values, data[1])


@dataclass(frozen=True)
class KeptPrior:
    """From the same to minus the log prior density."""

    outline: Outline

    def __call__(self, position: Array, data: tuple[Rows, Kept]) -> Array:
        """Evaluate at a flat position."""
        return PriorPotential(self.outline)(position, data[0])


@dataclass(frozen=True)
class KeptInformation:
    """From the same to Fisher information as if rows were independent, minus the prior's Hessian: a rough shape."""

    outline: Outline

    def __call__(self, position: Array, data: tuple[Rows, Kept]) -> Array:
        """Evaluate at a flat position."""
        model = given_rows(self.outline, data[0])
        likelihood = independent_information(model, position, jnp.asarray(data[1].rows))
        return likelihood + jax.hessian(PriorPotential(self.outline))(position, data[0])


@dataclass(frozen=True)
class LawRefits:
    """Refits of a law without some rows.

    Priors, their scaling to the data and the reference budget stay those of all rows, so that a refit is the posterior
    of the same model given fewer rows. Rows are left out by giving them no weight, so that one compiled program serves
    every refit, and groups without rows keep their place. A group without rows is drawn from the population.

    Parameters
    ----------
    model
        The model of all rows, its priors filled in.
    posterior
        Draws of every site given all rows, as `Fit.values` gives them.
    draws, chains
        Of the refits: draws kept per chain, and number of chains.
    """

    model: LawModel
    posterior: Mapping[str, np.ndarray]
    draws: int = 500
    chains: int = 4

    @cached_property
    def posterior_of_kept(self) -> Posterior:
        """The posterior given some of the rows, which are its data, with the mode given all of them as its start."""
        whole, outline = row_posterior(self.model), outline_of(self.model)
        mode = find_mode(whole, self.rows, starts=STARTS, seed=0).position
        return Posterior(KeptPotential(outline), mode, KeptInformation(outline), KeptPrior(outline))

    @cached_property
    def rows(self) -> Rows:
        """All rows."""
        return rows_of(self.model)

    @cached_property
    def _densities(self) -> Callable[[Mapping[str, np.ndarray], np.ndarray], Densities]:
        return compile_densities(self.model)

    def refit(self, held: np.ndarray, *, seed: int) -> Refit:
        """Sample the posterior given the rows that are not left out.

        Parameters
        ----------
        held
            Whether each row is left out, shape ``[row]``.
        seed
            Seed.

        Returns
        -------
        Refit
            Draws; of the attempt with the fewest divergences and the smallest R-hat where none was good.
        """
        with jax.enable_x64(True):
            posterior, data = self.posterior_of_kept, (self.rows, keep_rows(self.model, held))
            factor = factor_at(posterior, data, posterior.start)
            choices = {"draws": self.draws, "chains": self.chains, "seed": seed, "attempts": ATTEMPTS}
            drawn, _ = sample_until_trusted(posterior, data, posterior.start, factor, **choices)
            values = values_at(self.model, drawn.flat)
        return Refit(values, largest_rhat(drawn.position), drawn.divergences)

    def left_out(self, held: np.ndarray, *, seed: int) -> Densities:
        """Refit without some rows, and evaluate these.

        Parameters
        ----------
        held, seed
            As in `refit`.

        Returns
        -------
        Densities
            Of the loss, at the draws given the other rows.
        """
        refit = self.refit(held, seed=seed)
        values, copies = with_new_groups(self.model, refit.values, held, seed=seed)
        found = self._at(values, held)
        return Densities(found.rows, found.joint, refit.rhat, refit.divergences, copies)

    def all_rows(self, held: np.ndarray) -> Densities:
        """Evaluate rows, given the others, at the draws given all rows.

        Parameters
        ----------
        held
            Whether each row is evaluated, shape ``[row]``.

        Returns
        -------
        Densities
            Of the loss.
        """
        return self._at(self.posterior, held)

    def _at(self, values: Mapping[str, np.ndarray], held: np.ndarray) -> Densities:
        needed = {*self.model.sites, *(parameter.name for parameter in self.model.parameters)}
        with jax.enable_x64(True):
            return self._densities({name: values[name] for name in sorted(needed)}, held)


def with_new_groups(
    model: LawModel, values: Mapping[str, np.ndarray], held: np.ndarray, *, seed: int
) -> tuple[dict[str, np.ndarray], int]:
    """Draw the groups that have no rows left from the population, `COPIES` times for every draw.

    Parameters
    ----------
    model
        The model of all rows.
    values
        Draws of every site, each of shape ``[draw]`` or ``[draw, group]``.
    held
        Whether each row is left out, shape ``[row]``.
    seed
        Seed of the fresh draws.

    Returns
    -------
    values : dict
        The draws, each `COPIES` times over where a group is new: its parameters from the population, its noise scale
        that of one of the other groups, drawn anew each time, as `bayeslaw.predict` has it.
    copies : int
        How many successive draws were made of each.

    Raises
    ------
    InputError
        If a parameter's groups share nothing, which says nothing of a group left out.
    """
    known = np.unique(model.group_index[~held])
    new = np.setdiff1d(np.arange(len(model.groups)), known)
    if not len(new):
        return dict(values), 1
    rng = np.random.default_rng([seed, 1])
    result = {name: np.repeat(array, COPIES, axis=0) for name, array in values.items()}
    for parameter in model.parameters:
        if parameter.grouped:
            for index in new:
                result[parameter.name][:, index] = new_group_draws(result, parameter, rng)
    if model.noise_by_group:
        scale = result[NOISE_SCALE]
        for index in new:
            scale[:, index] = scale[np.arange(len(scale)), rng.choice(known, size=len(scale))]
    return result, COPIES


def refits_of_rows(fit: Fit, *, draws: int, chains: int) -> LawRefits:
    """Return what refits a law of rows without some of them."""
    return LawRefits(fit.model, fit.values(), draws=draws, chains=chains)
