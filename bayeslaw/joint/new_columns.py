"""Losses of models not seen on the samples seen, given the losses of the models that were."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import optimize, special

from bayeslaw.joint.curve import TAIL, Curve, Models
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.links import Link
from bayeslaw.joint.model_dependence import ModelDependence

NEWTON_STEPS = 12
LARGEST_STEP = 1.5
LEAST_FREEDOM = 2.05
MOST_FREEDOM = 400.0
NO_TAILS = 200.0


@dataclass(frozen=True)
class SampleScales:
    """How much the own parts of models vary on each sample: the tails of their distribution.

    Parameters
    ----------
    squares
        Sum over models of the squared standardised leave-one-out residuals of each sample, [sample].
    models
        Number of models.
    freedom
        Degrees of freedom of the multivariate Student t that the residuals follow; infinite where they are normal.
    """

    squares: np.ndarray
    models: int
    freedom: float

    def draw(self, key: Array, mean_is_finite: bool) -> Array:
        """Draw variances of the own parts on the samples seen, relative to their average.

        Parameters
        ----------
        key
            JAX random key.
        mean_is_finite
            Whether losses have a mean under Student-t latent losses; where not, the expected variances are returned.

        Returns
        -------
        Array
            [sample], of mean 1.
        """
        if not np.isfinite(self.freedom):
            return jnp.ones(len(self.squares))
        evidence = self.freedom - 2 + jnp.asarray(self.squares)
        if mean_is_finite:
            evidence = evidence / (2 * jax.random.gamma(key, (self.freedom + self.models) / 2, evidence.shape))
        return evidence / evidence.mean()

    def draw_new(self, key: Array, mean_is_finite: bool) -> Array:
        """Draw variances of the own parts on as many new samples; as `draw`."""
        if not np.isfinite(self.freedom):
            return jnp.ones(len(self.squares))
        if mean_is_finite:
            drawn = 1 / jax.random.gamma(key, self.freedom / 2, self.squares.shape)
        else:
            drawn = jax.random.permutation(key, self.freedom - 2 + jnp.asarray(self.squares))
        return drawn / drawn.mean()


def sample_scales(model: JointModel, structure: np.ndarray) -> SampleScales:
    """Estimate how the own parts vary from sample to sample, from what the other models do not tell of each.

    Parameters
    ----------
    model
        The model.
    structure
        Correlation matrix of the latent losses by the structure, [lm, lm].

    Returns
    -------
    SampleScales
        With the degrees of freedom of highest likelihood, beyond `NO_TAILS` none.
    """
    precision = np.linalg.inv(structure)
    residual = model.table.standardised @ precision / np.sqrt(np.diag(precision))
    squares = (residual**2 / (residual**2).mean(axis=0)).sum(axis=1)
    count = residual.shape[1]

    def cost(log_excess: float) -> float:
        freedom = LEAST_FREEDOM + np.exp(log_excess)
        scale = freedom - 2
        constant = special.gammaln((freedom + count) / 2) - special.gammaln(freedom / 2) - count / 2 * np.log(scale)
        return float(-(constant - (freedom + count) / 2 * np.log1p(squares / scale)).mean())

    bounds = (-3.0, float(np.log(MOST_FREEDOM)))
    found: Any = optimize.minimize_scalar(cost, bounds=bounds, method="bounded")
    freedom = LEAST_FREEDOM + float(np.exp(found.x))
    return SampleScales(squares, count, freedom if freedom < NO_TAILS else np.inf)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["curve", "dependence", "quality_scale", "latent_mean", "standardised"],
    meta_fields=["link"],
)
@dataclass(frozen=True)
class SeenModels:
    """What is known of the models seen; to JAX a container of arrays.

    Parameters
    ----------
    curve, dependence
        As `bayeslaw.joint.joint_model.JointModel` has them.
    quality_scale, latent_mean, standardised, link
        As `bayeslaw.joint.joint_table.JointTable` has them.
    """

    curve: Curve
    dependence: ModelDependence
    quality_scale: Any
    latent_mean: Any
    standardised: Any
    link: Link


def seen_models(model: JointModel) -> SeenModels:
    """Take from the joint law and its table what tells of new models."""
    table = model.table
    return SeenModels(
        curve=model.curve,
        dependence=model.dependence,
        quality_scale=np.array(table.quality_scale),
        latent_mean=table.latent_mean,
        standardised=table.standardised,
        link=table.link,
    )


@dataclass(frozen=True)
class NewColumns:
    """Simulates the losses of new models on the samples seen.

    Parameters
    ----------
    seen
        The models seen.
    scales
        The samples' scales.
    log_size, family
        Log size relative to the reference and number of the family of each new model, [new]; families that were not
        seen are numbered on from those that were.
    own_part
        Whether new models have a part of their own in their mean loss, or follow the curve of their family.
    """

    seen: SeenModels
    scales: SampleScales
    log_size: np.ndarray
    family: np.ndarray
    own_part: bool = True

    @cached_property
    def new_families(self) -> int:
        """Number of families not seen."""
        return max(int(self.family.max()) + 1 - len(self.seen.curve.models.first_size), 0)

    @property
    def models(self) -> Models:
        """The new models, with the first size of every family."""
        seen = self.seen.curve.models.first_size
        first = [self.log_size[self.family == len(seen) + number].min() for number in range(self.new_families)]
        return Models(self.log_size, self.family, jnp.concatenate([jnp.asarray(seen), np.array(first)]))

    def draw_means(self, values: Mapping[str, Any], key: Array) -> Array:
        """Draw mean losses of the new models in the reported unit, [new], at one draw of every site."""
        keys = jax.random.split(key, 3)
        noise = {
            "model": jax.random.normal(keys[0], (len(self.log_size),)),
            "floor": jax.random.normal(keys[1], (self.new_families,)),
            "scale": TAIL / 2 / jax.random.gamma(keys[2], TAIL / 2, (self.new_families,)),
        }
        return self.seen.curve.draw(values, self.models, noise, own_part=self.own_part)

    def draw(self, values: Mapping[str, Any], sample_weights: Array, key: Array) -> tuple[Array, Array]:
        """Draw losses of the new models.

        Parameters
        ----------
        values
            One draw of every site.
        sample_weights
            Weight of each sample of which the means are those drawn, [sample].
        key
            JAX random key.

        Returns
        -------
        losses : Array
            Loss per unit of weight in the reported unit, [new, sample].
        means : Array
            Their means over samples, [new].
        """
        seen, dependence = self.seen, self.seen.dependence
        mean_key, own_key, noise_key, scale_key, deviation_key, scatter_key = jax.random.split(key, 6)
        means = self.draw_means(values, mean_key)
        centre, scale = seen.quality_scale[0], seen.quality_scale[1]
        quality = (jnp.log(means) - centre) / scale
        offset = jax.random.normal(own_key, means.shape)
        expected = dependence.conditional(values, quality, self.family, offset)
        weights, factor = dependence.scattered(values, *expected, scatter_key)
        told = weights @ jnp.asarray(seen.standardised).T
        residual = factor @ jax.random.normal(noise_key, (len(means), len(seen.standardised)))
        latent = told + residual * jnp.sqrt(self.scales.draw(scale_key, seen.link.mean_is_finite))
        latent = latent - latent.mean(axis=1, keepdims=True)
        noise = jax.random.normal(deviation_key, means.shape)
        deviation = dependence.draw_deviation(values, quality, self.family, noise)
        latent = latent * (deviation / latent.std(axis=1))[:, None]
        return with_means(seen, latent, means, sample_weights), means


def with_means(seen: SeenModels, latent: Array, means: Array, sample_weights: Array) -> Array:
    """Shift latent losses so that the weighted means of the losses are those given, by Newton's method.

    Parameters
    ----------
    seen
        The models seen, whose link leads from latent losses to losses.
    latent
        Latent losses, [new, sample].
    means
        Mean losses in the reported unit, [new].
    sample_weights
        Weight of each sample, [sample].

    Returns
    -------
    Array
        Losses per unit of weight in the reported unit, [new, sample].
    """
    value = seen.link.value
    share = sample_weights / sample_weights.sum()
    nearest = jnp.abs(jnp.asarray(seen.curve.loss)[None, :] - means[:, None]).argmin(axis=1)

    def mean_at(shift: Array) -> Array:
        return value(latent + shift[:, None]) @ share

    def step(_: int, shift: Array) -> Array:
        mean, slope = jax.jvp(mean_at, (shift,), (jnp.ones_like(shift),))
        # In logs, in which the mean is nearly linear in the shift far below and far above.
        change = mean * jnp.log(means / mean) / slope
        return shift + jnp.clip(change, -LARGEST_STEP, LARGEST_STEP)

    if seen.link.linear:
        return latent + (means - latent @ share)[:, None]
    start = jnp.asarray(seen.latent_mean)[nearest]
    shift = jax.lax.fori_loop(0, NEWTON_STEPS, step, start)
    return value(latent + shift[:, None])
