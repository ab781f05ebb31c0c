"""The joint law as a plain NumPyro model: named sites, plates, and what is observed of the table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayeslaw.joint.correlation_density import correlation_log_density
from bayeslaw.joint.joint_model import BY_FAMILY, BY_MODEL, JointModel

LOSS, CORRELATION, LOG_DEVIATION = "loss", "correlation", "log_deviation"
SITES_BY_PLATE = {"family": BY_FAMILY, "lm": BY_MODEL}


class WishartCorrelation(dist.Distribution):
    """Correlations of a Wishart matrix whose scales are not seen.

    Parameters
    ----------
    structure
        Mean of the Wishart matrix, positive definite, [lm, lm]; its scales do not matter.
    freedom
        Degrees of freedom, above the number of models minus one.

    Notes
    -----
    The density is that of `bayeslaw.joint.correlation_density`, which is Laplace's approximation to the exact one;
    draws are exact.
    """

    def __init__(self, structure: Array, freedom: Array) -> None:
        self.structure, self.freedom = structure, freedom
        super().__init__(batch_shape=(), event_shape=jnp.shape(structure))

    @property
    def support(self) -> Any:
        """Positive definite matrices."""
        return constraints.positive_definite

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of a correlation matrix, scalar."""
        return correlation_log_density(jnp.asarray(value), self.structure, self.freedom)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw correlation matrices."""
        factor = jnp.linalg.cholesky(self.structure)
        wishart = dist.WishartCholesky(self.freedom, scale_tril=factor).sample(key, sample_shape)
        unit = wishart / jnp.linalg.norm(wishart, axis=-1, keepdims=True)
        return unit @ jnp.swapaxes(unit, -1, -2)


class CurveLosses(dist.Distribution):
    """Mean losses of models on the joint law's curve, with what is integrated out of it integrated out.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        One draw of every site of the curve.

    Notes
    -----
    Floors of families lie below the lowest loss seen of each; their distribution is truncated there, and the
    probability of what is left is a part of the density. Draws have floors that are not truncated.
    """

    def __init__(self, model: JointModel, values: dict[str, Any]) -> None:
        self.model, self.values = model, values
        super().__init__(batch_shape=(), event_shape=(len(model.table.mean),))

    @property
    def support(self) -> Any:
        """Positive losses."""
        return constraints.independent(constraints.positive, 1)

    def log_prob(self, value: ArrayLike, intermediates: Any = None) -> Array:
        """Log density of the losses of the table, scalar."""
        curve = self.model.curve
        return replace(curve, loss=jnp.asarray(value)).log_likelihood(self.values)

    def sample(self, key: Array | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw losses of models of the sizes and families of the table."""
        curve, models = self.model.curve, self.model.models
        scale = self.values["family_scale"][models.family]
        floors = curve.new_floor(self.values, self.values["floor_offset"])
        covariance = curve.covariance(self.values, models, models, scale, scale)
        covariance = covariance + curve.own_variance(self.values, len(models.log_size))
        above = dist.MultivariateNormal(curve.mean(models.log_size), covariance).sample(key, sample_shape)
        return floors[models.family] + jnp.exp(above)


def numpyro_form(model: JointModel) -> Callable[..., None]:
    """Write the joint law as a NumPyro model.

    Parameters
    ----------
    model
        The law with its table.

    Returns
    -------
    Callable
        ``model(observed=True)``. It samples the sites of `JointModel.sites`, those of families in the plate
        ``family`` and those of models in ``lm``, and observes ``loss`` (mean losses, [lm]), ``correlation`` (of latent
        losses, [lm, lm]) and ``log_deviation`` (of latent losses, [lm]). Without `observed` these are drawn.
    """
    sizes = {"family": len(model.groups), "lm": len(model.table.mean)}
    table, dependence = model.table, model.dependence
    seen = {LOSS: table.mean, CORRELATION: table.correlation, LOG_DEVIATION: dependence.log_deviation}

    def run(observed: bool = True) -> None:
        values: dict[str, Any] = {}
        for name, prior in model.sites.items():
            plate = next((plate for plate, names in SITES_BY_PLATE.items() if name in names), None)
            if plate is None:
                values[name] = numpyro.sample(name, prior.distribution())
                continue
            with numpyro.plate(plate, sizes[plate]):
                values[name] = numpyro.sample(name, prior.distribution())
        distributions = {
            LOSS: CurveLosses(model, values),
            CORRELATION: WishartCorrelation(dependence.structure(values), dependence.freedom(values)),
            LOG_DEVIATION: dependence.deviation_distribution(values),
        }
        for name, distribution in distributions.items():
            numpyro.sample(name, distribution, obs=jnp.asarray(seen[name]) if observed else None)

    return run
