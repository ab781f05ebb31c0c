"""The curve at many draws at once, with its gradient, in NumPy: `bayeslaw.joint.curve.Curve` has one draw in JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayeslaw.joint.curve import (
    DRIFT_LENGTH,
    JITTER,
    LEVEL_DEVIATION,
    LEVEL_SHARE,
    Curve,
)
from bayeslaw.joint.positive_definite import inverse_and_log_determinant

ROOT_TWO_PI = np.sqrt(2 * np.pi)
FARTHEST = 1e-15
JUST_BELOW = 1 - 1e-9


class Floors(NamedTuple):
    """Floors of families at many draws, and what their slopes are made of.

    Parameters
    ----------
    floor
        In the reported unit, ``[draw, family]``.
    log_weight
        Log probability that all floors lie below the losses, ``[draw]``.
    spread, bound, quantile
        Standard deviation of log floors, [draw]; where the lowest loss and the floor lie in it, [draw, family].
    moves
        Where the floor follows its place: not held at a bound, [draw, family].
    """

    floor: np.ndarray
    log_weight: np.ndarray
    spread: np.ndarray
    bound: np.ndarray
    quantile: np.ndarray
    moves: np.ndarray


@dataclass(frozen=True)
class CurveGradient:
    """The curve of the models seen, at many draws.

    Parameters
    ----------
    curve
        The curve.
    kept
        Which of its models are seen, [lm]; all where None. Those that are not have losses too high to bound any floor.
    """

    curve: Curve
    kept: np.ndarray | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """Numbers of the models seen."""
        return np.arange(len(self.curve.loss)) if self.kept is None else np.flatnonzero(self.kept)

    @cached_property
    def loss(self) -> np.ndarray:
        """Mean losses seen, [lm]."""
        return np.asarray(self.curve.loss, dtype=float)[self.rows]

    @cached_property
    def log_size(self) -> np.ndarray:
        """Log size of the models seen, [lm]."""
        return np.asarray(self.curve.models.log_size, dtype=float)[self.rows]

    @cached_property
    def family(self) -> np.ndarray:
        """Number of the family of each model, [lm]."""
        return np.asarray(self.curve.models.family)[self.rows]

    @cached_property
    def member(self) -> np.ndarray:
        """Whether a model is of a family, as numbers, [lm, family]."""
        return (self.family[:, None] == np.arange(self.curve.families)).astype(float)

    @cached_property
    def lowest_of_family(self) -> np.ndarray:
        """Lowest loss of each family, [family]."""
        loss, family = np.asarray(self.curve.loss, dtype=float), np.asarray(self.curve.models.family)
        return np.array([loss[family == number].min() for number in range(self.curve.families)])

    @cached_property
    def same(self) -> np.ndarray:
        """Whether models are of one family, as numbers, [lm, lm]."""
        return self.member @ self.member.T

    @cached_property
    def product(self) -> np.ndarray:
        """Products of log sizes, [lm, lm]."""
        return self.log_size[:, None] * self.log_size[None, :]

    @cached_property
    def drift(self) -> np.ndarray:
        """What the square of ``exponent_drift`` multiplies in the covariance, [lm, lm]."""
        x, y = self.log_size[:, None], self.log_size[None, :]
        return (excursion(x) + excursion(y) - excursion(x - y)) * (0.5 + 0.5 * self.same)

    @cached_property
    def population(self) -> np.ndarray:
        """Covariance of what all families share, [lm, lm]."""
        deviation = float(self.curve.exponent[1])
        return LEVEL_DEVIATION**2 + deviation**2 * self.product

    @cached_property
    def level(self) -> float:
        """Prior mean of the log of the loss above the floor at the reference size."""
        return float(np.log(LEVEL_SHARE * self.loss.min()))

    @cached_property
    def mean(self) -> np.ndarray:
        """Prior mean of the log of the loss above the floor, [lm]."""
        return self.level - float(self.curve.exponent[0]) * self.log_size

    def floors(self, values: Mapping[str, np.ndarray]) -> Floors:
        """Map offsets to floors, as `bayeslaw.joint.curve.Curve.floors`.

        Parameters
        ----------
        values
            Draws of the sites, each ``[draw, ...]``.

        Returns
        -------
        Floors
            The floors.
        """
        centre = np.log(values["floor_share"] * self.loss.min())[:, None]
        spread = self.curve.floor_deviation(values)
        bound = (np.log(self.lowest_of_family) - centre) / spread[:, None]
        place = special.ndtr(values["floor_offset"]) * special.ndtr(bound)
        held = np.clip(place, FARTHEST, 1 - FARTHEST)
        quantile = special.ndtri(held)
        floor, highest = np.exp(centre + spread[:, None] * quantile), self.lowest_of_family * JUST_BELOW
        weight = special.log_ndtr(bound).sum(axis=1)
        return Floors(np.minimum(floor, highest), weight, spread, bound, quantile, (floor < highest) & (place == held))

    def new_floor(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Floors of families of which no loss is seen, ``[draw, family]``; offsets are standard normal."""
        spread = self.curve.floor_deviation(values)
        return values["floor_share"][:, None] * self.loss.min() * np.exp(spread[:, None] * values["floor_offset"])

    def latent_covariance(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Covariance of the log loss above the floor, without the models' own parts, ``[draw, lm, lm]``."""
        square = {name: values[name][:, None, None] ** 2 for name in ("exponent_spread", "exponent_drift")}
        level = values["amplitude_spread"][:, None] ** 2 * values["family_scale"]
        covariance = self.population + square["exponent_drift"] * self.drift
        covariance += self.same * (level[:, self.family][:, :, None] + square["exponent_spread"] * self.product)
        return covariance

    def covariance(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Covariance of the log loss above the floor of the models seen, ``[draw, lm, lm]``."""
        covariance, place = self.latent_covariance(values), np.arange(len(self.loss))
        covariance[:, place, place] += (values["model_spread"] ** 2 + JITTER)[:, None]
        return covariance

    def log_likelihood(
        self, values: Mapping[str, np.ndarray], hint: Any = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray], Any]:
        """Log density of the mean losses, and its slope by each site.

        Parameters
        ----------
        values
            Draws of the sites, each ``[draw, ...]``.
        hint
            Handed through.

        Returns
        -------
        log_likelihood : np.ndarray
            Shape ``[draw]``.
        slopes : dict
            By site, each of the shape of its values.
        hint
            As given.
        """
        floors = self.floors(values)
        above = np.log(self.loss - floors.floor[:, self.family])
        inverse, log_determinant = inverse_and_log_determinant(self.covariance(values))
        away = above - self.mean
        solved = (inverse @ away[:, :, None])[:, :, 0]
        height = -0.5 * ((away * solved).sum(axis=1) + log_determinant) - len(self.loss) * np.log(ROOT_TWO_PI)
        by_covariance = 0.5 * (solved[:, :, None] * solved[:, None, :] - inverse)
        slopes = self._by_scales(values, by_covariance)
        slopes |= self._by_floors(values, floors, (1 + solved) / np.exp(above))
        return height - above.sum(axis=1) + floors.log_weight, slopes, hint

    def _by_scales(self, values: Mapping[str, np.ndarray], by_covariance: np.ndarray) -> dict[str, np.ndarray]:
        """Slopes by the scales, given those by the covariance, [draw, lm, lm]."""
        level = np.matmul(self.member.T, by_covariance @ self.member)
        by_level = np.diagonal(level, axis1=1, axis2=2)
        trace = np.trace(by_covariance, axis1=1, axis2=2)
        exponent = np.tensordot(by_covariance, self.same * self.product, 2)
        drift = np.tensordot(by_covariance, self.drift, 2)
        amplitude = (by_level * values["family_scale"]).sum(axis=1)
        return {
            "amplitude_spread": 2 * values["amplitude_spread"] * amplitude,
            "family_scale": values["amplitude_spread"][:, None] ** 2 * by_level,
            "exponent_spread": 2 * values["exponent_spread"] * exponent,
            "exponent_drift": 2 * values["exponent_drift"] * drift,
            "model_spread": 2 * values["model_spread"] * trace,
        }

    def _by_floors(
        self, values: Mapping[str, np.ndarray], floors: Floors, by_floor: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Slopes by what gives the floors, given those by the floor of each model, [draw, lm]."""
        share, offset = values["floor_share"], values["floor_offset"]
        by_log = by_floor @ self.member * floors.floor
        # A floor that is held at its bound does not move with anything.
        by_log = np.where(floors.floor < self.lowest_of_family * JUST_BELOW, by_log, 0.0)
        by_place = np.where(floors.moves, by_log * floors.spread[:, None] / _bell(floors.quantile), 0.0)
        by_bound = by_place * special.ndtr(offset) * _bell(floors.bound)
        by_bound = by_bound + np.exp(-0.5 * floors.bound**2 - special.log_ndtr(floors.bound)) / ROOT_TWO_PI
        by_centre = by_log.sum(axis=1) - (by_bound / floors.spread[:, None]).sum(axis=1)
        by_spread = (by_log * floors.quantile).sum(axis=1) - (by_bound * floors.bound).sum(axis=1) / floors.spread
        shrinkage = values.get("floor_shrinkage", np.ones(1))
        slopes = {
            "floor_offset": by_place * _bell(offset) * special.ndtr(floors.bound),
            "floor_share": by_centre / share - by_spread * values["floor_spread"] * shrinkage,
            "floor_spread": by_spread * (1 - shrinkage * share),
            "floor_shrinkage": -by_spread * values["floor_spread"] * share,
        }
        return {name: slope for name, slope in slopes.items() if name in values}


def _bell(value: np.ndarray) -> np.ndarray:
    """Evaluate the standard normal density."""
    return np.exp(-0.5 * value**2) / ROOT_TWO_PI


def excursion(distance: np.ndarray) -> np.ndarray:
    """Half the variance of the integral of a unit Ornstein-Uhlenbeck process over a distance, as in the curve."""
    steps = np.abs(distance) / DRIFT_LENGTH
    return DRIFT_LENGTH**2 * (steps + np.expm1(-steps))
