"""Posteriors given some of the rows, sampled by one program that is told which."""

import os
from collections.abc import Callable
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

from bayeslaw.sampling.compiled import compile_for
from bayeslaw.sampling.mode import covariance_factor

RHAT_ACCEPTED = 1.02


@dataclass(frozen=True)
class Resampled:
    """Draws of one posterior.

    Parameters
    ----------
    position
        Flat positions, chains joined, shape ``[draw, coordinate]``.
    rhat
        Largest R-hat over the coordinates; 1 for a single chain.
    divergences
        Number of divergences.
    """

    position: np.ndarray
    rhat: float
    divergences: int


@dataclass(frozen=True)
class Resampler:
    """Samples posteriors that differ by an argument, compiled once for all of them.

    Parameters
    ----------
    potential
        From a flat position and the argument to minus the log density.
    curvature
        From the same to a rough Hessian of it, to start the adaptation from.
    mode
        Flat position near the modes of all of them, shape ``[coordinate]``.
    example
        One such argument, arrays in any container; the others have the same shapes.
    draws, chains
        Draws kept per chain, and number of chains.
    attempts
        Draws of adaptation and target acceptance probability of each attempt.
    """

    potential: Callable[[Array, Any], Array]
    curvature: Callable[[Array, Any], Array]
    mode: np.ndarray
    example: Any
    draws: int
    chains: int
    attempts: tuple[tuple[int, float], ...]

    @cached_property
    def _curvature(self) -> Callable[..., Any]:
        return compile_for(self.curvature, jnp.asarray(self.mode), self.example)

    @cached_property
    def _programs(self) -> dict[tuple[int, float], Callable[..., Any]]:
        return {}

    def sample(self, given: Any, *, seed: int) -> Resampled:
        """Sample one posterior; call under float64.

        Parameters
        ----------
        given
            The argument.
        seed
            Seed.

        Returns
        -------
        Resampled
            Draws; of the attempt with the fewest divergences and the smallest R-hat where none was good.
        """
        factor = covariance_factor(np.asarray(self._curvature(jnp.asarray(self.mode), given)))
        best: tuple[tuple[int, float], np.ndarray] | None = None
        for attempt in self.attempts:
            position, divergences = self._attempt(attempt, given, factor, seed)
            quality = divergences, largest_rhat(position)
            if best is None or quality < best[0]:
                best = quality, position
            if divergences == 0 and not quality[1] > RHAT_ACCEPTED:
                break
        assert best is not None
        return Resampled(best[1].reshape(-1, best[1].shape[-1]), best[0][1], best[0][0])

    def _attempt(self, attempt: tuple[int, float], given: Any, factor: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
        keys = jax.random.split(jax.random.PRNGKey(seed), self.chains)
        centre, transform = jnp.asarray(self.mode), jnp.asarray(factor)
        if attempt not in self._programs:
            self._programs[attempt] = compile_for(self._chain(*attempt), given, centre, transform, keys[0])
        program = self._programs[attempt]

        def run(key: Array) -> tuple[np.ndarray, int]:
            # The switch to float64 is local to a thread.
            with jax.enable_x64(True):
                z, divergences = program(given, centre, transform, key)
                return np.asarray(z), int(divergences)

        cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
        with ThreadPoolExecutor(max_workers=min(self.chains, cores)) as pool:
            z, divergences = zip(*pool.map(run, keys), strict=True)
        return self.mode + np.stack(z) @ factor.T, sum(divergences)

    def _chain(self, warmup: int, target_accept: float) -> Callable[..., Any]:
        """Write one chain as a function of the argument."""

        def chain(given: Any, centre: Array, transform: Array, key: Array) -> tuple[Array, Array]:
            kernel = NUTS(
                potential_fn=lambda z: self.potential(centre + transform @ z, given),
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


def largest_rhat(position: np.ndarray) -> float:
    """Largest R-hat over the coordinates of draws of shape ``[chain, draw, coordinate]``; 1 for a single chain."""
    if len(position) == 1:
        return 1.0
    return float(max(rhat(position[..., index]) for index in range(position.shape[-1])))
