"""What is said of a pool that may be chosen."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bayeslaw.decision.cheaper_pools import CheaperPool
from bayeslaw.decision.idle_members import HardlyMatters, hardly_words
from bayeslaw.decision.limits import COSTS
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.inputs.former_names import former_field
from bayeslaw.losses.loss_text import loss_form, loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html, answer, frame_table
from bayeslaw.pools.cluster_intervals import INTERVAL_KIND

OF_LOSSES = ("loss", "lower", "upper", "regret", "difference", "difference_lower", "difference_upper")


@dataclass(frozen=True)
class Choice:
    """A pool on its rank, with what it is expected to lose on new samples.

    Attributes
    ----------
    members
        Names.
    parameters, active_parameters, price
        What the members add up to; None where not known.
    rule
        How members combine.
    unit
        Unit of the losses.
    loss, lower, upper
        What is promised of this rank, with its interval: the loss, judged on each fold, of the pool that has the rank
        on the others, which need not be this pool.
    expected_loss
        What this pool is expected to lose in truth, by which pools are ranked.
    probability_best
        Probability that no other pool within the limits loses less.
    probability_better_than_single
        Probability that it loses less than every single model within the same limits of cost.
    regret
        Expected loss beyond that of the pool that is in truth best.
    difference, difference_lower, difference_upper
        What is promised of this rank minus that of the best single model, judged on the same clusters, with its
        interval; negative is better.
    share_of_oracle_gain
        The difference as a share of that of the oracle of the same members; None where that is too small to divide by.
    """

    members: tuple[str, ...]
    parameters: float
    active_parameters: float | None
    price: float | None
    rule: str
    unit: str
    loss: float
    lower: float
    upper: float
    probability_best: float
    probability_better_than_single: float
    regret: float
    difference: float
    difference_lower: float
    difference_upper: float
    share_of_oracle_gain: float | None
    expected_loss: float


@dataclass(frozen=True)
class FrontPool:
    """A pool on the Pareto front of cost against loss.

    Attributes
    ----------
    members
        Names.
    cost
        What they cost.
    loss, lower, upper
        Expected loss, with its interval, of the best pool for at most this cost, chosen on other clusters.
    probability
        That no pool for at most this cost loses less.
    """

    members: tuple[str, ...]
    cost: float
    loss: float
    lower: float
    upper: float
    probability: float


@former_field("level", "interval")
@dataclass(frozen=True)
class Choices:
    """Pools within limits, best first, and what was done to find them.

    Attributes
    ----------
    rows
        The pools.
    front
        The Pareto front, by cost.
    single
        Name of the best single model.
    single_loss, single_lower, single_upper
        Its expected loss, with its interval.
    cost
        What the front is of: a key of `bayeslaw.decision.limits.COSTS`.
    limits
        The limits, in words.
    sample_unit
        What a sample is.
    clusters, folds
        How many.
    pools
        How many pools were looked at.
    bound
        What no pool within the limits that was not looked at loses less than, on these samples; None where all were.
    lowest
        The lowest loss on these samples, to hold against the bound.
    interval
        Level of the intervals.
    draws
        Over how many draws probabilities and regrets are means.
    contenders
        How many pools they are about: all that come into question.
    idle
        How many were left out that hold a member that never matters: they lose what they do without it.
    cheaper
        The cheapest pool that is not told apart from the first; None where none is cheaper.
    hardly
        Rows with a member that hardly matters.
    interval_kind
        What the intervals are.
    method
        How losses and probabilities came about, in words; empty where they are cross-fitted on a table.
    """

    rows: tuple[Choice, ...]
    front: tuple[FrontPool, ...]
    single: str
    single_loss: float
    single_lower: float
    single_upper: float
    cost: str
    limits: str
    sample_unit: str
    clusters: int
    folds: int
    pools: int
    bound: float | None
    lowest: float
    interval: float
    draws: int
    contenders: int
    idle: int = 0
    cheaper: CheaperPool | None = None
    hardly: tuple[HardlyMatters, ...] = ()
    interval_kind: str = INTERVAL_KIND
    method: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """One row a pool, best first, with the columns of `Choice`."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    @property
    def pareto(self) -> pd.DataFrame:
        """One row a pool of the front, cheapest first, with the columns of `FrontPool`."""
        return pd.DataFrame([asdict(row) for row in self.front])

    def as_list(self) -> list[dict[str, Any]]:
        """Give plain values for JSON: a list of pools, best first."""
        return [asdict(row) | {"members": list(row.members)} for row in self.rows]

    @property
    def sentences(self) -> list[str]:
        """The answer in words: what to choose, how sure that is, and how it was found."""
        cheaper = [] if self.cheaper is None else [str(self.cheaper)]
        return [
            self._choice(),
            self._confidence(),
            *cheaper,
            *hardly_words(self.hardly),
            self._method(),
            self._search(),
        ]

    def _ends(self, lower: float, upper: float) -> str:
        return f"({loss_text(lower)} to {loss_text(upper)})"

    def _choice(self) -> str:
        best = self.rows[0]
        what = f"the single model {best.members[0]}" if len(best.members) == 1 else " + ".join(best.members)
        rule = "" if len(best.members) == 1 else f" by the rule {best.rule}"
        words = (
            f"Of pools of {self.limits}, choose {what}: on new samples ({self.sample_unit}) it is expected to lose "
            f"{loss_text(best.loss)} {best.unit} {self._ends(best.lower, best.upper)}{rule}"
        )
        if best.members == (self.single,):
            return f"{words}."
        than = "less" if best.difference <= 0 else "more"
        return (
            f"{words}, {loss_text(abs(best.difference))} {than} than the best single "
            f"model within the same limits of cost, {self.single} (pool minus model, below zero the pool is better: "
            f"{loss_text(best.difference)}, {loss_text(best.difference_lower)} to {loss_text(best.difference_upper)})."
        )

    def _confidence(self) -> str:
        best = self.rows[0]
        alone = best.members == (self.single,)
        better = f"better than every single model with probability {best.probability_better_than_single:.2f}, and "
        words = (
            f"It is {'' if alone else better}the best of {self._among()} with probability "
            f"{best.probability_best:.2f}; the regret expected of choosing it is {loss_text(best.regret)} {best.unit}."
        )
        undecided = not alone and best.difference_lower < 0 < best.difference_upper
        return words + (" These samples do not decide between it and a single model." if undecided else "")

    def _among(self) -> str:
        if self.contenders + self.idle >= self.pools:
            return f"all {counted(self.pools, 'pool')} within the limits" if self.pools > 1 else "the one pool there is"
        return f"the {self.contenders:,} of {self.pools:,} pools that come into question"

    def _method(self) -> str:
        return self.method or (
            "The promise of a rank, and its difference, are those of the pool that has the rank on other clusters "
            f"({self.clusters:,} clusters in {self.folds} folds), which below the first need not be the pool of the "
            f"row; {self.interval:.0%} intervals ({self.interval_kind}) are for new samples of this kind and these "
            "models. Of the pool itself are the expected loss, by which pools are ranked, probabilities and regrets: "
            f"means over {self.draws:,} draws (a Bayesian bootstrap over clusters, models and gains drawn to their "
            f"means as far as they differ by chance), by which a probability is known to "
            f"{0.5 / self.draws**0.5:.2g} (standard error) or better."
        )

    def _search(self) -> str:
        if self.bound is None:
            idle = (
                ""
                if not self.idle
                else (
                    f" Left out of the table: {counted(self.idle, 'pool')} with a member that never matters here, each "
                    "as good as the pool without it."
                )
            )
            return f"Looked at: {counted(self.pools, 'pool')} within the limits, which are all.{idle}"
        words = (
            f"{self.pools:,} pools were looked at, not all: on these samples the best of them loses "
            f"{loss_text(self.lowest)}, and none of the others less than {loss_text(self.bound)}"
        )
        gap = self.lowest - self.bound
        return f"{words}, so that none is better." if gap <= 0 else f"{words} (a bound, {loss_text(gap)} lower)."

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def __repr__(self) -> str:
        best = excerpt(" + ".join(self.rows[0].members))
        return f"<Choices: {best} first of {self.pools} pools, P(best) {self.rows[0].probability_best:.2f}>"

    def _repr_html_(self) -> Html:
        kind = f"{self.interval:.0%} intervals, {self.interval_kind}"
        forms: dict[str, Callable[[float], str]] = {
            **{name: loss_form(self.table[name]) for name in OF_LOSSES if name in self.table},
            **dict.fromkeys(("parameters", "active_parameters"), count_label),
        }
        costs = forms | {"cost": COSTS[self.cost].label}
        front = frame_table(self.pareto, caption=f"the front of {self.cost} against loss, {kind}", forms=costs)
        return answer(self.sentences, frame_table(self.table, caption=f"pools, {kind}", forms=forms), front)


def counted(count: int, what: str) -> str:
    """Write how many there are of something."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def amount(values: Any) -> float | None:
    """Add up what members cost; None where one's cost is not known."""
    total = float(sum(values))
    return None if math.isnan(total) else total
