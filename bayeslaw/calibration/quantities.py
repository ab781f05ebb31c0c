"""Everything that is ranked, at draws of the posterior of a simulated table."""

from dataclasses import dataclass

import jax
from jax import Array

from bayeslaw.fitting.given_rows import Outline, Rows, given_rows
from bayeslaw.fitting.joint_posterior import JointData, SiteValues
from bayeslaw.joint.family_lines import family_lines
from bayeslaw.likelihood.compiled import one_by_one


@dataclass(frozen=True)
class RowQuantities:
    """From flat positions, [draw, coordinate], and `Rows` to the value of every site and the log likelihood.

    Parameters
    ----------
    outline
        The law of rows.
    """

    outline: Outline

    def __call__(self, positions: Array, rows: Rows) -> dict[str, Array]:
        """Evaluate one by one, since batches of triangular systems wait for each other between threads."""
        model = given_rows(self.outline, rows)

        def at(position: Array) -> dict[str, Array]:
            values, _ = model.values(position)
            return {**values, "log_likelihood": model.joint_log_likelihood(values)}

        return one_by_one(at)(positions)


@dataclass(frozen=True)
class JointQuantities:
    """From flat positions, `JointData` and a key for each to sites, lines of families and the log likelihood.

    Parameters
    ----------
    values
        The map to the value of every site.
    families
        Number of families.
    """

    values: SiteValues
    families: int

    def __call__(self, positions: Array, data: JointData, keys: Array) -> dict[str, Array]:
        """Evaluate one by one; the key is for what the density integrates out."""

        def at(position: Array, key: Array) -> dict[str, Array]:
            values, _ = self.values(position, data)
            lines = family_lines(data.curve, values, jax.random.normal(key, (2 * self.families,)))
            return {**values, **lines, "log_likelihood": joint_log_likelihood(values, data)}

        return one_by_one(at)(positions, keys)


def joint_log_likelihood(values: dict[str, Array], data: JointData) -> Array:
    """Log density of mean losses, correlations and deviations at one draw of every site, scalar."""
    return data.curve.log_likelihood(values) + data.dependence.log_likelihood(values)
