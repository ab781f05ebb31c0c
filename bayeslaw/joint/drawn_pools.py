"""Losses of pools of known and new models, by simulation on the samples seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayeslaw.errors import check_choice
from bayeslaw.joint.draw_blocks import map_draws
from bayeslaw.joint.hypothetical import Candidates, Member, read_candidates
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.new_columns import NewColumns
from bayeslaw.joint.sample_scales import scales_at_mean
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rules import USUAL_RULE

SAMPLES = ("same", "new")


def draw_pools(
    model: JointModel,
    values: Mapping[str, np.ndarray],
    pools: Sequence[Sequence[Member]],
    *,
    rule: str = USUAL_RULE,
    samples: str = "same",
    own_part: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Draw losses of pools from their predictive distribution.

    Parameters
    ----------
    model
        The joint law with its table.
    values
        Draws of every site, each [draw, ...]; one table of losses is simulated for each.
    pools
        Members of each pool.
    rule
        ``"oracle"``, ``"mixture"``, ``"stacked"`` or ``"best"``.
    samples
        ``"same"``: the loss on the samples of the table, on which models seen keep the losses they have; ``"new"``: on
        as many new samples of the same kind, by a bootstrap of the clusters (Efron 1979).
    own_part
        Whether new models have a part of their own, or follow the curve of their family.
    seed
        Seed.

    Returns
    -------
    np.ndarray
        Losses in the unit of the table, [draw, pool].

    Raises
    ------
    InputError
        If a pool is not usable, or a choice not known.
    """
    check_choice("samples", samples, SAMPLES)
    candidates = read_candidates(list(model.table.names), pools)
    values = {name: np.asarray(values[name]) for name in model.sites}
    drawn = _DrawnTables(model, candidates, _new_columns(model, values, candidates, own_part), rule, samples == "new")
    if drawn.columns is None and not drawn.resample:
        # Nothing is drawn: the losses of the table, the same at every draw.
        count, values = len(values["length"]), {name: draws[:1] for name, draws in values.items()}
        return np.repeat(drawn.pool_losses(values, np.random.default_rng(seed)), count, axis=0)
    numbers = (len(model.table.names) + len(candidates.new)) ** 2
    return map_draws(drawn.pool_losses, values, numbers=numbers, seed=seed)


class Outcomes(NamedTuple):
    """What pools lose, and new models, at the same draws, in the unit of the table.

    Attributes
    ----------
    scored
        Losses of pools on the samples of the table, [draw, pool].
    expected
        What they would lose on all samples of this kind: on the clusters of the table, drawn again (Efron 1979), which
        are the same for all pools of a draw, [draw, pool].
    means
        Mean losses of the new models on the samples of the table, [draw, new].
    """

    scored: np.ndarray
    expected: np.ndarray
    means: np.ndarray


def draw_outcomes(
    model: JointModel, values: Mapping[str, np.ndarray], pools: Sequence[Sequence[Member]], *, rule: str, seed: int
) -> Outcomes:
    """Draw what scoring new models may show, beside what pools would lose on all samples.

    Parameters
    ----------
    model, values, pools, rule, seed
        As in `draw_pools`; at least one pool has a new model, and means of new models are in the order in which pools
        name them.

    Returns
    -------
    Outcomes
        The losses.
    """
    candidates = read_candidates(list(model.table.names), pools)
    values = {name: np.asarray(values[name]) for name in model.sites}
    drawn = _DrawnTables(model, candidates, _new_columns(model, values, candidates, own_part=True), rule, resample=True)
    numbers = (len(model.table.names) + len(candidates.new)) ** 2
    found = map_draws(drawn.outcomes, values, numbers=numbers, seed=seed)
    return Outcomes(found[:, : len(pools)], found[:, len(pools) : 2 * len(pools)], found[:, 2 * len(pools) :])


def _new_columns(
    model: JointModel, values: Mapping[str, np.ndarray], candidates: Candidates, own_part: bool
) -> NewColumns | None:
    """Return what simulates the new models' columns; None where there are no new models."""
    if not candidates.new:
        return None
    families = list(model.groups)
    numbered = [*families, *dict.fromkeys(new.family for new in candidates.new if new.family not in families)]
    return NewColumns(
        model,
        scales_at_mean(model, values),
        np.log(np.array([new.parameters for new in candidates.new]) / model.table.reference),
        np.array([numbered.index(new.family) for new in candidates.new]),
        own_part,
    )


@dataclass(frozen=True)
class _DrawnTables:
    """Tables of the models that pools need, one for each draw.

    Parameters
    ----------
    model
        The joint law with its table.
    candidates
        The models and pools.
    columns
        What simulates the columns of new models; None where there are none.
    rule
        The rule.
    resample
        Whether the samples are new ones.
    """

    model: JointModel
    candidates: Candidates
    columns: NewColumns | None
    rule: str
    resample: bool

    @cached_property
    def known(self) -> np.ndarray:
        """Positions of the models of the table that are members of pools, ascending."""
        members = self.candidates.members
        return np.unique(members[(members >= 0) & (members < len(self.model.table.names))])

    @cached_property
    def means(self) -> PoolMeans:
        """The pools, of columns numbered anew: those known, then the new ones."""
        models, new = len(self.model.table.names), len(self.candidates.new)
        # Padding reads the last entry.
        place = np.full(models + new + 1, -1)
        place[self.known] = np.arange(len(self.known))
        place[models:-1] = len(self.known) + np.arange(new)
        members = place[self.candidates.members]
        return PoolMeans(members, len(self.known) + new, self.model.table.clusters, self.rule)

    def pool_losses(self, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        """Draw a table for each draw of every site; returns losses of pools in the reported unit, [draw, pool]."""
        table = self.model.table
        to_nats, seen = (table.weights / table.scale).astype(np.float32), table.nll[self.known]
        if self.columns is None:
            tables = (seen for _ in values["length"])
        else:
            drawn = self.columns.draw(values, generator)
            tables = (np.concatenate([seen.astype(np.float32), losses * to_nats]) for losses, _ in drawn)
        found = []
        for nll in tables:
            rows = resampled(table.clusters, generator) if self.resample else None
            total = table.weights.sum() if rows is None else table.weights[rows].sum()
            found.append(table.scale * self.means(nll if rows is None else nll[:, rows], total, rows))
        return np.stack(found)

    def outcomes(self, values: Mapping[str, np.ndarray], generator: np.random.Generator) -> np.ndarray:
        """Draw losses of pools on the samples and on drawn clusters, and means: [draw, pools + pools + new]."""
        table, columns = self.model.table, self.columns
        assert columns is not None
        to_nats, seen = (table.weights / table.scale).astype(np.float32), table.nll[self.known].astype(np.float32)
        found = []
        for losses, means in columns.draw(values, generator):
            nll, rows = np.concatenate([seen, losses * to_nats]), resampled(table.clusters, generator)
            scored = table.scale * self.means(nll, table.weights.sum())
            expected = table.scale * self.means(nll[:, rows], table.weights[rows].sum(), rows)
            found.append(np.concatenate([scored, expected, means]))
        return np.stack(found)


def resampled(clusters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw as many clusters as there are with replacement, and return the samples in them."""
    count = int(clusters.max()) + 1
    chosen = generator.integers(count, size=count)
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters, minlength=count)
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([order[starts[cluster] : starts[cluster] + sizes[cluster]] for cluster in chosen])
