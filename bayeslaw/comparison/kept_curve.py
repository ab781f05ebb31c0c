"""The curve of the joint law with models left out: the density of those kept, and of the others given these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from bayeslaw.joint.curve import Curve, Models
from bayeslaw.joint.joint_model import JointModel

LOG_TWO_PI = float(np.log(2 * np.pi))
# Above every loss by so much that no floor comes near it, and finite, so that derivatives are.
OUT_OF_REACH = 1e6


class KeptModels(NamedTuple):
    """Which models are kept, and what a table of them alone tells the curve.

    Parameters
    ----------
    rows
        Whether each model is kept, shape ``[lm]``.
    log_size
        Log size relative to the geometric mean of the models kept, shape ``[lm]``.
    """

    rows: np.ndarray | Array
    log_size: np.ndarray | Array


def keep_models(model: JointModel, held: np.ndarray) -> KeptModels:
    """Leave models out of a joint law.

    Parameters
    ----------
    model
        The joint law with the table of all models.
    held
        Whether each model is left out, shape ``[lm]``.

    Returns
    -------
    KeptModels
        The others, in arrays whose shapes do not depend on which they are.
    """
    logs = np.log(model.table.parameters)
    return KeptModels(~held, logs - logs[~held].mean())


@dataclass(frozen=True)
class KeptCurve:
    """The curve as a fit to the models kept has it.

    Whatever the curve takes from its table, the lowest losses among it, is taken from the models kept alone. A family
    of which none is kept has a floor and a level from the population, as new families have.

    Parameters
    ----------
    whole
        The curve of all models.
    kept
        The models kept.
    """

    whole: Curve
    kept: KeptModels

    @property
    def curve(self) -> Curve:
        """The curve, on which the losses left out are out of reach."""
        loss, models = self.whole.loss, self.kept
        beyond = OUT_OF_REACH * loss.max()
        return Curve(
            Models(models.log_size, self.whole.models.family),
            jnp.where(jnp.asarray(models.rows), loss, beyond),
            self.whole.exponent,
            self.whole.families,
        )

    def log_likelihood(self, values: Mapping[str, Any]) -> Array:
        """Log density of the losses kept, scalar; `values` are of the sites of the curve."""
        floors, weight = self.curve.floors(values)
        rows = jnp.asarray(self.kept.rows)
        above = self._above(floors, rows)
        return self._normal(values, above, rows)[0] - above.sum() + weight

    def held_log_densities(self, values: Mapping[str, Any]) -> tuple[Array, Array]:
        """Log densities of the losses left out given those kept.

        Parameters
        ----------
        values
            One draw of every site of the curve.

        Returns
        -------
        rows : Array
            Of each by itself, shape ``[lm]``, of use where left out; minus infinity where the loss is below the floor.
        joint : Array
            Of all together, scalar.
        """
        floors, _ = self.curve.floors(values)
        kept = jnp.asarray(self.kept.rows)
        reached = kept | (self.whole.loss > floors[self.whole.models.family])
        above = self._above(floors, reached)
        density, lower, explained = self._normal(values, above, kept)
        covariance = self._covariance(values)
        whitened = solve_triangular(lower, jnp.where(kept[:, None], covariance, 0.0), lower=True)
        variance = jnp.diag(covariance) - (whitened**2).sum(axis=0)
        deviation = above - self.curve.mean(self.kept.log_size) - explained @ whitened
        each = -0.5 * (deviation**2 / variance + jnp.log(variance) + LOG_TWO_PI) - above
        together = self._normal(values, above, jnp.ones_like(kept))[0] - density - jnp.where(kept, 0.0, above).sum()
        return jnp.where(reached, each, -jnp.inf), jnp.where(reached.all(), together, -jnp.inf)

    def _above(self, floors: Array, rows: Array) -> Array:
        """Log of the loss above the floor of the rows chosen, zero of the others."""
        return jnp.log(jnp.where(rows, self.whole.loss - floors[self.whole.models.family], 1.0))

    def _covariance(self, values: Mapping[str, Any]) -> Array:
        curve = self.curve
        scale = values["family_scale"][self.whole.models.family]
        independent = curve.own_variance(values, len(self.whole.models.family))
        return curve.covariance(values, curve.models, curve.models, scale, scale) + independent

    def _normal(self, values: Mapping[str, Any], above: Array, rows: Array) -> tuple[Array, Array, Array]:
        """Log density of `above` on the rows chosen alone, its Cholesky factor and whitened residuals."""
        chosen = rows[:, None] & rows[None, :]
        lower = jnp.linalg.cholesky(jnp.where(chosen, self._covariance(values), jnp.eye(len(rows))))
        residual = jnp.where(rows, above - self.curve.mean(self.kept.log_size), 0.0)
        explained = solve_triangular(lower, residual, lower=True)
        log_determinant = 2 * jnp.log(jnp.diagonal(lower)).sum()
        return -0.5 * (explained @ explained + log_determinant + rows.sum() * LOG_TWO_PI), lower, explained
