r"""What models lose in truth, drawn towards each other as far as their losses on samples are chance.

Of many models that are much alike the one that lost least is flattered, and in draws that know no prior the lowest of
them is lower than the lowest there is. Here mean losses of models are draws from one normal distribution,

.. math::

    \mu_m \sim N(\alpha + \beta \log N_m, \tau^2), \qquad cor(\mu_m, \mu_n) = \phi \text{ within a family, else } 0,

with flat :math:`\alpha` and :math:`\beta` (models of about one size are drawn to each other, not large ones to small
ones), seen with the sampling errors of the clusters that all are scored on: the model of Fay and Herriot (1979, J. Am.
Stat. Assoc. 74) with correlated errors. How far models are off the line, :math:`\tau`, has the uniform shrinkage prior
(Daniels 1999, Can. J. Stat. 27): the share :math:`s^2 / (s^2 + \tau^2)` by which a model is drawn to it is uniform,
with s a typical sampling error; :math:`\phi` is uniform on `SHARED`. Models that are far off compared to their errors
stay where they are, and draws are those of the Bayesian bootstrap.

A draw that knows no prior is taken to one of the posterior by Matheron's rule: a contrast with sampling variance
:math:`\lambda`, of those in which sampling errors and truths are uncorrelated, goes the share
:math:`\lambda / (\lambda + \tau^2)` of the way to a draw of the prior; what the line leaves open goes with it by its
regression on the contrast's error.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

GRID = 60
LEAST_SHARE = 1e-4
"""Variances between models below this share of a sampling variance are as good as none."""
FARTHEST = 1e3
"""Variances between models that are looked at, as a multiple of the largest squared difference."""
SHARED = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Shares of the variance between models that those of a family have in common."""
SAME_SIZE = 1e-6
"""Ranges of log size below which models have one size."""
FEWEST_ON_A_LINE = 4
"""Models from which on there is a line: off one of fewer there is next to nothing to see."""


@dataclass(frozen=True)
class Contrasts:
    """Contrasts of models whose sampling errors are uncorrelated, and whose truths are in the prior.

    Parameters
    ----------
    of_models
        From losses of models to contrasts, [model, contrast].
    to_models
        And back: by how much losses of models move with contrasts, [contrast, model].
    variances
        Sampling variances where those of truths are one, [contrast].
    log_volume
        Log determinant of the change of coordinates.
    """

    of_models: np.ndarray
    to_models: np.ndarray
    variances: np.ndarray
    log_volume: float


@dataclass(frozen=True)
class ModelShrinkage:
    """Models on the same clusters.

    Parameters
    ----------
    sums
        Sum over each cluster of what a model loses, [cluster, model].
    weights
        Weight of each cluster, [cluster].
    families
        Number of each model's family, [model].
    log_sizes
        Log parameters of each model, [model].
    """

    sums: np.ndarray
    weights: np.ndarray
    families: np.ndarray
    log_sizes: np.ndarray

    @cached_property
    def degenerate(self) -> bool:
        """Whether there is nothing to shrink: one model, or models that differ by no chance."""
        if self.sums.shape[1] < 2:
            return True
        return not (np.median(self._contrasts[0].variances) > 0 and np.isfinite(self.means).all())

    @property
    def means(self) -> np.ndarray:
        """Mean loss of each model, [model]."""
        return self.sums.sum(axis=0) / self.weights.sum()

    @cached_property
    def _line(self) -> np.ndarray:
        """What nothing is known of: the level and, where sizes differ, the slope in log size, [model, one or two]."""
        level, models = np.ones((self.sums.shape[1], 1)), self.sums.shape[1]
        if models < FEWEST_ON_A_LINE or np.ptp(self.log_sizes) < SAME_SIZE:
            return level
        return np.column_stack([level, self.log_sizes - self.log_sizes.mean()])

    @cached_property
    def _contrasts(self) -> list[Contrasts]:
        """Contrasts under each share of variance that families have in common."""
        (count, models), total, line = self.sums.shape, self.weights.sum(), self._line
        # Orthonormal: all directions but those of the line.
        along = line.shape[1]
        basis = np.linalg.qr(np.column_stack([line, np.eye(models)[:, :-along]]))[0][:, along:]
        residual = (self.sums - self.means * self.weights[:, None]) / total
        errors = count / (count - 1) * residual.T @ residual
        # Of few clusters the least variances come out too small.
        share = evening_share(residual @ basis)
        level = np.trace(basis.T @ errors @ basis) / (models - along)
        errors = (1 - share) * errors + share * level * np.eye(models)
        same = (self.families[:, None] == self.families).astype(float)
        some = 1 < len(np.unique(self.families)) < models
        found = []
        for shared in SHARED if some else SHARED[:1]:
            root = np.linalg.cholesky(basis.T @ ((1 - shared) * np.eye(models) + shared * same) @ basis)
            half = np.linalg.solve(root, basis.T @ errors @ basis)
            variances, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
            variances = np.maximum(variances, 0.0)
            of_models = basis @ np.linalg.solve(root.T, vectors)
            # Off the line and along it: the latter by regression, and not where a contrast has no error.
            off = vectors.T @ root.T @ basis.T
            along_it = (errors @ of_models).T / np.where(variances > 0, variances, np.inf)[:, None]
            to_models = off + along_it - along_it @ basis @ basis.T
            volume = float(np.log(np.diag(root)).sum())
            found.append(Contrasts(of_models, to_models, variances, volume))
        return found

    @cached_property
    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Variances between models, [shared, grid], and posterior probabilities of these, [shared, grid]."""
        grids, weights = [], []
        for each in self._contrasts:
            found, typical = self.means @ each.of_models, float(np.median(each.variances))
            highest = FARTHEST * max(float(np.max(found**2)), typical)
            grid = np.geomspace(LEAST_SHARE * typical, highest, GRID)
            # The prior, times the width of a cell of the grid.
            prior = typical / (typical + grid) ** 2 * grid * np.log(highest / (LEAST_SHARE * typical))
            total = each.variances + grid[:, None]
            likelihood = -0.5 * (np.log(total) + found**2 / total).sum(axis=1) - each.log_volume
            grids.append(grid)
            weights.append(np.log(prior) + likelihood)
        logs = np.array(weights)
        weight = np.exp(logs - logs.max())
        return np.array(grids), weight / weight.sum()

    @cached_property
    def spread(self) -> float:
        """Standard deviation of mean losses between models in truth, its posterior mean; NaN of one model."""
        if self.degenerate:
            return float("nan")
        grids, probabilities = self._posterior
        return float((np.sqrt(grids) * probabilities).sum())

    @cached_property
    def expected(self) -> np.ndarray:
        """By how much models are expected to lose more than they did: a map of what they lost, [model, model]."""
        models = self.sums.shape[1]
        if self.degenerate:
            return np.zeros((models, models))
        moved = np.zeros((models, models))
        for each, grid, share in zip(self._contrasts, *self._posterior, strict=True):
            to_mean = share @ (each.variances / (each.variances + grid[:, None]))
            moved -= each.of_models * to_mean @ each.to_models
        return moved

    def shifts(self, weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw by how much models lose more than in draws that know no prior.

        Parameters
        ----------
        weights
            Weights of clusters in each draw, [draw, cluster].
        generator
            Where draws come from.

        Returns
        -------
        numpy.ndarray
            [draw, model].
        """
        lost = weights @ self.sums / (weights @ self.weights)[:, None]
        moved = np.zeros(lost.shape)
        if self.degenerate:
            return moved
        grids, probabilities = self._posterior
        cell = generator.choice(probabilities.size, size=len(weights), p=probabilities.ravel())
        normal = generator.standard_normal((len(weights), self._contrasts[0].of_models.shape[1]))
        for number, each in enumerate(self._contrasts):
            some = cell // GRID == number
            between = grids[number][cell[some] % GRID][:, None]
            away = np.sqrt(between) * normal[some] - lost[some] @ each.of_models
            moved[some] = each.variances / (each.variances + between) * away @ each.to_models
        return moved


def evening_share(rows: np.ndarray) -> float:
    """Find how far a covariance is best taken to one of equal variances (Ledoit and Wolf 2004, J. Multivar. Anal. 88).

    Parameters
    ----------
    rows
        Independent rows of mean zero, [row, column].

    Returns
    -------
    float
        From 0, where there are many rows, to 1.
    """
    count, columns = rows.shape
    covariance = rows.T @ rows / count
    apart = ((covariance - np.trace(covariance) / columns * np.eye(columns)) ** 2).sum()
    chance = ((rows**2).sum(axis=1) ** 2).sum() / count**2 - (covariance**2).sum() / count
    return float(np.clip(chance / apart, 0.0, 1.0)) if apart > 0 else 1.0
