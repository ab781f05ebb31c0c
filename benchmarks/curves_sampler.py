"""Importance sampling of many small posteriors at once, exact up to a Monte Carlo error that is measured.

Proposals are mixtures of Student-t kernels around weighted draws (West 1993, Approximating posterior distributions by
mixtures), the first draws being of the prior and the likelihood entering by degrees, as far as the effective sample
size allows. The last draws have the whole likelihood; their weights are Pareto-smoothed, and the shape k of the Pareto
tail tells whether they can be trusted: below 0.7 they can (Vehtari et al. 2024, Pareto smoothed importance sampling).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from arviz_stats.base.array import BaseArray
from scipy.special import gammaln, logsumexp, softmax

KERNELS = 100
DRAWS = 2000
STAGES, REFINEMENTS = 80, 3
LEAST_EFFECTIVE = 0.1
SMALLEST_POWER, BISECTIONS = 1e-9, 15
WIDE_SHARE, WIDE_FACTOR = 0.1, 1.5
TRUSTED_K = 0.7

# From coordinates [curve, draw, coordinate] to log prior and log likelihood, each [curve, draw].
LogDensities = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Posterior:
    """Weighted draws of every curve.

    Attributes
    ----------
    position
        Free coordinates, [curve, draw, coordinate].
    weight
        Pareto-smoothed weights, which sum to one over the draws of a curve, [curve, draw].
    pareto_k
        Shape of the Pareto tail of the weights, [curve].
    log_evidence
        Log marginal likelihood of the rows of the curve, [curve].
    """

    position: np.ndarray
    weight: np.ndarray
    pareto_k: np.ndarray
    log_evidence: np.ndarray

    @property
    def effective(self) -> np.ndarray:
        """Effective number of draws, [curve]."""
        return 1 / (self.weight**2).sum(1)


@dataclass(frozen=True)
class Mixture:
    """For every curve a mixture of Student-t kernels of one shape, and one wide Student-t behind them.

    Attributes
    ----------
    centre
        [curve, kernel, coordinate].
    factor
        Cholesky factor of the scale of the kernels, [curve, coordinate, coordinate].
    middle
        Centre of the wide one, [curve, coordinate].
    widening
        How many times wider than a kernel it is.
    """

    centre: np.ndarray
    factor: np.ndarray
    middle: np.ndarray
    widening: float

    @property
    def degrees_of_freedom(self) -> int:
        """Four, or five where that makes the power of the density whole, which is much faster."""
        return 4 + self.centre.shape[-1] % 2

    def draw(self, generator: np.random.Generator, draws: int) -> np.ndarray:
        """Draw from the mixture, the wide one first, [curve, draw, coordinate]."""
        curves, kernels, size = self.centre.shape
        wide, df = round(WIDE_SHARE * draws), self.degrees_of_freedom
        chosen = generator.integers(kernels, size=(curves, draws, 1))
        centre = np.take_along_axis(self.centre, chosen, 1)
        centre[:, :wide] = self.middle[:, None]
        scale = np.sqrt(df / generator.chisquare(df, (curves, draws, 1)))
        scale[:, :wide] *= self.widening
        return centre + scale * (generator.standard_normal((curves, draws, size)) @ self.factor.swapaxes(1, 2))

    def log_density(self, position: np.ndarray) -> np.ndarray:
        """Log density of the mixture, [curve, draw]."""
        size, df = position.shape[-1], self.degrees_of_freedom
        points = self._white(position)
        with jax.enable_x64(True):
            kernels = np.asarray(_mean_kernel(points, self._white(self.centre), df))
        behind = (1 + (points**2).sum(-1) / (df * self.widening**2)) ** -((df + size) / 2) / self.widening**size
        share = round(WIDE_SHARE * position.shape[1]) / position.shape[1]
        constant = gammaln((df + size) / 2) - gammaln(df / 2) - size / 2 * np.log(np.pi * df)
        volume = np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(1)[:, None]
        return np.log((1 - share) * kernels + share * behind) + constant - volume

    def _white(self, points: np.ndarray) -> np.ndarray:
        """Coordinates in which a kernel around the middle would be round, [curve, point, coordinate]."""
        return np.linalg.solve(self.factor, (points - self.middle[:, None]).swapaxes(1, 2)).swapaxes(1, 2)


@partial(jax.jit, static_argnums=2)
def _mean_kernel(points: Any, centres: Any, degrees_of_freedom: int) -> Any:
    """Mean over kernels of (1 + square / df) ^ -((df + coordinates) / 2), [curve, draw], of whitened coordinates."""
    square = (points**2).sum(-1)[..., None] + (centres**2).sum(-1)[:, None] - 2 * points @ centres.swapaxes(1, 2)
    power = -(degrees_of_freedom + points.shape[-1]) // 2
    return jax.lax.integer_pow(1 + jnp.maximum(square, 0.0) / degrees_of_freedom, power).mean(-1)


def sample(log_densities: LogDensities, prior_draws: np.ndarray, seed: int) -> Posterior:
    """Draw from the posterior of every curve.

    Parameters
    ----------
    log_densities
        Log prior and log likelihood of coordinates.
    prior_draws
        Draws from the prior, [curve, draw, coordinate]; as many are made of every proposal.
    seed
        Seed.

    Returns
    -------
    Posterior
        The weighted draws.

    Raises
    ------
    RuntimeError
        If the likelihood has not entered wholly after `STAGES` proposals.
    """
    generator, position = np.random.default_rng(seed), prior_draws
    prior, likelihood = log_densities(position)
    proposal, power, refined = prior, np.zeros(len(position)), 0
    for _ in range(STAGES):
        power = _power(prior - proposal, likelihood, power)
        refined = refined + 1 if (power == 1).all() else 0
        mixture = _mixture(generator, position, _truncated(prior - proposal + power[:, None] * likelihood))
        position = mixture.draw(generator, position.shape[1])
        prior, likelihood = log_densities(position)
        proposal = mixture.log_density(position)
        if refined > REFINEMENTS:
            return _posterior(position, prior + likelihood - proposal)
    raise RuntimeError(f"the likelihood has entered with a power of {power.min():.3g} only after {STAGES} proposals")


def _truncated(logarithm: np.ndarray) -> np.ndarray:
    """Normalise weights, none above the square root of their number times their mean (Ionides 2008)."""
    weight = np.minimum(softmax(logarithm, axis=1), logarithm.shape[1] ** -0.5)
    return weight / weight.sum(1, keepdims=True)


def _power(base: np.ndarray, likelihood: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """Find the largest power from the one reached to one that leaves an effective share of draws, [curve]."""

    def enough(power: np.ndarray) -> np.ndarray:
        effective = 1 / (softmax(base + power[:, None] * likelihood, axis=1) ** 2).sum(1)
        return effective >= LEAST_EFFECTIVE * base.shape[1]

    one = np.ones(len(base))
    # By bisection on a log scale: the first power of a precise curve is of the order of 1e-6.
    low, high = np.log(np.maximum(reached, SMALLEST_POWER)), np.zeros_like(one)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        good = enough(np.exp(middle))
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(enough(one), 1.0, np.exp(low))


def _mixture(generator: np.random.Generator, position: np.ndarray, weight: np.ndarray) -> Mixture:
    """Build a kernel mixture with the mean and covariance of weighted draws."""
    curves, _, size = position.shape
    mean = np.einsum("cd,cdi->ci", weight, position)
    offset = position - mean[:, None]
    covariance = np.einsum("cd,cdi,cdj->cij", weight, offset, offset) + 1e-12 * np.eye(size)
    bandwidth = (4 / (KERNELS * (size + 2))) ** (1 / (size + 4))
    points = (generator.random((curves, 1)) + np.arange(KERNELS)) / KERNELS
    chosen = np.stack([np.searchsorted(np.cumsum(row), at) for row, at in zip(weight, points, strict=True)])
    kept = np.take_along_axis(offset, np.minimum(chosen, position.shape[1] - 1)[..., None], 1)
    # Kernels around the draws themselves would be wider than the posterior.
    centre = mean[:, None] + np.sqrt(1 - bandwidth**2) * kept
    return Mixture(centre, bandwidth * np.linalg.cholesky(covariance), mean, WIDE_FACTOR / bandwidth)


def _posterior(position: np.ndarray, logarithm: np.ndarray) -> Posterior:
    # It takes the negative of log weights.
    smoothed, pareto_k = BaseArray().psislw(-logarithm)
    evidence = logsumexp(logarithm, axis=1) - np.log(logarithm.shape[1])
    return Posterior(position, softmax(np.asarray(smoothed), axis=1), np.asarray(pareto_k), evidence)
