"""One compiled posterior for all simulated tables: the response is an argument."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer import NUTS
from numpyro.infer.util import log_density
from scipy import optimize

from bayeslaw.model import LawModel
from bayeslaw.sampling.coordinates import Coordinates
from bayeslaw.sampling.mode import SMALLEST_CURVATURE

LONGEST_SEARCH = 500
STEEPEST_MODE = 1.0
POWERS = (1e-6, 1e-4, 1e-2)
# The width of a direction that the curvature hardly limits is a guess, so chains start near the mode.
START_SPREAD = 0.3


@dataclass(frozen=True)
class ResponsePosterior:
    """The posterior of a model as a function of position and response.

    Likelihood and prior are those of the model's own NumPyro program, conditioned on a response, so whatever
    dependence its rows have is the one that is simulated and fitted; the coordinates are those that `bayeslaw.fit`
    samples in. Use under float64; compiled once.

    Parameters
    ----------
    model
        A model whose priors are all given, not scaled to its data.
    warmup, draws
        Steps adapted on, and kept.
    """

    model: LawModel
    warmup: int
    draws: int

    def __post_init__(self) -> None:
        # Known before anything is traced, since arrays made while tracing do not outlive it.
        _ = self._unravel, self.shapes

    @cached_property
    def coordinates(self) -> Coordinates:
        """The coordinates of the model."""
        return Coordinates(self.model)

    @cached_property
    def _unravel(self) -> Any:
        return ravel_pytree(self.coordinates.start())[1]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the value of every site."""
        values = jax.eval_shape(self.values, self.start(self.model))[0]
        return {name: leaf.shape for name, leaf in values.items()}

    def values(self, position: Array) -> tuple[dict[str, Array], Array]:
        """Value of every site, and the map's log determinant, at a flat position."""
        return self.coordinates.values(self._unravel(position))

    def log_likelihood(self, values: Mapping[str, Any], response: Array) -> Array:
        """Joint log density of all rows given the value of every site, scalar."""
        conditioned = handlers.condition(
            partial(self.model, observed=False), data={self.model.noise.response: response}
        )
        trace = handlers.trace(
            handlers.substitute(handlers.seed(conditioned, jax.random.PRNGKey(0)), dict(values))
        ).get_trace()
        row = trace[self.model.noise.response]
        return jnp.sum(row["fn"].log_prob(row["value"]))

    def potential(self, position: Array, response: Array, power: Any = 1.0) -> Array:
        """Minus the log posterior density of a flat position, up to a constant, the likelihood raised to a power."""
        values, log_determinant = self.values(position)
        log_prior = log_density(self.model.prior_model, (), {}, values)[0]
        return -(log_prior + power * self.log_likelihood(values, response) + log_determinant)

    def start(self, model: LawModel) -> np.ndarray:
        """Flat position near the data of a model that differs from this one in its response only."""
        return np.asarray(ravel_pytree(Coordinates(model).start())[0])

    @cached_property
    def _value_and_gradient(self) -> Any:
        return jax.jit(jax.value_and_grad(self.potential))

    @cached_property
    def _hessian(self) -> Any:
        return jax.jit(jax.hessian(self.potential))

    @cached_property
    def _draw(self) -> Any:
        return jax.jit(self._run)

    @cached_property
    def _quantities(self) -> Any:
        def quantities(positions: Array, response: Array) -> dict[str, Array]:
            def at(position: Array) -> dict[str, Array]:
                values = self.values(position)[0]
                return values | {"log_likelihood": self.log_likelihood(values, response)}

            # One by one: batches of triangular systems wait for each other where several threads solve them.
            return jax.lax.map(at, positions)

        return jax.jit(quantities)

    def mode(self, start: np.ndarray, response: np.ndarray) -> np.ndarray | None:
        """Find the mode from a flat position; None where the search ends on a slope.

        Where it does so at first, as from a start that fits the data badly, the likelihood is brought in by degrees.
        """

        def search(start: np.ndarray, power: float) -> optimize.OptimizeResult:
            def value_and_gradient(position: np.ndarray) -> tuple[float, np.ndarray]:
                value, gradient = map(np.asarray, self._value_and_gradient(position, response, power))
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
        return found.x if _flat(found) else None

    def factor(self, mode: np.ndarray, response: np.ndarray) -> np.ndarray:
        """Factor the covariance that the curvature at the mode tells; see `bayeslaw.sampling.mode.preconditioner`."""
        curvature = np.asarray(self._hessian(mode, response))
        if not np.isfinite(curvature).all():
            return np.eye(len(mode))
        eigenvalues, vectors = np.linalg.eigh(curvature)
        return vectors / np.sqrt(np.maximum(eigenvalues, SMALLEST_CURVATURE))

    def sample(
        self, mode: np.ndarray, factor: np.ndarray, response: np.ndarray, *, target_accept: float, seed: int
    ) -> tuple[dict[str, np.ndarray], int]:
        """Draw from the posterior with NUTS.

        Parameters
        ----------
        mode, factor
            The sampler moves in ``z`` with ``position = mode + factor z``, and starts with ``z`` near zero.
        response
            Shape ``[row]``.
        target_accept
            Target acceptance probability.
        seed
            Seed.

        Returns
        -------
        draws : dict
            Draws of every site and of ``log_likelihood``, each of shape ``[draw, ...]``.
        divergences : int
            Number of divergent trajectories.
        """
        z, diverging = self._draw(mode, factor, response, target_accept, jax.random.PRNGKey(seed))
        drawn = self._quantities(mode + np.asarray(z) @ factor.T, response)
        return {name: np.asarray(array) for name, array in drawn.items()}, int(np.asarray(diverging).sum())

    def _run(self, mode: Array, factor: Array, response: Array, target_accept: Any, key: Array) -> tuple[Array, Array]:
        kernel = NUTS(
            potential_fn=lambda z: self.potential(mode + factor @ z, response),
            target_accept_prob=target_accept,
            dense_mass=True,
        )
        place, walk = jax.random.split(key)
        state = kernel.init(walk, self.warmup, START_SPREAD * jax.random.normal(place, mode.shape), (), {})

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
