"""The pools that a choice is between, and what each loses on every cluster."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.decision.pool_posterior import PoolPosterior
from bayeslaw.decision.pool_search import Search
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.rule_functions import RuleFunctions

MOST_CONTENDERS = 1000
MOST_NUMBERS = 5_000_000
"""Clusters times pools: what is drawn thousands of times."""
FEWEST_CONTENDERS = 100
NEAR_FRONT = 8


@dataclass(frozen=True)
class Contenders:
    """Pools with what they lose on every cluster, those that are expected to lose least in truth first.

    Where members are required, single models that a pool is compared to need not be pools to choose: they come last.

    Parameters
    ----------
    pools
        Members, as places among the admitted models, [pool, slot], padded with -1.
    posterior
        What they lose in truth.
    folds
        Number of each cluster's fold, [cluster].
    seen
        Whether a search without a fold looks at the pool, [fold, pool].
    eligible
        How many, the first, may be chosen.
    idle_pools
        Pools that were left out since they hold a member that never matters, [idle, slot].
    idle_parts
        Number of the contender that is a part of each of these, and loses what it does, [idle].
    """

    pools: np.ndarray
    posterior: PoolPosterior
    folds: np.ndarray
    seen: np.ndarray
    eligible: int
    idle_pools: np.ndarray
    idle_parts: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        """Sum over each cluster of what a pool loses, [cluster, pool]."""
        return self.posterior.sums

    @property
    def weights(self) -> np.ndarray:
        """Weight of each cluster, [cluster]."""
        return self.posterior.models.weights

    @property
    def single(self) -> np.ndarray:
        """Which are single models, [pool]."""
        return (self.pools >= 0).sum(axis=1) == 1

    @property
    def means(self) -> np.ndarray:
        """Mean losses over all clusters, [pool]."""
        return self.sums.sum(axis=0) / self.weights.sum()

    @property
    def expected(self) -> np.ndarray:
        """Expected losses in truth, by which pools are ranked, [pool]."""
        return self.posterior.expected_means

    @cached_property
    def without_fold(self) -> list[PoolPosterior]:
        """What the clusters of all folds but one tell, of each fold."""
        several = len(self.weights) > 2
        return [self.posterior.on(self.folds != fold) if several else self.posterior for fold in range(len(self.seen))]

    def expected_on_others(self, kept: np.ndarray) -> np.ndarray:
        """Find expected losses in truth by the clusters of other folds, weights as of `by_fold`: [..., fold, pool].

        How far models and gains are drawn to their means is known from the other folds as well.
        """
        sums, of_models = (self.by_fold(kept, each) for each in (self.sums, self.posterior.models.sums))
        sums, of_models = (each.sum(axis=-2, keepdims=True) - each for each in (sums, of_models))
        found = [
            each.expected(sums[..., fold, :], of_models[..., fold, :]) for fold, each in enumerate(self.without_fold)
        ]
        return np.stack(found, axis=-2)

    def by_fold(self, kept: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Add up sums, [cluster, pool], over each fold with weights of clusters, [..., cluster]: [..., fold, pool]."""
        number = self.seen.shape[0]
        return np.stack([kept[..., self.folds == fold] @ sums[self.folds == fold] for fold in range(number)], axis=-2)


def most_contenders(clusters: int) -> int:
    """Say how many pools are looked at cluster by cluster."""
    return max(FEWEST_CONTENDERS, min(MOST_CONTENDERS, MOST_NUMBERS // clusters))


def choose_contenders(search: Search, costs: np.ndarray, front: np.ndarray, ranks: int, most: int) -> np.ndarray:
    """Choose the pools that come into question: here, without a fold, for themselves or for little cost.

    Parameters
    ----------
    search
        The pools looked at.
    costs
        What the Pareto front is of, [pool].
    front
        The pools on it, by all samples, [front].
    ranks
        How many of the best pools are told of.
    most
        About how many to choose.

    Returns
    -------
    numpy.ndarray
        Numbers of pools, by what they lose on all samples.
    """
    total = search.sums.sum(axis=0)
    singles = np.flatnonzero((search.pools >= 0).sum(axis=1) == 1)
    chosen = [_lowest(total, most), singles[_lowest(total[singles], most // 4)], front]
    chosen += list(_near_front(total, costs, front, number=NEAR_FRONT if most == MOST_CONTENDERS else 1))
    for fold in range(search.sums.shape[0]):
        which, without = search.without_fold(fold)
        chosen.append(which[_lowest(without, ranks)])
        chosen += [which[place] for place in _near_front(without, costs[which], front, costs[front], number=1)]
    union = np.unique(np.concatenate(chosen))
    return union[np.argsort(total[union], kind="stable")]


def _lowest(values: np.ndarray, number: int) -> np.ndarray:
    if number >= len(values):
        return np.arange(len(values))
    return np.argpartition(values, number)[:number]


def _near_front(
    values: np.ndarray,
    costs: np.ndarray,
    front: np.ndarray,
    levels: np.ndarray | None = None,
    number: int = NEAR_FRONT,
) -> Iterator[np.ndarray]:
    """Yield the pools that lose least for at most the cost of each pool on the front."""
    for level in costs[front] if levels is None else levels:
        under = np.flatnonzero(costs <= level)
        if len(under):
            yield under[_lowest(values[under], number)]


def cluster_sums(
    nll: np.ndarray, pools: np.ndarray, clusters: np.ndarray, folds: np.ndarray, functions: RuleFunctions
) -> np.ndarray:
    """Sum up what pools lose on every cluster.

    Parameters
    ----------
    nll
        Losses in nats of the admitted models, [sample, model].
    pools
        Members, [pool, slot], padded with -1.
    clusters, folds
        Numbers of each sample's cluster and fold, [sample].
    functions
        Of the rule.

    Returns
    -------
    numpy.ndarray
        Sums in nats, [cluster, pool].
    """
    count = int(clusters.max()) + 1
    found = np.empty((len(pools), count))

    def add_up(number: int) -> None:
        members = pools[number][pools[number] >= 0]
        found[number] = np.bincount(clusters, functions.losses(nll[:, members], folds), count)

    with ThreadPoolExecutor(usable_cores()) as executor:
        list(executor.map(add_up, range(len(pools))))
    return found.T
