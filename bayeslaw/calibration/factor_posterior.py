"""The posterior of the factor law as a function of what it takes from a table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.calibration.sampling import TablePosterior
from bayeslaw.factor.dependence import ModelDependence
from bayeslaw.factor.model import FactorModel
from bayeslaw.factor.table import FactorTable
from bayeslaw.factor.target import FactorTarget


class TableArrays(NamedTuple):
    """What the factor law takes from the losses of a table, so that JAX can take it as an argument.

    Parameters
    ----------
    mean, latent_mean, log_deviation
        Mean loss, and mean and log standard deviation of the latent losses of each model, [lm].
    quality_scale
        Mean and standard deviation of the log losses of the models.
    correlation
        Correlations of the latent losses, [lm, lm].
    standardised
        Standardised latent losses, [sample, lm].
    """

    mean: Any
    latent_mean: Any
    log_deviation: Any
    quality_scale: Any
    correlation: Any
    standardised: Any


def table_arrays(table: FactorTable) -> TableArrays:
    """Compute the arrays of a table."""
    return TableArrays(
        mean=table.mean,
        latent_mean=table.latent_mean,
        log_deviation=np.log(table.latent_deviation),
        quality_scale=np.array(table.quality_scale),
        correlation=table.correlation,
        standardised=table.standardised,
    )


@dataclass(frozen=True)
class FactorPosterior(TablePosterior):
    """The posterior of the factor law; its table is a `TableArrays`.

    Parameters
    ----------
    target
        The posterior given any table of the same models and as many samples: coordinates and priors do not differ.
    warmup, draws
        As in `TablePosterior`.
    """

    target: FactorTarget

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Sites, then what is reported, then the log likelihood."""
        return (*self.target.model.shapes, "floor", "amplitude", "exponent", "log_likelihood")

    def model(self, arrays: TableArrays) -> FactorModel:
        """Put the law together with the arrays of another table, which JAX may be tracing.

        What the package works out of losses with NumPy, and keeps, is put where it would be kept.
        """
        template = self.target.model
        table = replace(template.table, mean=jnp.asarray(arrays.mean))
        vars(table).update(
            quality_scale=arrays.quality_scale, latent_mean=arrays.latent_mean, standardised=arrays.standardised
        )
        quality: Any = table.quality_of(table.mean)
        vars(table).update(quality=quality, correlation=arrays.correlation)
        dependence = ModelDependence(
            quality=quality,
            family=table.family,
            correlation=arrays.correlation,
            log_deviation=arrays.log_deviation,
            effective_samples=table.effective_samples,
        )
        vars(dependence)["_deviation_mean"] = jnp.mean(arrays.log_deviation)
        model = FactorModel(template.law, table)
        vars(model)["dependence"] = dependence
        return model

    def values(self, position: Array) -> tuple[dict[str, Array], Array]:
        """Value of every site, and the map's log determinant, at a flat position."""
        return self.target.values(position)

    def log_prior(self, values: Mapping[str, Any]) -> Array:
        """Log prior density of the value of every site, scalar."""
        return jnp.stack([jnp.sum(density) for density in self.target.model.log_prior(values).values()]).sum()

    def log_likelihood(self, values: Mapping[str, Any], table: TableArrays) -> Array:
        """Log density of mean losses and correlations, scalar."""
        return self.model(table).log_likelihood(values)

    def quantities(self, values: Mapping[str, Any], table: TableArrays, key: Array) -> dict[str, Array]:
        """Every site, the log likelihood, and floor, amplitude and exponent of each family."""
        model = self.model(table)
        reported = model.reported(values, jax.random.normal(key, (2 * len(model.groups),)))
        return {**values, **reported, "log_likelihood": model.log_likelihood(values)}
