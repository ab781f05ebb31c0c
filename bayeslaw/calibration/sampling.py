"""One compiled posterior for all simulated tables: the table is an argument."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.infer import NUTS
from scipy import optimize

from bayeslaw.sampling.compiled import hessian_one_by_one
from bayeslaw.sampling.mode import covariance_factor, scattered_starts

LONGEST_SEARCH = 500
STEEPEST_MODE = 1.0
POWERS = (1e-6, 1e-4, 1e-2)
# The width of a direction that the curvature hardly limits is a guess, so chains start near the mode.
CHAIN_SPREAD = 0.3


@dataclass(frozen=True, kw_only=True)
class TablePosterior(ABC):
    """A posterior as a function of a flat position and a table. Use under float64; compiled once.

    Parameters
    ----------
    warmup, draws
        Steps adapted on, and kept.
    """

    warmup: int
    draws: int

    @abstractmethod
    def values(self, position: Array) -> tuple[dict[str, Array], Array]:
        """Value of every site, and the map's log determinant, at a flat position."""

    @abstractmethod
    def log_prior(self, values: Mapping[str, Any]) -> Array:
        """Log prior density of the value of every site, scalar."""

    @abstractmethod
    def log_likelihood(self, values: Mapping[str, Any], table: Any) -> Array:
        """Log density of the table given the value of every site, scalar."""

    def quantities(self, values: Mapping[str, Any], table: Any, key: Array) -> dict[str, Array]:
        """Everything that is ranked, at one draw; the key is for what the density integrates out."""
        del key
        return {**values, "log_likelihood": self.log_likelihood(values, table)}

    def potential(self, position: Array, table: Any, power: Any = 1.0) -> Array:
        """Minus the log posterior density of a flat position, up to a constant, the likelihood raised to a power."""
        values, log_determinant = self.values(position)
        return -(self.log_prior(values) + power * self.log_likelihood(values, table) + log_determinant)

    @cached_property
    def _value_and_gradient(self) -> Any:
        return jax.jit(jax.value_and_grad(self.potential))

    @cached_property
    def _hessian(self) -> Any:
        return jax.jit(hessian_one_by_one(self.potential))

    @cached_property
    def _draw(self) -> Any:
        return jax.jit(self._run)

    @cached_property
    def _quantities(self) -> Any:
        def quantities(positions: Array, table: Any, key: Array) -> dict[str, Array]:
            def at(one: tuple[Array, Array]) -> dict[str, Array]:
                return self.quantities(self.values(one[0])[0], table, one[1])

            # One by one: batches of triangular systems wait for each other where several threads solve them.
            return jax.lax.map(at, (positions, jax.random.split(key, len(positions))))

        return jax.jit(quantities)

    def mode(self, start: np.ndarray, table: Any, *, starts: int = 1) -> np.ndarray | None:
        """Find the highest of the modes reached from a flat position and from others scattered around it.

        Parameters
        ----------
        start
            The first position.
        table
            The table.
        starts
            How many positions.

        Returns
        -------
        np.ndarray or None
            The mode; None where every search ends on a slope.
        """
        ends = [self._nearest_mode(position, table) for position in scattered_starts(start, starts, seed=0)]
        modes = [end for end in ends if end is not None]
        return min(modes, key=lambda end: end.fun).x if modes else None

    def _nearest_mode(self, start: np.ndarray, table: Any) -> optimize.OptimizeResult | None:
        """Find the mode from one position; None where the search ends on a slope.

        Where it does so at first, as from a start that fits the data badly, the likelihood is brought in by degrees.
        """

        def search(start: np.ndarray, power: float) -> optimize.OptimizeResult:
            def value_and_gradient(position: np.ndarray) -> tuple[float, np.ndarray]:
                value, gradient = map(np.asarray, self._value_and_gradient(position, table, power))
                finite = np.isfinite(value) and np.isfinite(gradient).all()
                return (float(value), gradient) if finite else (1e300, np.zeros_like(position))

            options = {"maxiter": LONGEST_SEARCH}
            return optimize.minimize(value_and_gradient, start, jac=True, method="BFGS", options=options)

        found = search(start, 1.0)
        if not _flat(found):
            position = start
            for power in POWERS:
                position = search(position, power).x
            found = search(position, 1.0)
        return found if _flat(found) else None

    def factor(self, mode: np.ndarray, table: Any) -> np.ndarray:
        """Factor the covariance that the curvature at the mode tells; see `sampling.mode.covariance_factor`."""
        curvature = np.asarray(self._hessian(mode, table))
        if not np.isfinite(curvature).all():
            return np.eye(len(mode))
        return covariance_factor(curvature)

    def sample(
        self, mode: np.ndarray, factor: np.ndarray, table: Any, *, target_accept: float, seed: int
    ) -> tuple[dict[str, np.ndarray], int]:
        """Draw from the posterior with NUTS.

        Parameters
        ----------
        mode, factor
            The sampler moves in ``z`` with ``position = mode + factor z``, and starts with ``z`` near zero.
        table
            The table.
        target_accept
            Target acceptance probability.
        seed
            Seed.

        Returns
        -------
        draws : dict
            Draws of everything that is ranked, each of shape ``[draw, ...]``.
        divergences : int
            Number of divergent trajectories.
        """
        z, diverging = self._draw(mode, factor, table, target_accept, jax.random.PRNGKey(seed))
        drawn = self._quantities(mode + np.asarray(z) @ factor.T, table, jax.random.PRNGKey(seed + 1))
        return {name: np.asarray(array) for name, array in drawn.items()}, int(np.asarray(diverging).sum())

    def _run(self, mode: Array, factor: Array, table: Any, target_accept: Any, key: Array) -> tuple[Array, Array]:
        kernel = NUTS(
            potential_fn=lambda z: self.potential(mode + factor @ z, table),
            target_accept_prob=target_accept,
            dense_mass=True,
        )
        place, walk = jax.random.split(key)
        state = kernel.init(walk, self.warmup, CHAIN_SPREAD * jax.random.normal(place, mode.shape), (), {})

        def step(index: Array, carry: tuple[Any, Array, Array]) -> tuple[Any, Array, Array]:
            state, z, diverging = carry
            state = kernel.sample(state, (), {})
            # Steps of the warm-up all write to the first place, which the first draw kept then takes.
            slot = jnp.maximum(index - self.warmup, 0)
            return state, z.at[slot].set(state.z), diverging.at[slot].set(state.diverging)

        empty = jnp.zeros((self.draws, *mode.shape)), jnp.zeros(self.draws, dtype=bool)
        return jax.lax.fori_loop(0, self.warmup + self.draws, step, (state, *empty))[1:]


def _flat(found: optimize.OptimizeResult) -> bool:
    """Whether a search ended where the density has hardly a slope, not where it could not go on."""
    return found.fun < 1e300 and bool(np.abs(found.jac).max() < STEEPEST_MODE)
