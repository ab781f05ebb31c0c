"""How much of what heterogeneous pools are better by is diversity, and how much better partners."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError, check_whole
from bayeslaw.inputs.arguments import a_choice, a_level, a_number, a_seed, a_whole_number, accepts, optional
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS, parameter_counts
from bayeslaw.losses.statistics import loss_unit, sample_weights
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.markup import Html, answer, element, frame_table
from bayeslaw.pools.cluster_intervals import INTERVAL_KIND, ClusterDifferences, Estimate
from bayeslaw.pools.combinations import combine
from bayeslaw.pools.designs import matched_pairs
from bayeslaw.pools.pool_members import check_table
from bayeslaw.pools.rules import USUAL_RULE, a_rule, find_rule, pointwise_rules
from bayeslaw.pools.table_rules import check_of_table

USUAL_SIZE = 3
MOST_DRAWS = 100_000
DEFINITION = (
    "Pairs of one homogeneous and one heterogeneous pool with as many members and nearly the same budget. The "
    "advantage is the loss of the homogeneous pool minus that of the heterogeneous one, averaged over pairs. Better "
    "partners is the same difference of the losses of the pools' best members, by their mean loss on these samples. "
    "Diversity is the rest: how much more heterogeneous pools gain over their own best members than homogeneous ones "
    "do. Above zero, heterogeneous pools are better. Intervals are for other samples of the same models, not for other "
    "models."
)
"""What the parts of an advantage are, in words."""


@dataclass(frozen=True)
class Parts:
    """The advantage of heterogeneous pools over some pairs, and its two parts, which add up to it.

    Parameters
    ----------
    size
        Number of members of the pools, or ``"all"``.
    pairs
        How many pairs are averaged.
    total
        Loss of homogeneous minus loss of heterogeneous pools.
    better_partners
        The same of their best members.
    diversity
        Gain of heterogeneous pools over their own best members minus that of homogeneous ones.
    """

    size: int | str
    pairs: int
    total: Estimate
    better_partners: Estimate
    diversity: Estimate


@dataclass(frozen=True)
class Advantage:
    """The advantage of heterogeneous pools, over all pairs and by the size of pools.

    Parameters
    ----------
    parts
        Of all pairs first, then by number of members.
    unit
        Unit of the losses.
    rule
        How members combine.
    interval
        Level of the intervals.
    interval_kind
        What the intervals are.
    tolerance
        Largest absolute difference of the natural log budgets of a pair.
    definition
        What the parts are, in words.
    """

    parts: tuple[Parts, ...]
    unit: str
    rule: str
    interval: float
    interval_kind: str
    tolerance: float
    definition: str = DEFINITION

    @property
    def overall(self) -> Parts:
        """Parts over all pairs."""
        return self.parts[0]

    @property
    def table(self) -> pd.DataFrame:
        """One row a part and size: ``size``, ``pairs``, ``part``, ``value``, ``lower``, ``upper``."""
        rows = [
            {"size": parts.size, "pairs": parts.pairs, "part": part, **asdict(getattr(parts, part))}
            for parts in self.parts
            for part in ("total", "better_partners", "diversity")
        ]
        return pd.DataFrame(rows)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self) | {"parts": [asdict(parts) for parts in self.parts]}

    def _repr_html_(self) -> Html:
        caption = f"advantage of heterogeneous {self.rule} pools, {self.unit}, {self.interval:.0%} intervals"
        return answer((), frame_table(self.table, caption=caption), element("p", self.definition))


@accepts(
    losses=loss_table,
    rule=a_rule(pointwise_rules),
    max_size=optional(a_whole_number(lowest=2, suggested=USUAL_SIZE, words="max size {value}")),
    parameters=a_choice(PARAMETER_COUNTS),
    tolerance=a_number(lowest=0, accepted="a difference of log budgets of at least zero", suggested=0.1),
    interval=a_level,
    draws=a_whole_number(lowest=1, highest=MOST_DRAWS, suggested=2000),
    seed=a_seed,
)
def advantage(
    losses: xr.Dataset,
    *,
    rule: str = USUAL_RULE,
    max_size: int | None = None,
    parameters: str = "total",
    tolerance: float = 0.1,
    interval: float = 0.9,
    draws: int = 2000,
    seed: int = 0,
) -> Advantage:
    """Split the advantage of heterogeneous pools into diversity and better partners.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    rule
        How members combine: ``"oracle"`` or ``"mixture"``.
    max_size
        Largest number of members; by default 3, or all models where there are fewer.
    parameters
        Which count of parameters a budget adds up: ``"total"``, ``"non-embedding"`` or ``"active"``.
    tolerance
        Largest absolute difference of the natural log budgets of a pair; see the design ``"matched"`` of
        `bayeslaw.make_pools`.
    interval
        Level of the equal-tailed interval.
    draws
        Bootstrap samples of clusters, the same for all pools and models, whose studentised differences give the
        quantiles of the intervals.
    seed
        Seed of the pairs, of the clusters left out and of the bootstrap.

    Returns
    -------
    Advantage
        The advantage and its parts; `DEFINITION` says what they are.

    Raises
    ------
    InputError
        If the table has no losses on samples, one cluster, one family or no family of two models, if no pair is within
        the tolerance, or a choice is out of range.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> found = bl.advantage(bl.load_dataset("zoo", unit="document"), max_size=2, draws=200)
    >>> found.table["part"].unique().tolist()
    ['total', 'better_partners', 'diversity']
    >>> rest = found.overall.total.value - found.overall.better_partners.value
    >>> abs(found.overall.diversity.value - rest) < 1e-12
    True
    """
    losses = check_table(losses)
    check_of_table(find_rule(rule), losses)
    clusters = cluster_codes(losses)
    if clusters.max() == 0:
        raise InputError(
            "the table has one cluster, which tells nothing of how losses differ between samples",
            "a table of two clusters or more",
            "declare a finer cluster",
        )
    max_size = min(USUAL_SIZE, losses.sizes["lm"]) if max_size is None else max_size
    check_whole("max size", max_size, lowest=2, suggested=USUAL_SIZE)
    members = _pairs(losses, max_size, parameters, tolerance, seed)
    size = (members[:, 0] >= 0).sum(axis=1)
    groups: dict[int | str, np.ndarray] = {"all": np.ones(len(size), dtype=bool)}
    groups |= {int(one): size == one for one in np.unique(size)}
    found = _differences(losses, members, list(groups.values()), rule=rule, seed=seed).estimates(interval, draws)
    every, parts = len(groups), []
    for number, (name, of_group) in enumerate(groups.items()):
        parts.append(Parts(name, int(of_group.sum()), *found[number::every]))
    return Advantage(tuple(parts), loss_unit(losses), rule, interval, INTERVAL_KIND, float(tolerance))


def _pairs(losses: xr.Dataset, max_size: int, parameters: str, tolerance: float, seed: int) -> np.ndarray:
    """Match pools: members [pair, 2, slot], the homogeneous pool first."""
    if max_size > losses.sizes["lm"]:
        raise InputError(
            f"max size {max_size} does not suit a table of {losses.sizes['lm']} models",
            f"a whole number from 2 to {losses.sizes['lm']}",
            f"use {losses.sizes['lm']}",
        )
    codes = pd.factorize(losses["family"].to_numpy())[0]
    budgets = parameter_counts(losses, parameters)
    generator = np.random.default_rng([seed, 0])
    members, match = matched_pairs(codes, budgets, max_size, limit=None, tolerance=tolerance, generator=generator)
    return members[match >= 0].reshape(-1, 2, max_size)


def _differences(
    losses: xr.Dataset, members: np.ndarray, groups: list[np.ndarray], *, rule: str, seed: int
) -> ClusterDifferences:
    """Set up the total advantage of every group, then the better partners, then the rest."""
    nll, clusters, weights = losses["nll"].to_numpy(), cluster_codes(losses), sample_weights(losses)
    number = int(clusters.max()) + 1
    means = np.array([weights_of_pool / weights_of_pool.sum() for weights_of_pool in groups])
    contrast = np.zeros((len(groups), len(nll)))
    names = losses["lm"].to_numpy()
    for pair, (homogeneous, mixed) in enumerate(members):
        # What pools lose adds up sample by sample, so that one column a group stands for all of its pairs.
        lost, other = (combine(losses, list(names[p[p >= 0]]), rule=rule).to_numpy() for p in (homogeneous, mixed))
        contrast += means[:, pair, None] * (lost - other)
    scale = loss_scale(losses)
    totals, models = (
        scale * np.stack([np.bincount(clusters, column, number) for column in columns], axis=1)
        for columns in (contrast, nll.T)
    )
    weight = np.bincount(clusters, weights, number)

    def lost_by_best(lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses of the best members of all pools and their positions, each [subset, pair, 2], of models' losses."""
        # Padding reads the last entry, which is never the best.
        padded = np.column_stack([lost, np.full(len(lost), np.inf)])
        slot = np.stack([padded[:, column] for column in np.moveaxis(members, -1, 0)]).argmin(axis=0)
        position = np.take_along_axis(members[None], slot[..., None], axis=-1)[..., 0]
        return np.take_along_axis(padded[:, None, :], position, axis=-1), position

    def chosen_anew(kept: np.ndarray) -> np.ndarray:
        of_weight = (kept @ weight)[:, None]
        best = lost_by_best(kept @ models / of_weight)[0]
        total, partners = kept @ totals / of_weight, (best[..., 0] - best[..., 1]) @ means.T
        return np.hstack([total, partners, total - partners])

    position = lost_by_best(models.sum(axis=0)[None])[1][0]
    of_models = np.zeros((len(members), models.shape[1]))
    for sign, column in zip((1, -1), position.T, strict=True):
        np.add.at(of_models, (np.arange(len(members)), column), sign)
    partners = models @ (means @ of_models).T
    return ClusterDifferences(np.hstack([totals, partners, totals - partners]), weight, chosen_anew, seed)
