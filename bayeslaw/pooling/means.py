"""Mean losses of the same pools on many tables of losses, one after the other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.combine import assign_folds, choose_best
from bayeslaw.errors import check_choice
from bayeslaw.pooling import kernels, mixture_kernels
from bayeslaw.pooling.evaluate import POOLS_PER_TASK, Part
from bayeslaw.pooling.kernels import BLOCK

MEAN_RULES = ("oracle", "mixture", "best")
WORST = 1e200


@dataclass(frozen=True)
class PoolMeans:
    """Pools whose mean losses are wanted.

    Parameters
    ----------
    members
        Positions of members in ascending order, [pool, slot], padded with -1.
    models
        Number of models.
    clusters
        Number of each sample's cluster, [sample]; the rule ``"best"`` chooses on folds of whole clusters.
    rule
        One of `MEAN_RULES`.
    """

    members: np.ndarray
    models: int
    clusters: np.ndarray
    rule: str = "oracle"

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, MEAN_RULES)

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Different pools in lexicographic order, and which of them each pool is."""
        rows, back = np.unique(self.members, axis=0, return_inverse=True)
        order = np.lexsort(rows.T[::-1])
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return np.ascontiguousarray(rows[order]), place[back.ravel()]

    @cached_property
    def _parts(self) -> list[Part]:
        pools = self._rows[0]
        starts = range(0, len(pools), POOLS_PER_TASK)
        return [Part.of(slice(start, start + POOLS_PER_TASK), pools, self.models) for start in starts]

    @cached_property
    def _folds(self) -> np.ndarray:
        return assign_folds(self.clusters)

    def __call__(self, nll: np.ndarray, total: float, rows: np.ndarray | None = None) -> np.ndarray:
        """Average the losses of the pools.

        Parameters
        ----------
        nll
            Losses in nats, [lm, sample].
        total
            What the sum over samples is divided by.
        rows
            Which samples, of those that clusters were given of, the losses are of; all, in their order, by default.

        Returns
        -------
        np.ndarray
            Mean losses, [pool].
        """
        if self.rule == "best":
            sums = self._best(nll, self._folds if rows is None else self._folds[rows])
        else:
            sums = self._oracle(nll) if self.rule == "oracle" else self._mixture(nll)
        return sums[self._rows[1]] / total

    def _oracle(self, nll: np.ndarray) -> np.ndarray:
        columns, sums = np.ascontiguousarray(nll, dtype=np.float32), np.zeros(len(self._rows[0]))
        for part in self._parts:
            kernels.minimum_sums(columns, part.plan, part.pools.shape[1], sums[part.rows])
        return sums

    def _mixture(self, nll: np.ndarray) -> np.ndarray:
        columns = np.ascontiguousarray(nll, dtype=np.float64)
        base = columns.min(axis=0)
        exponentials, weights = np.exp(base - columns), np.ones(columns.shape[1])
        starts = np.arange(0, columns.shape[1], BLOCK)
        blocks = np.zeros((len(starts), 5), dtype=np.int64)
        blocks[:, 0], blocks[:, 1], blocks[:, 2] = kernels.PLAIN, starts, 1
        blocks[:, 3] = np.minimum(BLOCK, columns.shape[1] - starts)
        sums = np.zeros(len(self._rows[0]))
        for part in self._parts:
            found, wins = np.zeros((3, len(part.sizes))), np.zeros(part.pools.shape)
            mixture_kernels.mixture_sums(
                exponentials, columns, base, weights, blocks, np.zeros(1), part.plan, part.pools, found, wins
            )
            sums[part.rows] = found[0]
        return sums

    def _best(self, nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        # Padding (-1) reads the last column: a member so bad that it is never chosen.
        sums = np.full((int(self._folds.max()) + 1, self.models + 1), WORST)
        for fold in range(len(sums)):
            sums[fold, :-1] = nll[:, folds == fold].sum(axis=1, dtype=np.float64)
        of_pool = sums[:, self._rows[0]].transpose(1, 0, 2)
        chosen = choose_best(of_pool)
        return np.take_along_axis(of_pool, chosen[:, :, None], axis=2)[:, :, 0].sum(axis=1)
