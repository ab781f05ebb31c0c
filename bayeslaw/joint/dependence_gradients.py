"""Densities of correlations and of deviations at many draws at once, in NumPy, with their gradients.

What `bayeslaw.joint.model_dependence` and `bayeslaw.joint.correlation_density` say of one draw in JAX.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayeslaw.joint.model_dependence import DEVIATION_LEVEL, DEVIATION_SLOPE, FARTHEST_QUALITY, ModelDependence
from bayeslaw.joint.positive_definite import inverse_and_log_determinant

MOST_STEPS = 80
LEVEL = 1e-9
"""Row sums are as near to one as this where scales have been found."""
ROUNDING = 1e-5
"""As near as rounding lets them come where models are much alike; the density feels the square of it."""
WITHIN_REACH = 0.2
"""Newton decrement below which whole steps are made: they converge up to a quarter (Nesterov 2004, theorem 4.1.14)."""
NEAR = 0.5
"""As near as row sums must be to one for the inverse of matrices near by to serve the first step."""
SLOW = 0.3
"""How much nearer a step must come for the same factorisation to serve the next."""
Slopes = dict[str, np.ndarray]


class Structure(NamedTuple):
    """Correlations as the structure has them at many draws, and what their slopes are made of, [draw, lm, lm]."""

    correlation: np.ndarray
    exponent: np.ndarray
    log_distance: np.ndarray
    own_share: np.ndarray


class Balanced(NamedTuple):
    """Matrices scaled to unit row sums.

    Parameters
    ----------
    scale
        The scales, ``[draw, lm]``.
    total
        Sum over the scaled matrix, [draw].
    inverse, log_determinant
        Of the scaled matrix plus the identity, [draw, lm, lm] and [draw].
    """

    scale: np.ndarray
    total: np.ndarray
    inverse: np.ndarray
    log_determinant: np.ndarray


def balance(product: np.ndarray, start: np.ndarray | None, inverse: np.ndarray | None = None) -> Balanced:
    """Scale positive definite matrices to unit row sums, by damped Newton steps.

    Parameters
    ----------
    product
        The matrices, ``[draw, lm, lm]``.
    start
        Scales to begin with, [draw, lm]; about the right size of all where None.
    inverse
        What was found with these scales for matrices near by; worked out anew where None.

    Returns
    -------
    Balanced
        The scales; not a number where none are found.
    """
    size = product.shape[1]
    even = np.sqrt(size / np.maximum(product.sum(axis=(1, 2)), np.finfo(float).tiny))[:, None] * np.ones(size)
    known = start is not None and bool(np.isfinite(start).all())
    scale = even if start is None else np.where(np.isfinite(start).all(axis=1)[:, None], start, even)
    scaled, slope, error = _scaled(product, scale)
    if inverse is None or not known or (error > NEAR).any():
        inverse, _ = inverse_and_log_determinant(scaled + np.eye(size))
    unfinished = error >= LEVEL
    for _ in range(MOST_STEPS):
        if not unfinished.any():
            break
        direction = (inverse @ slope[:, :, None])[:, :, 0]
        decrement = np.sqrt(np.maximum((slope * direction).sum(axis=1), 0.0))
        damping = np.where(decrement > WITHIN_REACH, 1 + decrement, 1.0)
        scale = np.where(unfinished[:, None], scale * (1 + direction / damping[:, None]), scale)
        before = error
        scaled, slope, error = _scaled(product, scale)
        # Below, steps that come no nearer only stir what rounding leaves.
        unfinished = unfinished & (error >= LEVEL) & ~((error < ROUNDING) & (error > before / 2))
        if (unfinished & (error > SLOW * before)).any():
            # One factorisation serves several steps, as long as these come nearer by much.
            inverse, _ = inverse_and_log_determinant(scaled + np.eye(size))
    inverse, log_determinant = inverse_and_log_determinant(scaled + np.eye(size))
    good = (error < ROUNDING) & (scale > 0).all(axis=1)
    return Balanced(np.where(good[:, None], scale, np.nan), (1 - slope).sum(axis=1), inverse, log_determinant)


def _scaled(product: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale matrices; returns them, what their row sums lack, and the most that any lacks."""
    scaled = product * scale[:, :, None] * scale[:, None, :]
    slope = 1 - scaled.sum(axis=2)
    return scaled, slope, np.abs(slope).max(axis=1)


class Families(NamedTuple):
    """Sums over models by which deviations are dense.

    The columns are the loadings of a level and of a slope by quality, and the deviations seen.

    Parameters
    ----------
    models
        Number of models of each family, ``[family]``.
    rest
        Products of the columns about their means of families, summed over models, ``[column, column]``.
    mean
        Products of the means of families, ``[family, column, column]``.
    """

    models: np.ndarray
    rest: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class CorrelationGradient:
    """The density of the correlations seen, at many draws.

    Parameters
    ----------
    dependence
        The dependence between the models seen.
    """

    dependence: ModelDependence

    @cached_property
    def seen(self) -> np.ndarray:
        """Correlations seen, [lm, lm]."""
        return np.ascontiguousarray(self.dependence.correlation, dtype=float)

    @cached_property
    def log_determinant(self) -> float:
        """Of the correlations seen."""
        return float(np.linalg.slogdet(self.seen)[1])

    @cached_property
    def quality(self) -> np.ndarray:
        """Qualities of the models, no farther out than own shares follow them, [lm]."""
        return np.clip(np.asarray(self.dependence.quality, dtype=float), -FARTHEST_QUALITY, FARTHEST_QUALITY)

    @cached_property
    def apart(self) -> np.ndarray:
        """Whether models differ in quality, as numbers, [lm, lm]."""
        quality = np.asarray(self.dependence.quality, dtype=float)
        return (quality[:, None] != quality[None, :]).astype(float)

    @cached_property
    def log_distance(self) -> np.ndarray:
        """Log of the distance in quality, zero where there is none, [lm, lm]."""
        quality = np.asarray(self.dependence.quality, dtype=float)
        distance = np.abs(quality[:, None] - quality[None, :])
        return np.log(np.where(distance > 0, distance, 1.0))

    @cached_property
    def differ(self) -> np.ndarray:
        """Whether models are of different families, as numbers, [lm, lm]."""
        family = np.asarray(self.dependence.family)
        return (family[:, None] != family[None, :]).astype(float)

    def structure(self, values: Mapping[str, np.ndarray]) -> Structure:
        """Correlations as the structure has them.

        Parameters
        ----------
        values
            Draws of the sites, each ``[draw, ...]``.

        Returns
        -------
        Structure
            The correlations, with unit diagonals.
        """
        level = values["own_level"][:, None] + values["own_slope"][:, None] * self.quality
        logit = level + values["own_spread"][:, None] * values["own_offset"]
        log_distance = self.log_distance - np.log(values["length"])[:, None, None]
        exponent = np.exp(values["roughness"][:, None, None] * log_distance) * self.apart
        root = np.sqrt(special.expit(-logit))
        kept = 1 - values["family_difference"][:, None, None] * self.differ
        correlation = np.exp(-exponent) * kept * root[:, :, None] * root[:, None, :]
        place = np.arange(correlation.shape[1])
        correlation[:, place, place] = 1.0
        return Structure(correlation, exponent, log_distance, special.expit(logit))

    def log_likelihood(
        self, values: Mapping[str, np.ndarray], hint: np.ndarray | None = None
    ) -> tuple[np.ndarray, Slopes, np.ndarray]:
        """Log density of the correlations seen, and its slope by each site.

        Parameters
        ----------
        values
            Draws of the sites, each ``[draw, ...]``.
        hint
            Scales and inverses found before, to begin the search of these with.

        Returns
        -------
        log_likelihood : np.ndarray
            Shape ``[draw]``.
        slopes : dict
            By site, each of the shape of its values.
        hint : np.ndarray
            The scales and the inverses found, ``[draw, lm + lm * lm]``.
        """
        structure = self.structure(values)
        precision, log_structure = inverse_and_log_determinant(structure.correlation)
        size = len(self.seen)
        before = None if hint is None else hint[:, size:].reshape(-1, size, size)
        balanced = balance(precision * self.seen, None if hint is None else hint[:, :size], before)
        spare = 1 / (1 / values["structure_freedom"] + 1 / self.dependence.effective_samples)
        freedom = size + 1 + spare
        profile = np.log(balanced.scale).sum(axis=1) + (size - balanced.total) / 2 - log_structure / 2
        halves = freedom[:, None] / 2 - np.arange(size) / 2
        normaliser = size * special.gammaln(freedom / 2) - special.gammaln(halves).sum(axis=1)
        normaliser -= size * (size - 1) / 4 * np.log(np.pi)
        height = normaliser + spare / 2 * self.log_determinant + freedom * profile
        height -= (balanced.log_determinant - size * np.log(2.0)) / 2
        by_freedom = 0.5 * (size * special.digamma(freedom / 2) - special.digamma(halves).sum(axis=1))
        by_freedom += 0.5 * self.log_determinant + profile
        slopes = self._by_structure(
            values, structure, self._by_log_correlation(structure, precision, balanced, freedom)
        )
        slopes["structure_freedom"] = by_freedom * (spare / values["structure_freedom"]) ** 2
        return height, slopes, np.concatenate([balanced.scale, balanced.inverse.reshape(-1, size * size)], axis=1)

    def _by_log_correlation(
        self, structure: Structure, precision: np.ndarray, balanced: Balanced, freedom: np.ndarray
    ) -> np.ndarray:
        """Slope by the log of each correlation of the structure, those of a pair in both places, [draw, lm, lm]."""
        # The scales move with the matrix so that row sums stay one; of that only the curvature feels anything.
        inverse, half = balanced.inverse, freedom[:, None, None] / 2
        leverage = (inverse @ (1 - np.diagonal(inverse, axis1=1, axis2=2))[:, :, None])[:, :, 0]
        by_product = 0.5 * (leverage[:, :, None] + leverage[:, None, :] - inverse) - half
        by_product *= balanced.scale[:, :, None] * balanced.scale[:, None, :] * self.seen
        return (-(precision @ by_product @ precision) - half * precision) * structure.correlation

    def _by_structure(self, values: Mapping[str, np.ndarray], structure: Structure, by_log: np.ndarray) -> Slopes:
        """Slopes by the sites of the structure, given those by the log of its correlations, [draw, lm, lm]."""
        place = np.arange(by_log.shape[1])
        by_log[:, place, place] = 0.0
        by_logit = -structure.own_share * by_log.sum(axis=2)
        decayed = by_log * structure.exponent
        return {
            "length": decayed.sum(axis=(1, 2)) * values["roughness"] / values["length"],
            "roughness": -(decayed * structure.log_distance).sum(axis=(1, 2)),
            "family_difference": -np.tensordot(by_log, self.differ, 2) / (1 - values["family_difference"]),
            "own_level": by_logit.sum(axis=1),
            "own_slope": by_logit @ self.quality,
            "own_spread": (by_logit * values["own_offset"]).sum(axis=1),
            "own_offset": by_logit * values["own_spread"][:, None],
        }


@dataclass(frozen=True)
class DeviationGradient:
    """The density of the latent deviations seen, at many draws.

    Parameters
    ----------
    dependence
        The dependence between the models seen.
    """

    dependence: ModelDependence

    @cached_property
    def groups(self) -> Families:
        """What the density takes from the deviations, relative to their mean, and from families and qualities."""
        log_deviation = np.asarray(self.dependence.log_deviation, dtype=float)
        quality = np.clip(np.asarray(self.dependence.quality, dtype=float), -FARTHEST_QUALITY, FARTHEST_QUALITY)
        level = np.full(len(quality), DEVIATION_LEVEL)
        columns = np.stack([level, DEVIATION_SLOPE * quality, log_deviation - log_deviation.mean()], axis=1)
        _, family, count = np.unique(np.asarray(self.dependence.family), return_inverse=True, return_counts=True)
        mean = np.zeros((len(count), columns.shape[1]))
        np.add.at(mean, family, columns)
        mean /= count[:, None]
        rest = columns - mean[family]
        return Families(count.astype(float), rest.T @ rest, mean[:, :, None] * mean[:, None, :])

    def log_likelihood(self, values: Mapping[str, np.ndarray], hint: Any = None) -> tuple[np.ndarray, Slopes, Any]:
        """Log density of the deviations seen, and its slope by each site; as `CorrelationGradient.log_likelihood`.

        Models of a family are equally correlated beside a level and a slope by quality, so that the density follows
        from sums over families, whatever the number of models (Woodbury's identity).
        """
        count, rest, mean = self.groups
        own, shared = values["deviation_spread"], values["deviation_family_spread"]
        variance, size = own**2, count.sum()
        # Of a family's mean the precision, times the number of models; of the rest it is one over the variance.
        precision = 1 / (variance[:, None] + count * shared[:, None] ** 2)
        products = np.tensordot(count * precision, mean, 1) + rest / variance[:, None, None]
        line, solved = np.eye(2) + products[:, :2, :2], products[:, :2, 2]
        determinant = line[:, 0, 0] * line[:, 1, 1] - line[:, 0, 1] ** 2
        inverse = np.stack([line[:, 1, 1], -line[:, 0, 1], -line[:, 0, 1], line[:, 0, 0]], axis=1).reshape(-1, 2, 2)
        inverse /= determinant[:, None, None]
        best = (inverse @ solved[:, :, None])[:, :, 0]
        left = len(count) - size
        log_determinant = np.log(determinant) - left * np.log(variance) - np.log(precision).sum(axis=1)
        height = -0.5 * (products[:, 2, 2] - (solved * best).sum(axis=1) + log_determinant + size * np.log(2 * np.pi))
        # Slope of the height by the products, and of these by the variances.
        away = np.concatenate([-best, np.ones((len(best), 1))], axis=1)
        by_products = -0.5 * away[:, :, None] * away[:, None, :]
        by_products[:, :2, :2] -= 0.5 * inverse
        of_means = np.tensordot(by_products, mean, ([1, 2], [1, 2])) * precision**2
        of_rest = (by_products * rest).sum(axis=(1, 2)) / variance**2
        by_own = 0.5 * (left / variance - precision.sum(axis=1)) - of_rest - of_means @ count
        by_shared = -0.5 * precision @ count - of_means @ count**2
        slopes = {"deviation_spread": 2 * own * by_own, "deviation_family_spread": 2 * shared * by_shared}
        return height, slopes, hint
