"""Mean losses of the same pools on many tables of losses, one after the other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.pool_parts import Part, lexicographic, make_parts
from bayeslaw.pools.rule_functions import RuleFunctions
from bayeslaw.pools.rules import USUAL_RULE, find_rule


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
        Number of each sample's cluster, [sample]; rules that choose do so on folds of whole clusters.
    rule
        Name of a rule that does not combine tokens.
    """

    members: np.ndarray
    models: int
    clusters: np.ndarray
    rule: str = USUAL_RULE

    def __post_init__(self) -> None:
        find_rule(self.rule, on_tokens=False, of_losses=True)

    @cached_property
    def _functions(self) -> RuleFunctions:
        return find_rule(self.rule).functions

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Different pools in lexicographic order, and which of them each pool is."""
        rows, back = np.unique(self.members, axis=0, return_inverse=True)
        pools, place = lexicographic(rows)
        return pools, place[back.ravel()]

    @cached_property
    def _parts(self) -> list[Part]:
        return make_parts(self._rows[0], self.models)

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
        folds = self._folds if rows is None else self._folds[rows]
        return self._functions.sums(nll, self._parts, folds)[self._rows[1]] / total
