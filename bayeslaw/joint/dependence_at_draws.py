r"""The dependence between models at many draws at once, in NumPy, and what it says of models not seen.

The formulae of `bayeslaw.joint.model_dependence`, which has the density that is sampled and to which tests hold these;
see `bayeslaw.joint.curve_at_draws` for why they are written twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from bayeslaw.joint.model_dependence import (
    DEVIATION_LEVEL,
    DEVIATION_SLOPE,
    FARTHEST_QUALITY,
    SMALLEST_EIGENVALUE,
    ModelDependence,
)
from bayeslaw.joint.normal_at_draws import factor_of

Described = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Quality, family and own share of models, [lm] or [draw, lm]."""


@dataclass(frozen=True)
class DependenceAtDraws:
    """The dependence between models, at many draws.

    Parameters
    ----------
    dependence
        The dependence between the models seen, of arrays of NumPy.
    values
        Draws of the sites of the dependence, each [draw, ...].
    """

    dependence: ModelDependence
    values: Mapping[str, np.ndarray]

    def _matrix(self, name: str) -> np.ndarray:
        return self.values[name][:, None, None]

    def own_share(self, quality: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Share of a model's latent variance that no other model has, of qualities and offsets, [draw, lm]."""
        level, slope, spread = (self.values[name][:, None] for name in ("own_level", "own_slope", "own_spread"))
        return expit(level + slope * _near(quality) + spread * offset)

    @cached_property
    def seen_own_share(self) -> np.ndarray:
        """Own share of the models seen, [draw, lm]."""
        return self.own_share(self.dependence.quality, self.values["own_offset"])

    @property
    def _seen(self) -> Described:
        return self.dependence.quality, self.dependence.family, self.seen_own_share

    def kernel(self, one: Described, other: Described) -> np.ndarray:
        """Correlation of latent losses between different models, [draw, a, b]."""
        (quality, family, unshared), (quality_other, family_other, own_other) = one, other
        distance = np.abs(quality[..., :, None] - quality_other[..., None, :]) / self._matrix("length")
        shares = np.sqrt((1 - unshared)[..., :, None] * (1 - own_other)[..., None, :])
        differ = family[:, None] != family_other[None, :]
        return (
            shares
            * np.exp(-(distance ** self._matrix("roughness")))
            * np.where(differ, 1 - self._matrix("family_difference"), 1.0)
        )

    @cached_property
    def structure(self) -> np.ndarray:
        """Correlation matrix of the models seen as the structure has it, [draw, lm, lm]."""
        return _with_unit_diagonal(self.kernel(self._seen, self._seen))

    @cached_property
    def seen_correlation(self) -> np.ndarray:
        r"""Correlations of the latent losses of the models seen on the samples seen, [draw, lm, lm].

        Where the losses tell the latent ones these are known. Correlations estimated from scores are off by what the
        thresholds hide: with :math:`n` samples worth :math:`n_e` of latent losses seen, by a variance in proportion to
        :math:`1 / n_e - 1 / n`. The structure is off by :math:`1 / \nu + 1 / n`, and what is expected lies between.
        """
        hidden = (1 - self.dependence.worth) / self.dependence.effective_samples
        weight = hidden / (1 / self.dependence.effective_samples + 1 / self._matrix("structure_freedom"))
        return self.dependence.correlation + weight * (self.structure - self.dependence.correlation)

    @property
    def _deviation_offset(self) -> np.ndarray:
        logs = np.asarray(self.dependence.log_deviation)
        return logs - logs.mean()

    @cached_property
    def _deviations(self) -> np.ndarray:
        """Covariance of the log latent deviations of the models seen, [draw, lm, lm]."""
        quality, family = self.dependence.quality, self.dependence.family
        return self._deviation_covariance(quality, family, quality, family) + self._own_deviation(len(quality))

    def _own_deviation(self, count: int) -> np.ndarray:
        return self._matrix("deviation_spread") ** 2 * np.eye(count)

    def _deviation_covariance(
        self, quality: np.ndarray, family: np.ndarray, other: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        same = family[:, None] == others[None, :]
        product = _near(quality)[..., :, None] * _near(other)[..., None, :]
        return DEVIATION_LEVEL**2 + DEVIATION_SLOPE**2 * product + same * self._matrix("deviation_family_spread") ** 2

    def draw_deviation(self, quality: np.ndarray, family: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Draw the latent standard deviation of new models given those seen, [draw, new].

        Parameters
        ----------
        quality, family
            Quality, [draw, new], and family, [new], of the new models.
        noise
            Standard normal numbers, [draw, new].
        """
        dependence = self.dependence
        cross = self._deviation_covariance(quality, family, dependence.quality, dependence.family)
        within = self._deviation_covariance(quality, family, quality, family) + self._own_deviation(len(family))
        gain = np.linalg.solve(self._deviations, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
        factor = factor_of(within - gain @ cross.transpose(0, 2, 1))
        mean = np.mean(dependence.log_deviation) + gain @ self._deviation_offset
        return np.exp(mean + (factor @ noise[:, :, None])[:, :, 0])

    def conditional(self, quality: np.ndarray, family: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distribution of the standardised latent losses of new models given those of the models seen.

        Parameters
        ----------
        quality, family, offset
            Quality, [draw, new], family, [new], and standard normal deviation of the own share, [draw, new], of each
            new model.

        Returns
        -------
        weights : np.ndarray
            Kriging weights, [draw, new, lm].
        factor : np.ndarray
            Factor of the covariance of what the models seen do not tell, [draw, new, new].
        """
        new = (quality, family, self.own_share(quality, offset))
        cross = self.kernel(new, self._seen)
        within = _with_unit_diagonal(self.kernel(new, new))
        weights = np.linalg.solve(self.structure, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
        eigenvalues, vectors = np.linalg.eigh(within - weights @ cross.transpose(0, 2, 1))
        return weights, vectors * np.sqrt(np.maximum(eigenvalues, SMALLEST_EIGENVALUE))[:, None, :]

    def scattered(
        self, weights: np.ndarray, factor: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Draw how the correlations of new models scatter around the structure, given those of the models seen.

        Of a Wishart matrix with :math:`\nu` degrees of freedom the regression of new on seen variables is normal around
        that of its mean, with covariance :math:`W_{11}^{-1} \otimes \Sigma_{22.1}`, and what they leave is Wishart with
        :math:`\nu` minus as many degrees of freedom as variables were seen (Muirhead 1982, theorem 3.2.10).

        Parameters
        ----------
        weights, factor
            As `conditional` returns them.
        generator
            Source of randomness.

        Returns
        -------
        weights, factor : np.ndarray
            Of the same meaning and shapes.
        """
        draws, new, count = weights.shape
        prior_freedom = 1 + self._matrix("structure_freedom")
        root = np.linalg.cholesky(self.seen_correlation)
        off = np.linalg.solve(root.transpose(0, 2, 1), generator.standard_normal((draws, count, new)))
        weights = weights + factor @ off.transpose(0, 2, 1) / np.sqrt(count + prior_freedom)
        # Freedom enough for as many models.
        freedom = np.maximum(prior_freedom, new)
        left = factor @ bartlett_factor(freedom[:, :, 0] - np.arange(new), generator)
        return weights, left * np.sqrt(prior_freedom / freedom / (count + prior_freedom))


def bartlett_factor(freedom: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw the lower triangular factor of standard Wishart matrices (Bartlett 1933).

    Parameters
    ----------
    freedom
        Degrees of freedom of the square of each entry of the diagonal, [draw, a].
    generator
        Source of randomness.

    Returns
    -------
    np.ndarray
        [draw, a, a].
    """
    draws, count = freedom.shape
    factor = np.tril(generator.standard_normal((draws, count, count)), -1)
    place = np.arange(count)
    factor[:, place, place] = np.sqrt(2 * generator.standard_gamma(freedom / 2))
    return factor


def symmetric_root(factor: np.ndarray) -> np.ndarray:
    """Turn eigenvectors times roots of eigenvalues, [..., a, a], to the root that is smooth in the covariance."""
    return factor @ (factor / np.linalg.norm(factor, axis=-2, keepdims=True)).swapaxes(-1, -2)


def _near(quality: np.ndarray) -> np.ndarray:
    return np.clip(quality, -FARTHEST_QUALITY, FARTHEST_QUALITY)


def _with_unit_diagonal(matrices: np.ndarray) -> np.ndarray:
    place = np.arange(matrices.shape[-1])
    matrices[:, place, place] = 1.0
    return matrices
