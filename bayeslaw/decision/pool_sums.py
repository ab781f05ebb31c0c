"""What pools lose on each fold of the samples, each pool summed up once however often it is asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.pool_parts import lexicographic, make_parts
from bayeslaw.pools.rule_functions import RuleFunctions


@dataclass(frozen=True)
class FoldSums:
    """Sums over samples of what pools lose, by fold.

    Parameters
    ----------
    nll
        Losses in nats of the models that pools are made of, [sample, model].
    folds
        Number of each sample's fold, [sample].
    functions
        Of a rule by which what a pool loses on a sample depends on that sample alone.
    """

    nll: np.ndarray
    folds: np.ndarray
    functions: RuleFunctions
    _known: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    @property
    def models(self) -> int:
        """Number of models."""
        return self.nll.shape[1]

    @property
    def number(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    @cached_property
    def _blocks(self) -> list[tuple[np.ndarray, float]]:
        """Deviations from what all models lose on a sample, [model, sample], and the sum of that, of each fold."""
        blocks = []
        for fold in range(self.number):
            rows = self.nll[self.folds == fold]
            # What all models lose on a sample passes through a rule, and deviations from it may be rounded.
            base = rows.mean(axis=1)
            blocks.append((np.ascontiguousarray((rows - base[:, None]).T), float(base.sum())))
        return blocks

    def sorted_pools(self, pools: np.ndarray) -> np.ndarray:
        """Sum up pools in lexicographic order, members [pool, slot] ascending, padded with -1: [fold, pool]."""
        parts = make_parts(pools, self.models)

        def of_fold(block: tuple[np.ndarray, float]) -> np.ndarray:
            columns, base = block
            return base + self.functions.sums(columns, parts, np.zeros(columns.shape[1], dtype=np.int64))

        with ThreadPoolExecutor(usable_cores()) as executor:
            return np.stack(list(executor.map(of_fold, self._blocks)))

    def pools(self, pools: np.ndarray) -> np.ndarray:
        """Sum up pools, members [pool, slot] ascending, padded with -1, and remember them: [fold, pool]."""
        keys = [tuple(row) for row in pools.tolist()]
        new = [place for place, key in enumerate(keys) if key not in self._known]
        if new:
            ordered, back = lexicographic(np.unique(pools[new], axis=0))
            found = self.sorted_pools(ordered)
            for place, row in zip(back, np.unique(pools[new], axis=0).tolist(), strict=True):
                self._known[tuple(row)] = found[:, place]
        return np.stack([self._known[key] for key in keys], axis=1)
