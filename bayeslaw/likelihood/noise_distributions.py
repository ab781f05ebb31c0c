"""The distributions of the noise around a law: one entry each, looked up and never compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array

from bayeslaw.laws.priors import Prior

DEGREES_OF_FREEDOM = "degrees_of_freedom"


@dataclass(frozen=True)
class NoiseDistribution:
    """A symmetric location-scale distribution.

    All functions take `values`: the value of every site of the model, of which a distribution reads those in `priors`.

    Parameters
    ----------
    name
        What it is called in files and messages.
    distribution
        Builds the NumPyro distribution, with its density and draws, from location, scale and values.
    location_information
        Fisher information of the location at scale one, from values.
    scale_information
        Fisher information of the log scale, from values.
    priors
        Default prior of each site that the distribution has beside location and scale. A field of that name in
        `bayeslaw.likelihood.noise.Noise` takes its place.
    shares_errors
        Whether rows may share errors: these are a covariance, which only a normal distribution has without more.
    compressible
        Whether the density of many rows follows from sums of squares alone, as a normal one does, so that Gauss nodes
        may stand for rows.
    light_tails
        Whether the exponential of a value has a finite mean.
    rounded_cost
        Negative log density with its kink rounded over so many scales, up to a constant, from standardised residuals,
        scale and that number: for distributions whose mode a search by gradients would miss. None where the density is
        smooth.
    """

    name: str
    distribution: Callable[[Any, Any, Mapping[str, Any]], dist.Distribution]
    location_information: Callable[[Mapping[str, Any]], Any]
    scale_information: Callable[[Mapping[str, Any]], Any]
    priors: Mapping[str, Prior] = field(default_factory=dict)
    shares_errors: bool = False
    compressible: bool = False
    light_tails: bool = True
    rounded_cost: Callable[[Any, Any, Any], Array] | None = None

    def values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Take the values of the sites that the distribution reads."""
        return {site: values[site] for site in self.priors}


def _rounded_laplace(residual: Any, scale: Any, smoothing: Any) -> Array:
    return jnp.sqrt(residual**2 + smoothing**2) + jnp.log(2 * scale)


DISTRIBUTIONS: dict[str, NoiseDistribution] = {
    entry.name: entry
    for entry in (
        NoiseDistribution(
            "normal",
            lambda location, scale, _: dist.Normal(location, scale),
            location_information=lambda _: 1.0,
            scale_information=lambda _: 2.0,
            shares_errors=True,
            compressible=True,
        ),
        NoiseDistribution(
            "student_t",
            lambda location, scale, values: dist.StudentT(values[DEGREES_OF_FREEDOM], location, scale),
            location_information=lambda values: (values[DEGREES_OF_FREEDOM] + 1) / (values[DEGREES_OF_FREEDOM] + 3),
            scale_information=lambda values: 2 * values[DEGREES_OF_FREEDOM] / (values[DEGREES_OF_FREEDOM] + 3),
            # Juarez and Steel (2010).
            priors={DEGREES_OF_FREEDOM: Prior("Gamma", (("concentration", 2.0), ("rate", 0.1)))},
            light_tails=False,
        ),
        NoiseDistribution(
            "laplace",
            lambda location, scale, _: dist.Laplace(location, scale),
            location_information=lambda _: 1.0,
            scale_information=lambda _: 1.0,
            rounded_cost=_rounded_laplace,
        ),
    )
}


def distributions_that(quality: str) -> str:
    """List the distributions with a quality, such as ``"shares_errors"``, for messages: their names and commas."""
    return ", ".join(name for name, entry in DISTRIBUTIONS.items() if getattr(entry, quality))
