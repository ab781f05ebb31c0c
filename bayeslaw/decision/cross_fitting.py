r"""What is chosen on some clusters, judged on others.

A pool that is chosen since it lost least is flattered by the samples that it was chosen on. Here whole clusters are
dealt to folds, and what is chosen on the others is judged on each: the mean over folds is what a choice by such a table
is expected to lose on new samples. Where every fold chooses alike it is the mean of that pool over all samples.
Chosen is by expected losses in truth (`bayeslaw.decision.pool_posterior`), of which how far models and gains are drawn
to their means is found without the fold as well: known from all clusters it would flatter the choice.
"""

from dataclasses import dataclass

import numpy as np

from bayeslaw.decision.contenders import Contenders
from bayeslaw.pools.cluster_intervals import ClusterDifferences, Estimate

ZERO = 1e-14


@dataclass(frozen=True)
class CrossFit:
    """Several choices between contenders, each made without a fold and judged on it.

    Parameters
    ----------
    contenders
        The pools.
    ranks
        How many of the best pools are chosen: first, second, ....
    among
        Further choices: the best pool of some, [choice, pool].
    """

    contenders: Contenders
    ranks: int
    among: np.ndarray

    def choose(self, kept: np.ndarray) -> np.ndarray:
        """Choose for each fold on the others, with weights of clusters [..., cluster]: numbers of pools.

        Parameters
        ----------
        kept
            The weights.

        Returns
        -------
        numpy.ndarray
            [..., fold, choice].
        """
        others = np.where(self.contenders.seen, self.contenders.expected_on_others(kept), np.inf)
        eligible = others[..., : self.contenders.eligible]
        # Pools that lose the same keep their order.
        place = np.sort(np.argpartition(eligible, self.ranks - 1, axis=-1)[..., : self.ranks], axis=-1)
        order = np.take_along_axis(eligible, place, axis=-1).argsort(axis=-1, kind="stable")
        further = [np.where(mask, others, np.inf).argmin(axis=-1)[..., None] for mask in self.among]
        return np.concatenate([np.take_along_axis(place, order, axis=-1), *further], axis=-1)

    def judged(self, kept: np.ndarray) -> np.ndarray:
        """Return what is lost by the choices, with weights of clusters [..., cluster]: [..., choice]."""
        lost = self.contenders.by_fold(kept, self.contenders.sums)
        lost = np.take_along_axis(lost, self.choose(kept), axis=-1).sum(axis=-2)
        return lost / (kept @ self.contenders.weights)[..., None]

    @property
    def chosen(self) -> np.ndarray:
        """The pool that each choice takes without a fold, [fold, choice]."""
        return self.choose(np.ones(len(self.contenders.weights)))

    def estimates(self, contrasts: np.ndarray, level: float, draws: int, seed: int) -> list[Estimate]:
        """Find linear combinations of what the choices lose, with their intervals.

        Parameters
        ----------
        contrasts
            The combinations, [combination, choice].
        level, draws, seed
            Of the intervals; see `bayeslaw.pools.cluster_intervals`.

        Returns
        -------
        list of Estimate
            None of them depends on which others are asked for.
        """
        weights = self.contenders.weights
        of_cluster = self.chosen[self.contenders.folds]
        sums = np.take_along_axis(self.contenders.sums, of_cluster, axis=1) @ contrasts.T
        found: list[np.ndarray] = []

        def chosen_anew(kept: np.ndarray) -> np.ndarray:
            # The same subsets for all, and a few at a time: each holds a number for every fold and pool.
            if not found:
                found.append(np.concatenate([self.judged(part) @ contrasts.T for part in np.array_split(kept, 10)]))
            return found[0]

        quantiles = ClusterDifferences(sums, weights, chosen_anew, seed).quantiles(np.eye(len(contrasts)), level, draws)
        estimates = []
        for column, (low, high) in enumerate(quantiles):
            alone = ClusterDifferences(
                sums[:, [column]], weights, lambda kept, column=column: chosen_anew(kept)[:, [column]], seed
            )
            value, error = float(alone.values[0]), float(np.sqrt(alone.covariance[0, 0]))
            ends = (value, value - error * high, value - error * low)
            # What is zero but for the rounding of other numbers is zero.
            estimates.append(Estimate(*(0.0 if abs(end) < ZERO else float(end) for end in ends)))
        return estimates
