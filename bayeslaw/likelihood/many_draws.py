"""Rows that share errors at many draws at once: as `Dependence` has them at one, as products of large matrices.

It is done with NumPy: batches of factorisations that JAX compiles take many times as long, and must not be run at all
(see `bayeslaw.likelihood.compiled.one_by_one`).
"""

from dataclasses import dataclass

import numpy as np

from bayeslaw.likelihood.dependence import LOG_TWO_PI, Dependence

ROWS_AT_ONCE = 2048
"""Of so many rows the products of each two loadings are held at a time."""


@dataclass(frozen=True)
class ManyDraws:
    """What rows share, at draws of their variance and of the scale of the member effects.

    Parameters
    ----------
    dependence
        What the rows share.
    variance
        Variance that rows have of their own, by group, in the response's unit squared, shape ``[draw, group]``.
    member_scale
        Standard deviation of the member effects, in the response's unit, shape ``[draw]``.
    """

    dependence: Dependence
    variance: np.ndarray
    member_scale: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """Scale of each effect, shape ``[draw, effect]``."""
        return np.where(self.dependence.by_member, self.member_scale[:, None], 1.0)

    @property
    def row_precision(self) -> np.ndarray:
        """One over the variance that each row has of its own, shape ``[draw, row]``."""
        return (1 / self.variance)[:, self.dependence.group]

    def conditional_log_densities(self, residual: np.ndarray) -> np.ndarray:
        """Evaluate the log density of each row given all others; see `Dependence.conditional_log_density`.

        Parameters
        ----------
        residual
            Response minus location, shape ``[draw, row]``.

        Returns
        -------
        np.ndarray
            Shape ``[draw, row]``.
        """
        precision, loadings, scale = self.row_precision, self.dependence.loadings, self.scale
        covariance = scale[:, :, None] * scale[:, None, :] * np.linalg.inv(self._core)
        common = _times(covariance, (residual * precision) @ loadings) @ loadings.T
        solved = (residual - common) * precision
        given_others = precision - self._squares(covariance) * precision**2
        return 0.5 * (np.log(given_others) - LOG_TWO_PI - solved**2 / given_others)

    def effects(self, residual: np.ndarray, standard: np.ndarray) -> np.ndarray:
        """Draw the effects from their distribution given the rows.

        Parameters
        ----------
        residual
            Response minus location, shape ``[draw, row]``.
        standard
            Standard normal numbers, shape ``[draw, effect]``.

        Returns
        -------
        np.ndarray
            Effects in units of their scales, shape ``[draw, effect]``.
        """
        weighted = self.scale * ((residual * self.row_precision) @ self.dependence.loadings)
        lower = np.linalg.cholesky(self._core)
        # Solving with both halves of the factor one after the other gives the mean and the deviation at once.
        half = np.linalg.solve(lower, weighted[:, :, None])[:, :, 0] + standard
        return np.linalg.solve(lower.transpose(0, 2, 1), half[:, :, None])[:, :, 0]

    def rows(self, location: np.ndarray, effects: np.ndarray, standard: np.ndarray) -> np.ndarray:
        """Put rows together of the law, what they share, and what they have of their own.

        Parameters
        ----------
        location
            Of the law, in the response's unit, shape ``[draw, row]``.
        effects
            In units of their scales, shape ``[draw, effect]``.
        standard
            Standard normal numbers, shape ``[draw, row]``.

        Returns
        -------
        np.ndarray
            Responses, shape ``[draw, row]``.
        """
        own = np.sqrt(self.variance)[:, self.dependence.group] * standard
        return location + (effects * self.scale) @ self.dependence.loadings.T + own

    @property
    def _core(self) -> np.ndarray:
        """``I + F' D^-1 F`` with loadings ``F`` in the scales of the effects, shape ``[draw, effect, effect]``."""
        scale = self.scale
        products = np.tensordot(1 / self.variance, self.dependence.products, 1)
        return np.eye(scale.shape[1]) + scale[:, :, None] * scale[:, None, :] * products

    def _squares(self, covariance: np.ndarray) -> np.ndarray:
        """Evaluate ``f' covariance f`` with the loadings f of each row, shape ``[draw, row]``."""
        loadings, (first, second) = self.dependence.loadings, np.triu_indices(covariance.shape[1])
        entries = covariance[:, first, second] * np.where(first == second, 1.0, 2.0)
        result = np.empty((len(covariance), len(loadings)))
        for begin in range(0, len(loadings), ROWS_AT_ONCE):
            some = loadings[begin : begin + ROWS_AT_ONCE]
            result[:, begin : begin + ROWS_AT_ONCE] = entries @ (some[:, first] * some[:, second]).T
        return result


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Multiply each matrix, ``[draw, i, j]``, with its vector, ``[draw, j]``."""
    return (matrices @ vectors[:, :, None])[:, :, 0]
