"""Exact refits without some rows: one model compiled once, told which rows to leave out."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from arviz_stats.sampling_diagnostics import rhat
from jax import Array
from numpyro.infer import NUTS

from bayeslaw.criticism.densities import Densities, Kept, compile_densities, keep_rows, kept_log_likelihood
from bayeslaw.model import LawModel
from bayeslaw.noise import DEGREES_OF_FREEDOM, FAMILIES, NOISE_SCALE, combined_scale
from bayeslaw.predict import new_group_draws
from bayeslaw.sampling.compiled import compile_for
from bayeslaw.sampling.mode import SMALLEST_CURVATURE, Target, find_mode, make_target

STARTS = 2
ATTEMPTS = ((300, 0.9), (1000, 0.98))
RHAT_ACCEPTED = 1.02
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
    def _target(self) -> Target:
        return make_target(self.model)

    @cached_property
    def _mode(self) -> np.ndarray:
        return find_mode(self._target, starts=STARTS, seed=0)

    @cached_property
    def _curvature(self) -> Callable[..., Any]:
        return compile_for(self._information, jnp.asarray(self._mode), keep_rows(self.model, self._nothing))

    @cached_property
    def _values(self) -> Callable[..., Any]:
        return jax.jit(jax.vmap(lambda position: self._target.values(position)[0]))

    @cached_property
    def _densities(self) -> Callable[[Mapping[str, np.ndarray], np.ndarray], Densities]:
        return compile_densities(self.model)

    @cached_property
    def _programs(self) -> dict[tuple[int, float], Callable[..., Any]]:
        return {}

    @property
    def _nothing(self) -> np.ndarray:
        return np.zeros(len(self.model.response), dtype=bool)

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
            eigenvalues, vectors = np.linalg.eigh(
                np.asarray(self._curvature(jnp.asarray(self._mode), keep_rows(self.model, held)))
            )
            factor = vectors / np.sqrt(np.maximum(eigenvalues, SMALLEST_CURVATURE))
            best: tuple[tuple[int, float], np.ndarray] | None = None
            for attempt in ATTEMPTS:
                position, divergences = self._sample(attempt, held, factor, seed)
                quality = divergences, largest_rhat(position)
                if best is None or quality < best[0]:
                    best = quality, position
                if divergences == 0 and not quality[1] > RHAT_ACCEPTED:
                    break
            assert best is not None
            flat = best[1].reshape(-1, best[1].shape[-1])
            values = {name: np.asarray(array) for name, array in self._values(jnp.asarray(flat)).items()}
        return Refit(values, best[0][1], best[0][0])

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

    def _sample(
        self, attempt: tuple[int, float], held: np.ndarray, factor: np.ndarray, seed: int
    ) -> tuple[np.ndarray, int]:
        keys, kept = jax.random.split(jax.random.PRNGKey(seed), self.chains), keep_rows(self.model, held)
        centre, transform = jnp.asarray(self._mode), jnp.asarray(factor)
        if attempt not in self._programs:
            self._programs[attempt] = compile_for(self._chain(*attempt), kept, centre, transform, keys[0])
        program = self._programs[attempt]

        def run(key: Array) -> tuple[np.ndarray, int]:
            # The switch to float64 is local to a thread.
            with jax.enable_x64(True):
                z, divergences = program(kept, centre, transform, key)
                return np.asarray(z), int(divergences)

        cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
        with ThreadPoolExecutor(max_workers=min(self.chains, cores)) as pool:
            z, divergences = zip(*pool.map(run, keys), strict=True)
        return self._mode + np.stack(z) @ factor.T, sum(divergences)

    def _chain(self, warmup: int, target_accept: float) -> Callable[..., Any]:
        """Write one chain as a function of the rows kept."""

        def chain(kept: Kept, centre: Array, transform: Array, key: Array) -> tuple[Array, Array]:
            kernel = NUTS(
                potential_fn=lambda z: self._potential(centre + transform @ z, kept),
                target_accept_prob=target_accept,
                dense_mass=True,
            )
            place, walk = jax.random.split(key)
            state: Any = kernel.init(walk, warmup, jax.random.normal(place, centre.shape), (), {})

            def step(index: Array, carry: Any) -> Any:
                state, trace, divergences = carry
                state = kernel.sample(state, (), {})
                # Warm-up overwrites the first place, which the first draw kept then takes.
                trace = trace.at[jnp.maximum(index - warmup, 0)].set(state.z)
                return state, trace, divergences + jnp.where(index >= warmup, state.diverging, False)

            empty = jnp.zeros((self.draws, *centre.shape)), jnp.zeros((), dtype=int)
            return jax.lax.fori_loop(0, warmup + self.draws, step, (state, *empty))[1:]

        return chain

    def _potential(self, position: Array, kept: Kept) -> Array:
        values, _ = self._target.values(position)
        return -(self._target.log_prior(position) + kept_log_likelihood(self.model, values, kept))

    def _information(self, position: Array, kept: Kept) -> Array:
        """Fisher information as if the rows kept were independent, minus the prior's Hessian: a rough shape will do."""
        model, family = self.model, FAMILIES[self.model.noise.family]
        total = self._target.values

        def location(position: Array) -> Array:
            return model.location(total(position)[0])

        def log_scale(position: Array) -> Array:
            values = total(position)[0]
            scale = combined_scale(model.scale(values, model.group_index), model.standard_error)
            return jnp.broadcast_to(jnp.log(scale), (len(model.response),))

        freedom = total(position)[0].get(DEGREES_OF_FREEDOM)
        weight = jnp.where(kept.rows, family.location_information(freedom) / jnp.exp(2 * log_scale(position)), 0.0)
        of_scale = jnp.where(kept.rows, family.scale_information(freedom), 0.0)
        by_location, by_scale = jax.jacfwd(location)(position), jax.jacfwd(log_scale)(position)
        likelihood = by_location.T @ (weight[:, None] * by_location) + by_scale.T @ (of_scale[:, None] * by_scale)
        return likelihood - jax.hessian(self._target.log_prior)(position)


def largest_rhat(position: np.ndarray) -> float:
    """Largest R-hat over the coordinates of draws of shape ``[chain, draw, coordinate]``; 1 for a single chain."""
    if len(position) == 1:
        return 1.0
    return float(max(rhat(position[..., index]) for index in range(position.shape[-1])))


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
