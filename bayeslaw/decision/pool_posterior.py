"""What pools lose in truth: that of their members, drawn towards each other, and what pools gain over these."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayeslaw.decision.gain_shrinkage import GainShrinkage
from bayeslaw.decision.model_shrinkage import ModelShrinkage
from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.rule_functions import RuleFunctions


@dataclass(frozen=True)
class PoolPosterior:
    """Pools of models on the same clusters, with a prior that they are somewhat alike.

    Parameters
    ----------
    sums
        Sum over each cluster of what a pool loses, [cluster, pool].
    models
        The models that pools are made of.
    shares
        How much of what a pool loses is lost by each model: derivatives of its mean loss, which add up to one, [pool,
        model]. Of a single model one, and else zero.
    sizes
        Numbers of members, [pool].
    """

    sums: np.ndarray
    models: ModelShrinkage
    shares: np.ndarray
    sizes: np.ndarray

    @property
    def _several(self) -> np.ndarray:
        return np.flatnonzero(self.sizes > 1)

    @cached_property
    def _gains(self) -> GainShrinkage:
        some = self._several
        less = self.sums[:, some] - self.models.sums @ self.shares[some].T
        return GainShrinkage(less, self.models.weights, self.sizes[some])

    def expected(self, sums: np.ndarray, of_models: np.ndarray) -> np.ndarray:
        """Turn what pools lost into what they are expected to lose in truth: a linear map.

        Parameters
        ----------
        sums, of_models
            What pools and models lost in all on some clusters, [..., pool] and [..., model].

        Returns
        -------
        numpy.ndarray
            [..., pool].
        """
        found, some = sums + of_models @ self.models.expected @ self.shares.T, self._several
        gains = sums[..., some] - of_models @ self.shares[some].T
        found[..., some] -= self._gains.expected_share * self._gains.centred(gains)
        return found

    @cached_property
    def expected_means(self) -> np.ndarray:
        """Expected losses in truth, [pool]."""
        total = self.models.weights.sum()
        return self.expected(self.sums.sum(axis=0), self.models.sums.sum(axis=0)) / total

    def on(self, clusters: np.ndarray) -> "PoolPosterior":
        """Return what some of the clusters tell, [cluster]."""
        models = self.models
        models = replace(models, sums=models.sums[clusters], weights=models.weights[clusters])
        return PoolPosterior(self.sums[clusters], models, self.shares, self.sizes)

    def draw(self, weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw what pools lose.

        Parameters
        ----------
        weights
            Weights of clusters in each draw of the Bayesian bootstrap, [draw, cluster].
        generator
            Where the rest comes from.

        Returns
        -------
        numpy.ndarray
            Mean losses, [draw, pool].
        """
        lost = weights @ self.sums / (weights @ self.models.weights)[:, None]
        lost += self.models.shifts(weights, generator) @ self.shares.T
        lost[:, self._several] += self._gains.shifts(weights, generator)
        return lost

    def ordered(self, order: np.ndarray) -> "PoolPosterior":
        """Return the same of pools in another order."""
        return PoolPosterior(self.sums[:, order], self.models, self.shares[order], self.sizes[order])


def member_shares(
    nll: np.ndarray, weights: np.ndarray, pools: np.ndarray, folds: np.ndarray, functions: RuleFunctions
) -> np.ndarray:
    """Find how much of what pools lose is lost by each model.

    Parameters
    ----------
    nll
        Losses in nats of the models, [sample, model].
    weights
        Weight of each sample, [sample].
    pools
        Members, [pool, slot], padded with -1.
    folds
        Number of each sample's fold, [sample].
    functions
        Of the rule.

    Returns
    -------
    numpy.ndarray
        Win shares, which add up to one, [pool, model].
    """
    shares, part = np.zeros((len(pools), nll.shape[1])), weights / weights.sum()

    def fill(number: int) -> None:
        members = pools[number][pools[number] >= 0]
        of_members = part @ functions.gradients(nll[:, members], folds) if len(members) > 1 else 1.0
        shares[number, members] = of_members

    with ThreadPoolExecutor(usable_cores()) as executor:
        list(executor.map(fill, range(len(pools))))
    return shares
