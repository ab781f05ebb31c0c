"""A table of losses with the pools to evaluate on it, and what is found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayeslaw.pooling.folds import assign_folds
from bayeslaw.pooling.nulls import comonotone_columns, independent_columns


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
        Factor of the sampling covariance of the losses, [pool, direction]; see `bayeslaw.pooling.sampling_factor`. None
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
    def shift(self) -> float:
        """Mean loss of all models per unit of weight.

        A common shift of a sample's losses passes through every rule; without it, cluster sums are near zero and their
        squares accurate.
        """
        return float(self.nll.mean() * len(self.nll) / self.weights.sum())

    @cached_property
    def columns(self) -> np.ndarray:
        """Losses without the shift, [lm, sample]."""
        return np.ascontiguousarray((self.nll - self.shift * self.weights[:, None]).T)

    @cached_property
    def folds(self) -> np.ndarray:
        """Number of each sample's fold, [sample]."""
        return assign_folds(self.clusters, self.seed)

    @cached_property
    def cluster_count(self) -> int:
        """Number of clusters."""
        return int(self.clusters.max()) + 1

    @property
    def null_tables(self) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
        """What makes the columns [lm, sample] of independent and of comonotone models."""
        weights = self.null_weights
        if weights is None:
            return (
                lambda: independent_columns(self.columns, self.weights, self.seed),
                lambda: comonotone_columns(self.columns, self.weights),
            )
        # The shift, in proportion to other weights, would change the order of a column.
        return (
            lambda: independent_columns(self.columns, weights, self.seed),
            lambda: comonotone_columns(self.nll.T, weights) - self.shift * self.weights,
        )

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
