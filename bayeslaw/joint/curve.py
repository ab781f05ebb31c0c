r"""The loss of one model by its size and family: a power law whose exponent may drift, with an uncertain floor.

With :math:`x = \log(N / N_0)` and :math:`f` the family,

.. math:: \log(\text{loss}_m - \text{floor}_f) = a + a_f - (b + b_f) x_m + W(x_m) + W_f(x_m) + u_m

where ``a`` and ``b`` are level and exponent, ``a_f`` and ``b_f`` what a family deviates by, ``u`` a model's own
part, and ``W`` integrals of stationary Ornstein-Uhlenbeck processes: local exponents vary slowly with size, by as much
as data bear out, so that uncertainty grows with the distance extrapolated. Given floors and scales all of it is jointly
normal and integrated out (Rasmussen and Williams 2006, chapter 2). Family levels have Student-t tails by a scale of
their own for each family. Nothing tells families apart but their losses: which sizes a family has says little of its
level, as few families are seen, and a prediction for a new one would depend on what else is asked of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import log_ndtr, ndtr, ndtri

LEVEL_SHARE = 0.5
LEVEL_DEVIATION = 1.0
DRIFT_LENGTH = 10.0
TAIL = 5.0
JITTER = 1e-9
CURVE_SCALES = ("amplitude_spread", "exponent_spread", "exponent_drift", "model_spread")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Models:
    """What the curve knows of models; to JAX a container of arrays.

    Parameters
    ----------
    log_size
        Natural log of parameters relative to the reference, [lm].
    family
        Number of the family, [lm].
    """

    log_size: np.ndarray | Array
    family: np.ndarray


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Curve:
    """The curve of the models seen; to JAX a container of arrays.

    Parameters
    ----------
    models
        The models seen.
    loss
        Their mean losses in the reported unit, [lm].
    exponent
        Mean and standard deviation of the prior of the exponent.
    families
        How many families were seen.
    """

    models: Models
    loss: np.ndarray | Array
    exponent: tuple[float, float]
    families: int = field(metadata={"static": True})

    @property
    def lowest(self) -> Array:
        """Lowest mean loss seen, scalar."""
        return jnp.asarray(self.loss).min()

    @property
    def lowest_of_family(self) -> Array:
        """Lowest mean loss of each family, [family]."""
        return jax.ops.segment_min(jnp.asarray(self.loss), jnp.asarray(self.models.family), num_segments=self.families)

    def mean(self, log_size: Any) -> Array:
        """Prior mean of the log of the loss above the floor, [lm]."""
        return jnp.log(LEVEL_SHARE * self.lowest) - self.exponent[0] * jnp.asarray(log_size)

    def floors(self, values: Mapping[str, Any]) -> tuple[Array, Array]:
        """Map offsets to floors of the families seen.

        ``log floor_f`` is normal around the log of the population's floor, with the deviation of `floor_deviation`, and
        lies below the lowest loss of the family; the offset is its place in that truncated distribution, as a standard
        normal quantile.

        Parameters
        ----------
        values
            ``floor_share``, ``floor_spread`` and ``floor_offset`` [family].

        Returns
        -------
        floors : Array
            In the reported unit, [family].
        log_weight : Array
            Log probability, under the distribution without truncation, that all floors lie below the losses: a term of
            the likelihood, scalar.
        """
        centre, spread = jnp.log(values["floor_share"] * self.lowest), self.floor_deviation(values)
        bound = (jnp.log(self.lowest_of_family) - centre) / spread
        place = jnp.clip(ndtr(values["floor_offset"]) * ndtr(bound), 1e-15, 1 - 1e-15)
        # Just below the lowest loss, whatever the rounding.
        floors = jnp.minimum(jnp.exp(centre + spread * ndtri(place)), self.lowest_of_family * (1 - 1e-9))
        return floors, log_ndtr(bound).sum()

    def floor_deviation(self, values: Mapping[str, Any]) -> Any:
        """Give the standard deviation of the families' log floors.

        Families that learn from the same text have floors that differ by a share of what is left to gain: the
        deviation shrinks with what the lowest loss seen leaves above the population's floor. Families with texts or
        tokenizers of their own have floors of their own, however near the losses are. ``floor_shrinkage`` is 1 for the
        one and 0 for the other.

        Parameters
        ----------
        values
            ``floor_share``, ``floor_spread`` and ``floor_shrinkage``; the last is 1 where it is not there.

        Returns
        -------
        Array
            Scalar.
        """
        return values["floor_spread"] * (1 - values.get("floor_shrinkage", 1.0) * values["floor_share"])

    def new_floor(self, values: Mapping[str, Any], noise: Any) -> Any:
        """Floors of families not seen, in the reported unit; `noise` is standard normal."""
        return values["floor_share"] * self.lowest * jnp.exp(self.floor_deviation(values) * noise)

    def covariance(
        self, values: Mapping[str, Any], one: Models, other: Models, scale_one: Any, scale_other: Any
    ) -> Array:
        """Covariance of the log loss above the floor between models, without their own parts.

        Parameters
        ----------
        values
            The scales, by name as in `CURVE_SCALES`.
        one, other
            Models of numbers ``a`` and ``b``.
        scale_one, scale_other
            Scale of the variance of the level of each model's family, [a] and [b].

        Returns
        -------
        Array
            [a, b].
        """
        x, y = jnp.asarray(one.log_size)[:, None], jnp.asarray(other.log_size)[None, :]
        same = (jnp.asarray(one.family)[:, None] == jnp.asarray(other.family)[None, :]).astype(float)
        scales = jnp.sqrt(jnp.asarray(scale_one)[:, None] * jnp.asarray(scale_other)[None, :])
        population = LEVEL_DEVIATION**2 + self.exponent[1] ** 2 * x * y
        family = values["amplitude_spread"] ** 2 * scales + values["exponent_spread"] ** 2 * x * y
        drift = values["exponent_drift"] ** 2 * (_excursion(x) + _excursion(y) - _excursion(x - y))
        return population + same * family + drift * (0.5 + 0.5 * same)

    def own_variance(self, values: Mapping[str, Any], count: int) -> Array:
        """Variance of the models' own parts, with a jitter for the factorisation, [count, count]."""
        return (values["model_spread"] ** 2 + JITTER) * jnp.eye(count)

    def log_likelihood(self, values: Mapping[str, Any]) -> Array:
        """Log density of the mean losses, scalar."""
        floors, weight = self.floors(values)
        above, covariance = self._seen(values, floors)
        density = dist.MultivariateNormal(self.mean(self.models.log_size), covariance).log_prob(above)
        return density - above.sum() + weight

    def pointwise(self, values: Mapping[str, Any]) -> Array:
        """Log density of each model's loss given those of all others, [lm] (Sundararajan and Keerthi 2001)."""
        floors, _ = self.floors(values)
        above, covariance = self._seen(values, floors)
        precision = jnp.linalg.inv(covariance)
        variance = 1 / jnp.diag(precision)
        deviation = variance * (precision @ (above - self.mean(self.models.log_size)))
        return dist.Normal(0.0, jnp.sqrt(variance)).log_prob(deviation) - above

    def _seen(self, values: Mapping[str, Any], floors: Array) -> tuple[Array, Array]:
        models = self.models
        above = jnp.log(self.loss - floors[models.family])
        scale = values["family_scale"][models.family]
        return above, self.covariance(values, models, models, scale, scale) + self.own_variance(values, len(self.loss))

    def draw(self, values: Mapping[str, Any], new: Models, noise: Mapping[str, Any], *, own_part: bool) -> Array:
        """Draw losses of models not seen, jointly, given those seen.

        Parameters
        ----------
        values
            One draw of every site of the curve.
        new
            The new models; families are numbered on from those seen.
        noise
            Standard draws: ``model`` [new] and ``floor`` [new family] normal, ``scale`` [new family] from the prior of
            `family_scale`.
        own_part
            Whether models have their own part, or follow the curve of their family.

        Returns
        -------
        Array
            Mean losses in the reported unit, [new].
        """
        models = self.models
        floors, _ = self.floors(values)
        above, covariance = self._seen(values, floors)
        floors = jnp.concatenate([floors, jnp.asarray(self.new_floor(values, noise["floor"]))])
        scale = jnp.concatenate([values["family_scale"], noise["scale"]])
        cross = self.covariance(values, new, models, scale[new.family], scale[models.family])
        within = self.covariance(values, new, new, scale[new.family], scale[new.family])
        independent = self.own_variance(values, len(new.log_size)) if own_part else JITTER * jnp.eye(len(new.log_size))
        gain = jnp.linalg.solve(covariance, cross.T).T
        mean = self.mean(new.log_size) + gain @ (above - self.mean(models.log_size))
        factor = jnp.linalg.cholesky(within + independent - gain @ cross.T)
        return floors[new.family] + jnp.exp(mean + factor @ noise["model"])


def _excursion(distance: Array) -> Array:
    """Half the variance of the integral of a unit Ornstein-Uhlenbeck process over a distance."""
    steps = jnp.abs(distance) / DRIFT_LENGTH
    return DRIFT_LENGTH**2 * (steps + jnp.expm1(-steps))
