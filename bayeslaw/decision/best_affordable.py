"""The best pool of scored models under a budget against the best of them alone, as `bayeslaw.choose` would take them.

Pools and models are chosen by what they are expected to lose in truth, and what is said of them is said by draws of
that (`bayeslaw.decision.pool_posterior`): losses, and what pools gain, are drawn to their means as far as they differ
by chance, without which a choice among many is flattered by the texts that it was made on.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from bayeslaw.decision.cluster_draws import drawn_losses
from bayeslaw.decision.contenders import Contenders
from bayeslaw.decision.crossings import step_crossings
from bayeslaw.decision.limits import Limits
from bayeslaw.decision.pareto_front import pareto_front
from bayeslaw.decision.table_decision import Decision, decide
from bayeslaw.laws.pool_advantages import RegimeAdvantage
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.designs import count_subsets

BEST = "best pool"
COST = "parameters"
MOST_POOLS = 500_000
DRAWS = 1000


@dataclass(frozen=True)
class AffordablePools:
    """Pools of the models of a table, and which of them is best under each budget.

    Parameters
    ----------
    decision
        The table, and how pools are combined and how large they are.
    """

    decision: Decision

    @classmethod
    def of(cls, losses: xr.Dataset, rule: str, max_size: int, seed: int = 0) -> "AffordablePools":
        """Look at the pools of a table of as many members as all can be looked at, at most `max_size`.

        Raises
        ------
        InputError
            If the table has one cluster.
        """
        models = losses.sizes["lm"]
        sizes = range(2, min(max_size, models) + 1)
        size = max((size for size in sizes if count_subsets(models, size) <= MOST_POOLS), default=1)
        return cls(decide(losses, Limits(size, {}), rule=rule, cost=COST, top=1, seed=seed))

    @property
    def size(self) -> int:
        """Largest number of members."""
        return self.decision.limits.max_size

    @cached_property
    def contenders(self) -> Contenders:
        """The pools that come into question, those that are the best of two members or more for their size too."""
        search = self.decision.search
        several = np.flatnonzero((search.pools >= 0).sum(axis=1) > 1)
        costs, total = self.decision.costs(COST, search.pools), search.sums.sum(axis=0)
        front = several[pareto_front(costs[several], total[several])]
        return self.decision.contenders_of(np.union1d(self.decision.front, front))

    @cached_property
    def pools(self) -> np.ndarray:
        """Members of the contenders, then of pools that lose what one of these does, [pool, slot], padded with -1."""
        return np.concatenate([self.contenders.pools, self.contenders.idle_pools])

    @cached_property
    def stand_in(self) -> np.ndarray:
        """The contender that each pool loses the same as, [pool]."""
        return np.concatenate([np.arange(len(self.contenders.pools)), self.contenders.idle_parts])

    @cached_property
    def several(self) -> np.ndarray:
        """Whether each pool has two members or more, [pool]."""
        return (self.pools >= 0).sum(axis=1) > 1

    @cached_property
    def parameters(self) -> np.ndarray:
        """Total parameters of each pool, [pool]."""
        return self.decision.costs(COST, self.pools)

    @property
    def lowest(self) -> float:
        """Parameters of the smallest pool of two members or more; infinite where there is none."""
        return float(self.parameters[self.several].min(initial=np.inf))

    def best(self, budgets: np.ndarray, *, several: bool) -> np.ndarray:
        """Find the pool that is expected to lose least in truth under each budget, [point].

        Parameters
        ----------
        budgets
            Total parameters, each of which some pool is within, [point].
        several
            Whether of the pools of two or more, or of the models alone.
        """
        among = np.flatnonzero(self.several == several)
        among = among[np.argsort(self.parameters[among], kind="stable")]
        losses = self.contenders.expected[self.stand_in[among]]
        # The place of the lowest loss so far.
        new = np.diff(np.minimum.accumulate(losses), prepend=np.inf) < 0
        place = np.maximum.accumulate(np.where(new, np.arange(len(among)), 0))
        return among[place[np.searchsorted(self.parameters[among], budgets, side="right") - 1]]

    @cached_property
    def steps(self) -> np.ndarray:
        """Budgets from the smallest pool on at which the best pool or the best model changes, ascending."""
        every = np.unique(self.parameters[self.parameters >= self.lowest])
        found = np.stack([self.best(every, several=several) for several in (True, False)])
        changes = (np.diff(found, axis=1) != 0).any(axis=0)
        return every[np.append(True, changes)]

    def draws(self, budgets: np.ndarray, seed: int) -> np.ndarray:
        """Draw what the best model loses more than the best pool in truth under each budget, [draw, point]."""
        pools, singles = (self.stand_in[self.best(budgets, several=several)] for several in (True, False))
        lost = drawn_losses(self.contenders, DRAWS, seed)
        return np.concatenate([each[:, singles] - each[:, pools] for each in lost])

    def named(self, budget: float, *, several: bool) -> str:
        """Name the best pool, or the best model, under a budget."""
        return " + ".join(self.decision.names(self.pools[self.best(np.array([budget]), several=several)[0]]))


def best_advantage(
    losses: xr.Dataset, *, rule: str, max_size: int, budgets: tuple[float, ...], shown: tuple[float, ...], seed: int
) -> RegimeAdvantage | None:
    """Compare the best pool of scored models under each budget with the best of them alone.

    Parameters
    ----------
    losses
        The table.
    rule
        How pools are combined.
    max_size
        Largest number of members.
    budgets
        Total parameters; those under which no pool of two is are left out.
    shown
        Those of them that a reader looks at: the best pool under the largest is named.
    seed
        Seed of the folds and draws.

    Returns
    -------
    RegimeAdvantage or None
        On new samples, by draws of what pools lose in truth; None where no pool is within a budget shown.

    Raises
    ------
    InputError
        If the table has one cluster.
    """
    pools = AffordablePools.of(losses, rule, max_size, seed)
    if shown[-1] < pools.lowest:
        return None
    within = [budget for budget in budgets if budget >= pools.lowest]
    grid = np.unique([*pools.steps[pools.steps <= within[-1]], *within])
    draws, last = pools.draws(grid, seed), shown[-1]
    return RegimeAdvantage(
        regime=BEST,
        subject=f"the best pools of up to {pools.size} of the models scored",
        other="the best single one under the same budget",
        budgets=grid,
        draws=draws,
        extrapolation=np.zeros(len(grid)),
        crossing=step_crossings(grid, draws),
        steps=True,
        remark=(
            f"Under {count_label(last)} total parameters the best pool is {pools.named(last, several=True)}, the best "
            f"single model {pools.named(last, several=False)}. Both are those of the lowest expected loss, for which "
            "models, and what pools gain, are drawn to their means as far as they differ by chance: a choice is "
            "flattered by the texts that it was made on."
        ),
    )
