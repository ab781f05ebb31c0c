"""The joint law's curve at many draws at once, in NumPy: the formulae of `bayeslaw.joint.curve`, compiled by nobody.

A prediction or a check looks at the curve a few hundred times and at nothing for long; to compile it for that takes
longer than all the rest. The density that is sampled is `Curve`'s, and tests hold each function here to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jax import Array

from bayeslaw.joint.curve import JITTER, LEVEL_DEVIATION, TAIL, Curve, Models
from bayeslaw.joint.curve_gradient import CurveGradient, excursion
from bayeslaw.joint.normal_at_draws import factor_of


@dataclass(frozen=True)
class CurveAtDraws:
    """The curve of the models seen, at many draws.

    Parameters
    ----------
    curve
        The curve, of arrays of NumPy.
    values
        Draws of the sites of the curve, each [draw, ...].
    """

    curve: Curve
    values: Mapping[str, np.ndarray]

    @cached_property
    def _of_seen(self) -> CurveGradient:
        return CurveGradient(self.curve)

    def _matrix(self, name: str) -> np.ndarray:
        return self.values[name][:, None, None]

    @cached_property
    def floors(self) -> np.ndarray:
        """Floors of the families seen in the reported unit, [draw, family]."""
        return self._of_seen.floors(self.values).floor

    def new_floors(self, noise: np.ndarray) -> np.ndarray:
        """Floors of families not seen in the reported unit; `noise` is standard normal, [draw, new family]."""
        return self._of_seen.new_floor({**self.values, "floor_offset": noise})

    def mean(self, log_size: np.ndarray | Array) -> np.ndarray:
        """Prior mean of the log of the loss above the floor, [lm]."""
        return self._of_seen.level - float(self.curve.exponent[0]) * np.asarray(log_size)

    def covariance(self, one: Models, other: Models, scale_one: np.ndarray, scale_other: np.ndarray) -> np.ndarray:
        """Covariance of the log loss above the floor between models, without their own parts.

        Parameters
        ----------
        one, other
            Models of numbers ``a`` and ``b``.
        scale_one, scale_other
            Scale of the variance of the level of each model's family, [draw, a] and [draw, b].

        Returns
        -------
        np.ndarray
            [draw, a, b].
        """
        x, y = np.asarray(one.log_size)[:, None], np.asarray(other.log_size)[None, :]
        same = (one.family[:, None] == other.family[None, :]).astype(float)
        scales = np.sqrt(scale_one[:, :, None] * scale_other[:, None, :])
        population = LEVEL_DEVIATION**2 + self.curve.exponent[1] ** 2 * x * y
        family = self._matrix("amplitude_spread") ** 2 * scales + self._matrix("exponent_spread") ** 2 * (x * y)
        walk = excursion(x) + excursion(y) - excursion(x - y)
        return population + same * family + self._matrix("exponent_drift") ** 2 * (walk * (0.5 + 0.5 * same))

    @cached_property
    def _seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Log loss above the floor, [draw, lm], and its covariance, [draw, lm, lm]."""
        models = self.curve.models
        above = np.log(self.curve.loss - self.floors[:, models.family])
        return above, self._of_seen.covariance(self.values)

    def draw_noise(self, models: int, families: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw what new models and new families differ by.

        Parameters
        ----------
        models, families
            Number of new models, and of families that were not seen.
        generator
            Where random numbers are from.

        Returns
        -------
        dict
            ``model`` [draw, new] and ``floor`` [draw, new family] standard normal, and ``scale`` [draw, new family]
            from the prior of `family_scale`.
        """
        count = len(self.values["floor_share"])
        return {
            "model": generator.standard_normal((count, models)),
            "floor": generator.standard_normal((count, families)),
            "scale": TAIL / 2 / generator.standard_gamma(TAIL / 2, (count, families)),
        }

    def draw(self, new: Models, noise: Mapping[str, np.ndarray], *, own_part: bool) -> np.ndarray:
        """Draw losses of models not seen, jointly, given those seen.

        Parameters
        ----------
        new
            The new models; families that were not seen are numbered on from those that were.
        noise
            As `draw_noise` draws it.
        own_part
            Whether models have their own part, or follow the curve of their family.

        Returns
        -------
        np.ndarray
            Mean losses in the reported unit, [draw, new].
        """
        floors, mean, within = self._of_new(new, noise, own_part=own_part)
        left = (factor_of(within) @ noise["model"][:, :, None])[:, :, 0]
        return floors + np.exp(mean + left)

    def log_densities(
        self, new: Models, noise: Mapping[str, np.ndarray], losses: np.ndarray, drawn: np.ndarray | None = None
    ) -> np.ndarray:
        """Evaluate the density of mean losses that one model not seen might have, given those seen.

        Parameters
        ----------
        new
            The model, and behind it others not seen of which losses were drawn too, of families that were seen.
        noise
            As `draw_noise` draws it: a family that was not seen is another one at every draw.
        losses
            Mean losses in the reported unit, [loss].
        drawn
            Mean losses drawn of the others, which the density is given too, [draw, other].

        Returns
        -------
        np.ndarray
            Log densities, [draw, loss]; minus infinity below the floor.
        """
        floors, mean, within = self._of_new(new, noise, own_part=True)
        expected, variance = mean[:, :1], within[:, :1, 0]
        if drawn is not None and drawn.shape[1]:
            cross = within[:, :1, 1:]
            off = np.log(drawn - floors[:, 1:]) - mean[:, 1:]
            gain = np.linalg.solve(within[:, 1:, 1:], cross.transpose(0, 2, 1)).transpose(0, 2, 1)
            expected = expected + (gain @ off[:, :, None])[:, :, 0]
            variance = variance - (gain @ cross.transpose(0, 2, 1))[:, :, 0]
        above = losses[None, :] - floors[:, :1]
        logs = np.log(np.where(above > 0, above, 1.0))
        density = -0.5 * ((logs - expected) ** 2 / variance + np.log(2 * np.pi * variance)) - logs
        return np.where(above > 0, density, -np.inf)

    def _of_new(
        self, new: Models, noise: Mapping[str, np.ndarray], *, own_part: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Floors [draw, new], and mean [draw, new] and covariance [draw, new, new] of the log loss above them."""
        models, count = self.curve.models, len(new.log_size)
        above, covariance = self._seen
        floors = np.concatenate([self.floors, self.new_floors(noise["floor"])], axis=1)
        scale = np.concatenate([self.values["family_scale"], noise["scale"]], axis=1)
        scale_new, scale_seen = scale[:, new.family], scale[:, models.family]
        cross = self.covariance(new, models, scale_new, scale_seen)
        within = self.covariance(new, new, scale_new, scale_new)
        variance = (self._matrix("model_spread") ** 2 if own_part else 0.0) + JITTER
        gain = np.linalg.solve(covariance, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
        told = (gain @ (above - self.mean(models.log_size))[:, :, None])[:, :, 0]
        left = within + variance * np.eye(count) - gain @ cross.transpose(0, 2, 1)
        return floors[:, new.family], self.mean(new.log_size) + told, left
