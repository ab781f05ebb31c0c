r"""How losses of models vary together over samples: a matter of how far apart the models are in quality.

The correlation of the latent losses of models ``i`` and ``j`` with qualities ``q`` (standardised log mean losses) is

.. math:: \sqrt{(1 - n_i)(1 - n_j)}\; e^{-(|q_i - q_j| / \ell)^\kappa}\; (1 - w [f_i \ne f_j]),

a product of kernels and so positive semidefinite; ``n`` is what is a model's own. The correlations seen scatter around
it as those of a Wishart matrix do (`bayeslaw.joint.correlation_density`), with degrees of freedom that are learned, so
that a structure which fits badly is held uncertain; those of new models with the models seen scatter as much (see
`bayeslaw.joint.dependence_at_draws`).
The logarithm of the latent standard deviation is linear in quality, with deviations of families and models. Of scores
of 0 and 1 the deviation is the unit, and the same for all models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array

from bayeslaw.joint.correlation_density import correlation_log_density

DEVIATION_LEVEL, DEVIATION_SLOPE = 2.0, 0.5
SMALLEST_EIGENVALUE = 1e-9
FARTHEST_QUALITY = 4.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ModelDependence:
    """The dependence between the models seen; to JAX a container of arrays.

    Parameters
    ----------
    quality
        Quality of each model, [lm].
    family
        Number of its family, [lm].
    correlation
        Correlations of the latent losses, [lm, lm].
    log_deviation
        Log standard deviation of the latent losses, [lm].
    effective_samples
        How many independent samples, of latent losses that are seen, the correlations are worth.
    worth
        What one sample is worth, in samples of latent losses that are seen: 1 where they are.
    """

    quality: np.ndarray
    family: np.ndarray
    correlation: np.ndarray
    log_deviation: np.ndarray
    effective_samples: float
    worth: float = 1.0

    def own_share(self, values: Mapping[str, Any], quality: Any, offset: Any) -> Array:
        """Share of a model's latent variance that no other model has, ``n``, any shape.

        Parameters
        ----------
        values
            One draw of the sites of the dependence.
        quality
            Quality of the models.
        offset
            Standard normal deviation of each from what its quality lets expect.
        """
        level = values["own_level"] + values["own_slope"] * jnp.clip(quality, -FARTHEST_QUALITY, FARTHEST_QUALITY)
        return jax.nn.sigmoid(level + values["own_spread"] * offset)

    def kernel(self, values: Mapping[str, Any], one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> Array:
        """Correlation of latent losses between different models, [a, b]; models are (quality, family, own share)."""
        (quality, family, unshared), (quality_other, family_other, own_other) = one, other
        distance = jnp.abs(jnp.asarray(quality)[:, None] - jnp.asarray(quality_other)[None, :])
        # The slope of a power at zero is not finite, and the diagonal is set by hand.
        safe = jnp.where(distance > 0, distance, 1.0) / values["length"]
        decay = jnp.where(distance > 0, jnp.exp(-(safe ** values["roughness"])), 1.0)
        differ = jnp.asarray(family)[:, None] != jnp.asarray(family_other)[None, :]
        shares = jnp.sqrt((1 - unshared)[:, None] * (1 - own_other)[None, :])
        return shares * decay * jnp.where(differ, 1 - values["family_difference"], 1.0)

    def structure(self, values: Mapping[str, Any]) -> Array:
        """Correlation matrix of the models seen as the structure has it, [lm, lm]."""
        unshared = self.own_share(values, self.quality, values["own_offset"])
        models = (self.quality, self.family, unshared)
        return _with_unit_diagonal(self.kernel(values, models, models))

    def log_likelihood(self, values: Mapping[str, Any]) -> Array:
        """Log density of the correlations and deviations seen, scalar."""
        return self.log_likelihood_of_correlations(values) + self.log_likelihood_of_deviations(values)

    def log_likelihood_of_correlations(self, values: Mapping[str, Any]) -> Array:
        """Log density of the correlations seen, scalar."""
        return correlation_log_density(jnp.asarray(self.correlation), self.structure(values), self.freedom(values))

    def log_likelihood_of_deviations(self, values: Mapping[str, Any]) -> Array:
        """Log density of the deviations seen, scalar."""
        return jnp.asarray(self.deviation_distribution(values).log_prob(self.log_deviation))

    def freedom(self, values: Mapping[str, Any]) -> Array:
        """Degrees of freedom with which the correlations seen scatter around the structure, scalar."""
        # What the structure misses and what the samples leave open add up.
        spare = 1 / (1 / values["structure_freedom"] + 1 / self.effective_samples)
        return len(self.quality) + 1 + spare

    def deviation_distribution(self, values: Mapping[str, Any]) -> dist.Distribution:
        """Distribution of the log latent deviations of the models seen, [lm]."""
        covariance = self._deviation_covariance(values, self.quality, self.family, self.quality, self.family)
        covariance = covariance + values["deviation_spread"] ** 2 * jnp.eye(len(self.quality))
        mean = jnp.full(len(self.quality), self._deviation_mean)
        return dist.MultivariateNormal(mean, covariance)

    @property
    def _deviation_mean(self) -> Array:
        return jnp.asarray(self.log_deviation).mean()

    def _deviation_covariance(
        self, values: Mapping[str, Any], quality: Any, family: Any, other: Any, others: Any
    ) -> Array:
        same = jnp.asarray(family)[:, None] == jnp.asarray(others)[None, :]
        # Far from all models seen a slope would lead to losses that no number holds.
        near, nearby = (jnp.clip(jnp.asarray(each), -FARTHEST_QUALITY, FARTHEST_QUALITY) for each in (quality, other))
        product = near[:, None] * nearby[None, :]
        return DEVIATION_LEVEL**2 + DEVIATION_SLOPE**2 * product + same * values["deviation_family_spread"] ** 2


def _with_unit_diagonal(matrix: Array) -> Array:
    return jnp.fill_diagonal(matrix, 1.0, inplace=False)
