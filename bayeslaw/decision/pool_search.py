r"""Which pools within limits lose least: all of them where they can be listed, else a search with a bound.

The search widens the best pools member by member (several greedy searches side by side) and exchanges members of the
best found as long as that helps. How much better a pool that was not looked at can be is bounded: the oracle's gain
:math:`F(P) = \sum_s (c_s - \min_{m \in P} nll_{sm})` is monotone and submodular, so that for any pools P and Q

.. math:: F(Q) \le F(P) + \sum_{m \in Q \setminus P} [F(P \cup m) - F(P)]

(Nemhauser, Wolsey and Fisher 1978), and the largest such sum within the limits is at most that of a knapsack filled
with fractions of models. No rule that takes a member for each sample, or mixes them, loses less than the oracle. For
equal mixtures a second bound holds: mixing all models with the best weights, which is convex (Cover 1984).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayeslaw.decision.limited_pools import limited_pools
from bayeslaw.decision.limits import ROUNDING, Admitted
from bayeslaw.decision.loss_bounds import lowest_possible
from bayeslaw.decision.pool_sums import FoldSums
from bayeslaw.pools.rules import Rule

MOST_LISTED = 2_000_000
MOST_WORK = 40_000_000_000
"""Pools times samples beyond which pools are not all looked at: some seconds of work."""
BEAM = 30
EXCHANGED = 5


@dataclass(frozen=True)
class Search:
    """Pools that were looked at.

    Parameters
    ----------
    pools
        Members, as places among the admitted models, [pool, slot] ascending, padded with -1.
    sums
        What they lose on the samples of each fold, in nats, [fold, pool].
    seen
        For each fold the pools that a search without it looks at; None where all pools are looked at.
    bound
        A sum that no pool within the limits loses less than; None where all pools are looked at.
    by_cluster
        What the pools lose on every cluster, in nats, [cluster, pool]; None where that is not known yet.
    """

    pools: np.ndarray
    sums: np.ndarray
    seen: list[np.ndarray] | None = None
    bound: float | None = None
    by_cluster: np.ndarray | None = None

    @property
    def exact(self) -> bool:
        """Whether all pools within the limits were looked at."""
        return self.seen is None

    def without_fold(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the pools that a search without a fold looks at, and what they lose on the others."""
        which = np.arange(self.pools.shape[0]) if self.seen is None else self.seen[fold]
        return which, self.sums[:, which].sum(axis=0) - self.sums[fold, which]


def search_pools(nll: np.ndarray, folds: np.ndarray, admitted: Admitted, rule: Rule) -> Search:
    """Look for the pools within limits that lose least.

    Parameters
    ----------
    nll
        Losses in nats of the admitted models, [sample, model].
    folds
        Number of each sample's fold, [sample].
    admitted
        The models, with what is limited.
    rule
        A rule by which what a pool loses on a sample depends on that sample alone.

    Returns
    -------
    Search
        The pools looked at, among them every single model within the limits.
    """
    sums = FoldSums(nll, folds, rule.functions)
    room = max(min(MOST_LISTED, MOST_WORK // len(nll)), nll.shape[1])
    pools = limited_pools(admitted.costs, admitted.most, admitted.required, admitted.max_size, room)
    if pools is not None:
        return Search(pools, sums.sorted_pools(pools))
    steps = _Steps(sums, admitted)
    found = [steps.search(fold) for fold in (None, *range(sums.number))]
    pools = np.unique(np.concatenate(found), axis=0)
    place = {tuple(row): number for number, row in enumerate(pools.tolist())}
    seen = [np.array([place[tuple(row)] for row in each.tolist()]) for each in found[1:]]
    best = steps.best_of_each_size(found[0])
    return Search(pools, sums.pools(pools), seen, lowest_possible(nll, admitted, best, rule))


@dataclass(frozen=True)
class _Steps:
    """A search from pools to their neighbours.

    Parameters
    ----------
    sums
        What pools lose.
    admitted
        The models, with what is limited.
    """

    sums: FoldSums
    admitted: Admitted

    @property
    def slots(self) -> int:
        return min(self.admitted.max_size, self.sums.models)

    def search(self, left_out: int | None) -> np.ndarray:
        """Return the pools looked at by a search that does not see one fold."""

        def loss(pools: np.ndarray) -> np.ndarray:
            found = self.sums.pools(pools)
            return found.sum(axis=0) - (0.0 if left_out is None else found[left_out])

        required = self.admitted.required
        first = self._padded([list(range(required))] if required else [[m] for m in range(self.sums.models)])
        looked, beam = [first], first
        for _ in range(max(required, 1), self.slots):
            wider = self._wider(beam)
            if not len(wider):
                break
            looked.append(wider)
            beam = wider[self._most_promising(wider, loss(wider))]
        every = np.unique(np.concatenate(looked), axis=0)
        for start in every[np.argsort(loss(every), kind="stable")[:EXCHANGED]]:
            looked += self._exchange(start, loss)
        return np.unique(np.concatenate(looked), axis=0)

    def best_of_each_size(self, pools: np.ndarray) -> list[np.ndarray]:
        """Return the pool of each size that loses least, members alone."""
        total, sizes = self.sums.pools(pools).sum(axis=0), (pools >= 0).sum(axis=1)
        best = [pools[sizes == size][total[sizes == size].argmin()] for size in np.unique(sizes)]
        return [pool[pool >= 0] for pool in best]

    def _most_promising(self, pools: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Choose the pools that lose least, and those that gain most for what they use of the limits."""
        best = np.argsort(loss, kind="stable")[:BEAM]
        if not len(self.admitted.most):
            return best
        used = (self._cost(pools) / np.maximum(self.admitted.most[:, None], 1e-300)).max(axis=0)
        gained = (loss.max() - loss) / np.maximum(used, 1e-12)
        return np.unique(np.concatenate([best, np.argsort(-gained, kind="stable")[:BEAM]]))

    def _exchange(self, start: np.ndarray, loss: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Add, leave out and swap members as long as that helps; returns all pools looked at."""
        looked, pool, now = [], start, float(loss(start[None])[0])
        while len(near := self._neighbours(pool)):
            looked.append(near)
            losses = loss(near)
            if not losses.min() < now:
                break
            pool, now = near[losses.argmin()], float(losses.min())
        return looked

    def _neighbours(self, pool: np.ndarray) -> np.ndarray:
        members, required = pool[pool >= 0].tolist(), self.admitted.required
        others = [model for model in range(self.sums.models) if model not in members]
        fewer = [[m for m in members if m != left] for left in members if left >= required]
        rows = [each for each in fewer if each]
        rows += [[*each, model] for each in fewer for model in others]
        rows += [[*members, model] for model in others] if len(members) < self.slots else []
        return self._within(self._padded([sorted(row) for row in rows]))

    def _wider(self, pools: np.ndarray) -> np.ndarray:
        rows = [
            sorted([*members, model])
            for members in ([m for m in row if m >= 0] for row in pools.tolist())
            for model in range(self.sums.models)
            if model not in members and len(members) < self.slots
        ]
        return self._within(np.unique(self._padded(rows), axis=0)) if rows else self._padded([])

    def _within(self, pools: np.ndarray) -> np.ndarray:
        allowed = self._cost(pools) <= self.admitted.most[:, None] * (1 + ROUNDING)
        return pools[allowed.all(axis=0)]

    def _cost(self, pools: np.ndarray) -> np.ndarray:
        padded = np.column_stack([self.admitted.costs, np.zeros(len(self.admitted.costs))])
        return padded[:, pools].sum(axis=-1)

    def _padded(self, rows: list[list[int]]) -> np.ndarray:
        padded = np.full((len(rows), self.slots), -1, dtype=np.int64)
        for target, row in zip(padded, rows, strict=True):
            target[: len(row)] = row
        return padded
