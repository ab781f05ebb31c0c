"""The posterior of a law of rows as a function of their response."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer.util import log_density

from bayeslaw.calibration.sampling import TablePosterior
from bayeslaw.model import LawModel
from bayeslaw.sampling.coordinates import Coordinates


@dataclass(frozen=True)
class ResponsePosterior(TablePosterior):
    """The posterior of a law of rows; its table is the response of each row.

    Likelihood and prior are those of the model's own NumPyro program, conditioned on a response, so whatever
    dependence its rows have is the one that is simulated and fitted; the coordinates are those that `bayeslaw.fit`
    samples in. Use under float64; compiled once.

    Parameters
    ----------
    model
        A model whose priors are all given, not scaled to its data.
    warmup, draws
        As in `TablePosterior`.
    """

    model: LawModel

    def __post_init__(self) -> None:
        # Known before anything is traced, since arrays made while tracing do not outlive it.
        _ = self._unravel, self.shapes

    @cached_property
    def coordinates(self) -> Coordinates:
        """The coordinates of the model."""
        return Coordinates(self.model)

    @cached_property
    def _unravel(self) -> Any:
        return ravel_pytree(self.coordinates.start())[1]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the value of every site."""
        values = jax.eval_shape(self.values, self.start(self.model))[0]
        return {name: leaf.shape for name, leaf in values.items()}

    def values(self, position: Array) -> tuple[dict[str, Array], Array]:
        """Value of every site, and the map's log determinant, at a flat position."""
        return self.coordinates.values(self._unravel(position))

    def log_prior(self, values: Mapping[str, Any]) -> Array:
        """Log prior density of the value of every site, scalar."""
        return jnp.asarray(log_density(self.model.prior_model, (), {}, dict(values))[0])

    def log_likelihood(self, values: Mapping[str, Any], table: Array) -> Array:
        """Joint log density of all rows given the value of every site, scalar."""
        conditioned = handlers.condition(partial(self.model, observed=False), data={self.model.noise.response: table})
        trace = handlers.trace(
            handlers.substitute(handlers.seed(conditioned, jax.random.PRNGKey(0)), dict(values))
        ).get_trace()
        row = trace[self.model.noise.response]
        return jnp.sum(row["fn"].log_prob(row["value"]))

    def start(self, model: LawModel) -> np.ndarray:
        """Flat position near the data of a model that differs from this one in its response only."""
        return np.asarray(ravel_pytree(Coordinates(model).start())[0])
