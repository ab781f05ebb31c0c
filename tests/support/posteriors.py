"""Posteriors with their data filled in, as functions of a position alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.fitting.given_rows import given_rows, outline_of, rows_of
from bayeslaw.fitting.joint_posterior import joint_data, joint_posterior, site_values
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.mode import factor_at, find_mode


@dataclass(frozen=True)
class Filled:
    """A posterior and its data.

    Parameters
    ----------
    posterior, data
        The posterior and its data.
    site_values
        From a flat position to the value of every site and the log determinant of the map.
    """

    posterior: Posterior
    data: Any
    site_values: Callable[[Any], tuple[dict[str, Any], Any]]

    @property
    def start(self) -> np.ndarray:
        return self.posterior.start

    def values(self, position: Any) -> tuple[dict[str, Any], Any]:
        return self.site_values(position)

    def potential(self, position: Any) -> Any:
        return self.posterior.potential(position, self.data)

    def log_prior(self, position: Any) -> Any:
        assert self.posterior.prior is not None
        return -self.posterior.prior(position, self.data)

    def mode(self, *, starts: int, seed: int) -> np.ndarray:
        return find_mode(self.posterior, self.data, starts=starts, seed=seed).position

    def factor(self, mode: np.ndarray) -> np.ndarray:
        return factor_at(self.posterior, self.data, mode)


def rows_filled(model: LawModel) -> Filled:
    """Return the posterior of a law of rows; call under float64."""
    outline, rows = outline_of(model), rows_of(model)
    return Filled(row_posterior(model), rows, lambda position: given_rows(outline, rows).values(position))


def joint_filled(model: JointModel) -> Filled:
    """Return the posterior of the joint law; call under float64."""
    values, data = site_values(model), joint_data(model)
    return Filled(joint_posterior(model), data, lambda position: values(position, data))
