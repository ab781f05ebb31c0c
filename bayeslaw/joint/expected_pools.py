"""What pools of new models are expected to lose along budgets: smooth, as chance is the same at every budget.

A model that follows the curve of its family has no loss of its own, but its losses on samples, how they vary and how
they go with those of others are drawn, and differ from model to model. Drawn apart for every budget they would let the
difference of two pools change its sign by chance from one budget to the next. So at each draw the models of all budgets
get the same random numbers (common random numbers; Glasserman and Yao 1992, Manag. Sci. 38), and several such models
are averaged over: what is left is what the draw says of pools at a budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.joint.draw_blocks import map_draws
from bayeslaw.joint.drawn_pools import resampled
from bayeslaw.joint.hypothetical import Member, NewModel, read_candidates
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import NewColumns
from bayeslaw.joint.sample_scales import SampleScales, scales_at_mean
from bayeslaw.pools.repeated_means import PoolMeans


def draw_expected(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    pools: Sequence[Sequence[Sequence[Member]]],
    *,
    rule: str,
    replicates: int,
    seed: int = 0,
) -> np.ndarray:
    """Draw what pools of new models on the curves of their families are expected to lose on new samples.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...].
    pools
        Pools under each budget: members of each. Under every budget they are the same pools but for the sizes of
        their members.
    rule
        How members are combined.
    replicates
        How many models in the place of each are averaged over.
    seed
        Seed.

    Returns
    -------
    numpy.ndarray
        Losses in the unit of the table, [draw, budget, pool]. New samples are the clusters of the table drawn again
        (Efron 1979), the same for all pools and budgets of a draw.
    """
    values = {name: np.asarray(values[name]) for name in model.sites}
    expected = _ExpectedPools(model, scales_at_mean(model, values), pools, rule, replicates)
    numbers = (len(model.table.names) + len(expected.models)) ** 2
    return map_draws(expected.losses, values, numbers=numbers, seed=seed)


@dataclass(frozen=True)
class _ExpectedPools:
    """Pools under some budgets; parameters as of `draw_expected`, and the samples' scales."""

    model: JointModel
    scales: SampleScales
    pools: Sequence[Sequence[Sequence[Member]]]
    rule: str
    replicates: int

    @cached_property
    def by_budget(self) -> list[tuple[NewModel, ...]]:
        """The models of each budget, in the order in which its pools name them."""
        return [read_candidates([], pools).new for pools in self.pools]

    @cached_property
    def models(self) -> list[NewModel]:
        """All of them, by budget."""
        return [model for models in self.by_budget for model in models]

    @cached_property
    def columns(self) -> list[NewColumns]:
        """What simulates the losses of the models of each budget, then of all."""
        families, reference = list(self.model.groups), self.model.table.reference
        numbered = [*families, *dict.fromkeys(new.family for new in self.models if new.family not in families)]
        return [
            NewColumns(
                self.model,
                self.scales,
                np.log(np.array([new.parameters for new in models]) / reference),
                np.array([numbered.index(new.family) for new in models]),
                own_part=False,
            )
            for models in [*self.by_budget, self.models]
        ]

    @cached_property
    def means_of(self) -> PoolMeans:
        """The pools of a budget as members of its models: the same under every budget."""
        members = read_candidates([], self.pools[0]).members
        return PoolMeans(members, len(self.by_budget[0]), self.model.table.clusters, self.rule)

    def losses(self, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        """Draw losses at draws of every site, [draw, budget, pool]."""
        table, *of_budgets = self.model.table, *self.columns[:-1]
        means = self.columns[-1].draw_means(values, generator)
        ends = np.cumsum([len(models) for models in self.by_budget])[:-1]
        by_budget = np.split(means, ends, axis=1)
        rows = [resampled(table.clusters, generator) for _ in means]
        to_nats = (table.weights / table.scale).astype(np.float32)
        found = np.zeros((len(means), len(of_budgets), len(self.pools[0])))
        count, seed = self.replicates, int(generator.integers(2**63))
        for place, (columns, wanted) in enumerate(zip(of_budgets, by_budget, strict=True)):
            drawn = columns.draw_replicates(values, wanted, count, np.random.default_rng(seed))
            for number, (losses, some) in enumerate(zip(drawn, rows, strict=True)):
                nll = (losses * to_nats)[:, :, some].swapaxes(0, 1).reshape(losses.shape[1], -1)
                every = np.tile(some, count)
                found[number, place] = self.means_of(nll, table.weights[every].sum(), every)
        return table.scale * found
