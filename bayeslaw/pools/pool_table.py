"""A table of losses with the pools to evaluate on it, and what is found."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.loss_blocks import LossColumns
from bayeslaw.pools.nulls import comonotone_columns, independent_columns


@dataclass(frozen=True)
class Evaluation:
    """What pools lose on a table, in nats per unit of weight; all arrays [pool] but `shares`, [pool, slot].

    Attributes
    ----------
    loss, standard_error
        Weighted mean loss and its standard error over clusters.
    best
        Loss of the member that is best on the other folds; NaN for pools of two or more on a table of one cluster.
    independent, comonotone
        Loss of the pool were the members' deviations independent of each other, or their columns sorted alike.
    shares
        Win shares: weighted means of the gradients of the rule; zero where padded.
    factor
        Factor of the sampling covariance of the losses, [pool, direction]; see `bayeslaw.pools.sampling_factor`. None
        for a table of one cluster.
    """

    loss: np.ndarray
    standard_error: np.ndarray
    best: np.ndarray
    independent: np.ndarray
    comonotone: np.ndarray
    shares: np.ndarray
    factor: np.ndarray | None

    def shifted(self, shift: float) -> "Evaluation":
        """Add to every loss."""
        means = ("loss", "best", "independent", "comonotone")
        return replace(self, **{name: getattr(self, name) + shift for name in means})


@dataclass(frozen=True)
class PoolTable:
    """Losses and pools.

    Parameters
    ----------
    nll
        Losses in nats, [sample, lm], finite.
    members
        Positions of members in ascending order, [pool, slot], padded with -1; no pool twice.
    weights
        Weight of each sample, [sample].
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    seed
        Seed of the folds and of the shuffles.
    null_weights
        How much of a loss each sample holds when losses are shuffled and sorted, [sample]; its weight by default, which
        must then not be zero.
    """

    nll: np.ndarray
    members: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    seed: int = 0
    null_weights: np.ndarray | None = None

    @cached_property
    def columns(self) -> LossColumns:
        """Losses without the mean of all models: a common shift passes through every rule.

        The sums over clusters are then near zero, and their squares accurate.
        """
        shift = float(self.nll.mean() * len(self.nll) / self.weights.sum())
        return LossColumns(self.nll, self.weights, shift)

    @cached_property
    def folds(self) -> np.ndarray:
        """Number of each sample's fold, [sample]."""
        return assign_folds(self.clusters, self.seed)

    @cached_property
    def cluster_count(self) -> int:
        """Number of clusters."""
        return int(self.clusters.max()) + 1

    def null_tables(self) -> Iterator[np.ndarray]:
        """Yield columns [lm, sample] of independent models, and then of comonotone ones, both without the shift."""
        weights = self.weights if self.null_weights is None else self.null_weights
        columns = self.columns.block(slice(None))
        yield independent_columns(columns, weights, self.seed)
        # The shift, in proportion to other weights, would change the order of a column.
        if self.null_weights is None:
            yield comonotone_columns(columns, weights)
        else:
            yield comonotone_columns(self.nll.T, weights) - self.columns.shift * self.weights

    def standard_errors(self, loss: np.ndarray, square: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Return the standard errors over clusters of mean losses.

        Parameters
        ----------
        loss
            Mean losses per unit of weight, [pool].
        square, cross
            Sums over clusters of the squares of what is lost in each, and of its products with the clusters' weights,
            [pool].

        Returns
        -------
        numpy.ndarray
            As of `bayeslaw.clustered_standard_error`, [pool]; NaN for one cluster.
        """
        squared_weights = float((np.bincount(self.clusters, self.weights) ** 2).sum())
        residual = np.maximum(square - 2 * loss * cross + loss**2 * squared_weights, 0.0)
        count = self.cluster_count
        return np.sqrt((count / (count - 1) if count > 1 else np.nan) * residual) / self.weights.sum()
