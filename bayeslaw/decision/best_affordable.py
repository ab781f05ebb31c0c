"""The best pool of scored models under a budget against the best of them alone, judged on other texts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.decision.crossings import step_crossings
from bayeslaw.errors import InputError
from bayeslaw.joint.joint_table import JointTable
from bayeslaw.laws.pool_advantages import RegimeAdvantage
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.designs import all_subsets, count_subsets
from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import find_rule

BEST = "best pool"
MOST_POOLS = 500_000
RESAMPLES = 2000


@dataclass(frozen=True)
class AffordablePools:
    """Pools of the models of a table, and which of them is best under each budget.

    What is best is chosen on four fifths of the clusters and judged on the others, five times: a choice judged by the
    texts that it was made on is flattered.

    Parameters
    ----------
    table
        The table.
    rule
        How pools are combined.
    max_size
        Largest number of members.
    """

    table: JointTable
    rule: str
    max_size: int

    def __post_init__(self) -> None:
        if self.table.clusters.max() == 0:
            raise InputError(
                "the table has one cluster, on which a best pool would be chosen and judged",
                "a table of two clusters or more",
                "declare a finer cluster",
            )

    @cached_property
    def size(self) -> int:
        """Largest number of members such that all pools can be looked at."""
        models = len(self.table.names)
        sizes = range(2, min(self.max_size, models) + 1)
        return max((size for size in sizes if count_subsets(models, size) <= MOST_POOLS), default=1)

    @cached_property
    def members(self) -> np.ndarray:
        """Members of every pool, those of one first, [pool, slot], padded with -1."""
        return all_subsets(len(self.table.names), self.size)

    @cached_property
    def several(self) -> np.ndarray:
        """Whether each pool has two members or more, [pool]."""
        return self.members[:, -(self.size - 1)] >= 0 if self.size > 1 else np.zeros(len(self.members), bool)

    @cached_property
    def parameters(self) -> np.ndarray:
        """Total parameters of each pool, [pool]."""
        # Padding reads the last entry.
        return np.append(self.table.parameters, 0.0)[self.members].sum(axis=1)

    @cached_property
    def folds(self) -> np.ndarray:
        """Fold of each sample, of whole clusters, [sample]."""
        return assign_folds(self.table.clusters)

    @cached_property
    def chosen_on(self) -> np.ndarray:
        """Mean loss of each pool on all samples but those of each fold, in nats, [fold, pool]; on all in the last."""
        table = self.table
        means = PoolMeans(self.members, len(table.names), table.clusters, self.rule)
        count = int(self.folds.max()) + 1
        kept = [np.flatnonzero(self.folds != fold) for fold in range(count)] + [np.arange(len(self.folds))]
        return np.stack([means(table.nll[:, rows], table.weights[rows].sum(), rows) for rows in kept])

    def best(self, budgets: np.ndarray, *, several: bool) -> np.ndarray:
        """Find the best pool under each budget, by what each fold is chosen on, [fold, point].

        Parameters
        ----------
        budgets
            Total parameters, each of which some pool is within, [point].
        several
            Whether of the pools of two or more, or of the models alone.
        """
        among = np.flatnonzero(self.several == several)
        among = among[np.argsort(self.parameters[among], kind="stable")]
        losses = self.chosen_on[:, among]
        # The place of the lowest loss so far.
        new = np.diff(np.minimum.accumulate(losses, axis=1), axis=1, prepend=np.inf) < 0
        place = np.maximum.accumulate(np.where(new, np.arange(len(among)), 0), axis=1)
        afforded = np.searchsorted(self.parameters[among], budgets, side="right") - 1
        return among[place[:, afforded]]

    @cached_property
    def steps(self) -> np.ndarray:
        """Budgets from the smallest pool on at which the best pool or the best model of any fold changes, ascending."""
        lowest = self.parameters[self.several].min()
        every = np.unique(self.parameters[self.parameters >= lowest])
        found = np.concatenate([self.best(every, several=several) for several in (True, False)])
        changes = (np.diff(found, axis=1) != 0).any(axis=0)
        return every[np.append(True, changes)]

    def in_clusters(self, pool: int) -> np.ndarray:
        """Sum of what a pool loses in each cluster and fold, in nats, [fold, cluster]."""
        table, members = self.table, self.members[pool]
        losses = find_rule(self.rule).functions.losses(table.nll[members[members >= 0]].T, self.folds)
        count, folds = int(table.clusters.max()) + 1, int(self.folds.max()) + 1
        sums = np.bincount(self.folds * count + table.clusters, losses, folds * count)
        return sums.reshape(folds, count)

    def differences(self, budgets: np.ndarray) -> np.ndarray:
        """Loss of the best model minus that of the best pool in each cluster, as judged, in nats, [cluster, point]."""
        pools, singles = (self.best(budgets, several=several)[:-1] for several in (True, False))
        lost = {int(pool): self.in_clusters(int(pool)) for pool in np.unique([pools, singles])}
        folds = range(len(pools))
        return np.stack(
            [
                sum(lost[int(singles[fold, point])][fold] - lost[int(pools[fold, point])][fold] for fold in folds)
                for point in range(len(budgets))
            ],
            axis=1,
        )

    def named(self, budget: float, *, several: bool) -> str:
        """Name the best pool, or the best model, under a budget by all samples."""
        members = self.members[self.best(np.array([budget]), several=several)[-1, 0]]
        return " + ".join(self.table.names[members[members >= 0]])


def best_advantage(
    table: JointTable, *, rule: str, max_size: int, budgets: tuple[float, ...], shown: tuple[float, ...], seed: int
) -> RegimeAdvantage | None:
    """Compare the best pool of scored models under each budget with the best of them alone.

    Parameters
    ----------
    table
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
        Seed of the resampled clusters.

    Returns
    -------
    RegimeAdvantage or None
        On new samples, by a bootstrap of clusters (Efron 1979); None where no pool is within a budget shown.
    """
    pools = AffordablePools(table, rule, max_size)
    lowest = pools.parameters[pools.several].min() if pools.several.any() else np.inf
    if shown[-1] < lowest:
        return None
    within = [budget for budget in budgets if budget >= lowest]
    grid = np.unique([*pools.steps[pools.steps <= within[-1]], *within])
    count = int(table.clusters.max()) + 1
    weights = np.bincount(table.clusters, table.weights, count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    draws = table.scale * (drawn @ pools.differences(grid)) / (drawn @ weights)[:, None]
    last = shown[-1]
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
            f"single model {pools.named(last, several=False)}. Both are chosen on four fifths of the clusters and "
            "judged on the others, since a choice is flattered by the texts that it was made on."
        ),
    )
