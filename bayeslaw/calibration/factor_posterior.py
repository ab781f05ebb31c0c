"""The posterior of the factor law as a function of what it takes from a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayeslaw.calibration.sampling import TablePosterior
from bayeslaw.factor.curve import Curve
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
class TracedTable(FactorTable):
    """A table that knows its arrays only, which JAX may be tracing.

    Parameters
    ----------
    arrays
        The arrays.
    """

    arrays: TableArrays

    @property
    def quality_scale(self) -> Any:
        """Mean and standard deviation of the log losses of the models."""
        return self.arrays.quality_scale

    @property
    def quality(self) -> Any:
        """Quality of the models of the table, [lm]."""
        return self.quality_of(self.mean)

    @property
    def latent_mean(self) -> Any:
        """Mean of the latent losses of each model, [lm]."""
        return self.arrays.latent_mean

    @property
    def standardised(self) -> Any:
        """Latent losses with mean zero and variance one in each model, [sample, lm]."""
        return self.arrays.standardised


@dataclass(frozen=True)
class _TracedCurve(Curve):
    @property
    def lowest(self) -> Any:
        return jnp.min(self.loss)

    @property
    def lowest_of_family(self) -> Any:
        family = self.models.family
        return jnp.stack([jnp.min(self.loss[np.flatnonzero(family == f)]) for f in range(int(family.max()) + 1)])


@dataclass(frozen=True)
class _TracedDependence(ModelDependence):
    @property
    def _log_determinant(self) -> Any:
        return jnp.linalg.slogdet(self.correlation)[1]

    @property
    def _deviation_mean(self) -> Any:
        return jnp.mean(self.log_deviation)


@dataclass(frozen=True)
class TracedFactorModel(FactorModel):
    """The factor law with a `TracedTable`; its density and predictions are those of `FactorModel`."""

    @property
    def curve(self) -> Any:
        """The curve of the models seen."""
        prior = dict(self.law.priors["exponent"].arguments)
        return _TracedCurve(self.models, self.table.mean, (prior["loc"], prior["scale"]))

    @property
    def dependence(self) -> Any:
        """The dependence between the models seen."""
        table = self.table
        assert isinstance(table, TracedTable)
        return _TracedDependence(
            quality=table.quality,
            family=table.family,
            correlation=table.arrays.correlation,
            log_deviation=table.arrays.log_deviation,
            effective_samples=table.effective_samples,
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
        """Put the law together with the arrays of another table, which JAX may be tracing."""
        table = self.target.model.table
        fields = {name: getattr(table, name) for name in FactorTable.__dataclass_fields__}
        return TracedFactorModel(
            self.target.model.law, TracedTable(**fields | {"mean": jnp.asarray(arrays.mean)}, arrays=arrays)
        )

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
