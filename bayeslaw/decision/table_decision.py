"""One choice between pools of a table's models: what is searched, judged and told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from bayeslaw.decision.cheaper_pools import CheaperPool, cheapest_as_good
from bayeslaw.decision.choice_rows import Choice, Choices, FrontPool, amount
from bayeslaw.decision.cluster_draws import Odds, draw_odds
from bayeslaw.decision.contenders import Contenders, choose_contenders, cluster_sums, most_contenders
from bayeslaw.decision.cross_fitting import CrossFit
from bayeslaw.decision.idle_members import HardlyMatters, hardly_matter, sufficient_parts
from bayeslaw.decision.limits import COSTS, Admitted, Limits, admit
from bayeslaw.decision.model_shrinkage import ModelShrinkage
from bayeslaw.decision.pareto_front import pareto_front
from bayeslaw.decision.pool_posterior import PoolPosterior, member_shares
from bayeslaw.decision.pool_search import Search, search_pools
from bayeslaw.decision.preselection import preselect
from bayeslaw.errors import InputError
from bayeslaw.losses.statistics import loss_unit, sample_weights
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.attained_gains import too_small
from bayeslaw.pools.cluster_intervals import Estimate
from bayeslaw.pools.folds import FOLDS, assign_folds
from bayeslaw.pools.pool_members import check_table
from bayeslaw.pools.rules import RULES, Rule
from bayeslaw.pools.rules_by_unit import decided_by
from bayeslaw.pools.table_rules import holds_votes

MORE_FOLDS = 10
DIGITS, TINY = 13, 1e-200
MOST_SINGLES = 30
BOUND = RULES["oracle"]


def decide(losses: xr.Dataset, limits: Limits, *, rule: str | None, cost: str, top: int, seed: int) -> "Decision":
    """Set up a choice; arguments and errors as of `choose`, the limits in one."""
    losses = check_table(losses)
    admitted = admit(losses, limits)
    clusters = cluster_codes(losses)
    if clusters.max() == 0:
        raise InputError(
            "the table has one cluster, and a pool is chosen on clusters other than those it is judged on",
            "a table of two clusters or more",
            "declare a finer cluster",
        )
    wanted = decided_by(rule, loss_unit(losses), votes=holds_votes(losses))
    folds = assign_folds(clusters, seed, FOLDS if wanted.cross_fitted else MORE_FOLDS)
    return Decision(losses, limits, admitted, wanted, cost, clusters, folds, top)


@dataclass(frozen=True)
class Decision:
    """A table with what is asked of it.

    Parameters
    ----------
    losses
        The table.
    limits, admitted
        What a pool may be, and the models that pools may be made of.
    rule
        How members combine.
    cost
        What the Pareto front is of.
    clusters, folds
        Numbers of each sample's cluster and fold, [sample].
    top
        How many pools to tell of.
    """

    losses: xr.Dataset
    limits: Limits
    admitted: Admitted
    rule: Rule
    cost: str
    clusters: np.ndarray
    folds: np.ndarray
    top: int

    @cached_property
    def nll(self) -> np.ndarray:
        """Losses of the admitted models, [sample, model]."""
        return self.losses["nll"].to_numpy()[:, self.admitted.models]

    @cached_property
    def search(self) -> Search:
        """The pools looked at."""
        if self.rule.cross_fitted:
            return preselect(self.nll, self.clusters, self.folds, self.admitted, self.rule, unit=loss_unit(self.losses))
        return search_pools(self.nll, self.folds, self.admitted, self.rule)

    def costs(self, name: str, pools: np.ndarray) -> np.ndarray:
        """Add up a cost over members, [pool]; NaN where it is not known."""
        padded = np.append(COSTS[name].of(self.losses)[self.admitted.models], 0.0)
        return padded[pools].sum(axis=1)

    @cached_property
    def front(self) -> np.ndarray:
        """Numbers of the pools looked at that are on the Pareto front by all samples."""
        return pareto_front(self.costs(self.cost, self.search.pools), self.search.sums.sum(axis=0))

    @cached_property
    def rows(self) -> int:
        """How many of the best pools come into question at least."""
        seen = self.search.seen
        return min(self.top, len(self.search.pools), *([] if seen is None else [len(each) for each in seen]))

    @cached_property
    def contenders(self) -> Contenders:
        """The pools that come into question, then single models to compare to that are not among them."""
        return self.contenders_of(self.front)

    def contenders_of(self, front: np.ndarray) -> Contenders:
        """Find the pools that come into question where some do for their cost, numbers of the pools looked at."""
        search, count = self.search, int(self.clusters.max()) + 1
        costs = self.costs(self.cost, search.pools)
        chosen = choose_contenders(search, costs, front, self.rows, most_contenders(count))
        pools, singles = search.pools[chosen], self._other_singles(search.pools[chosen])
        fold = np.zeros(count, dtype=np.int64)
        fold[self.clusters] = self.folds
        every = np.concatenate([pools, singles])
        new = every if search.by_cluster is None else singles
        sums = cluster_sums(self.nll, new, self.clusters, self.folds, self.rule.functions)
        if search.by_cluster is not None:
            sums = np.concatenate([search.by_cluster[:, chosen], sums], axis=1)
        seen = np.ones((search.sums.shape[0], len(every)), dtype=bool)
        for number in range(len(seen)):
            seen[number, : len(pools)] = np.isin(chosen, search.without_fold(number)[0])
        parts = np.append(sufficient_parts(pools, sums[:, : len(pools)]), len(pools) + np.arange(len(singles)))
        kept = parts == np.arange(len(every))
        posterior = self._posterior(every[kept], loss_scale(self.losses) * sums[:, kept])
        # By losses that are not rounded, and of pools that lose the same the smallest and cheapest first.
        pools = every[kept][: int(kept[: len(pools)].sum())]
        total = posterior.expected_means[: len(pools)]
        total = np.round(total, DIGITS - int(np.ceil(np.log10(max(np.abs(total).max(), TINY)))))
        order = np.lexsort([self.costs("parameters", pools), (pools >= 0).sum(axis=1), total])
        order = np.concatenate([order, len(pools) + np.arange(len(singles))])
        # Where each pool is that was kept.
        place = np.cumsum(kept) - 1
        return Contenders(
            pools=every[kept][order],
            posterior=posterior.ordered(order),
            folds=fold,
            seen=seen[:, kept][:, order],
            eligible=len(pools),
            idle_pools=every[~kept],
            idle_parts=np.argsort(order)[place[parts[~kept]]],
        )

    @property
    def told(self) -> int:
        """How many pools are told of: no more than are chosen among without any fold."""
        return min(self.rows, int(self.contenders.seen[:, : self.contenders.eligible].sum(axis=1).min()))

    def _posterior(self, pools: np.ndarray, sums: np.ndarray) -> PoolPosterior:
        """Find what pools that lose sums, [cluster, pool], lose in truth."""
        count, of_samples = sums.shape[0], sample_weights(self.losses)
        weights = np.bincount(self.clusters, of_samples, count)
        models = np.stack([np.bincount(self.clusters, column, count) for column in self.nll.T], axis=1)
        families = self.losses["family"].to_numpy()[self.admitted.models].astype(str)
        families = np.unique(families, return_inverse=True)[1]
        shares = member_shares(self.nll, of_samples, pools, self.folds, self.rule.functions)
        sizes = np.log(self.losses["parameters"].to_numpy()[self.admitted.models].astype(float))
        models = ModelShrinkage(loss_scale(self.losses) * models, weights, families, sizes)
        return PoolPosterior(sums, models, shares, (pools >= 0).sum(axis=1))

    def _other_singles(self, pools: np.ndarray) -> np.ndarray:
        alone = {int(pool[0]) for pool in pools[(pools >= 0).sum(axis=1) == 1]}
        # Of one member, every rule loses what that loses.
        order = np.argsort(self.nll.sum(axis=0), kind="stable")[:MOST_SINGLES].tolist()
        others = [model for model in order if model not in alone]
        singles = np.full((len(others), pools.shape[1]), -1, dtype=np.int64)
        singles[:, 0] = others
        return singles

    def names(self, pool: np.ndarray) -> tuple[str, ...]:
        """Name the members in the order of the table."""
        models = self.losses["lm"].to_numpy()
        return tuple(str(models[place]) for place in sorted(self.admitted.models[pool[pool >= 0]]))

    def cross_fit(self, front: np.ndarray) -> CrossFit:
        """Set up the choices that are judged: the best pools, the best single model, and the best for each cost."""
        contenders = self.contenders
        costs = self.costs(self.cost, contenders.pools)
        eligible = np.arange(len(costs)) < contenders.eligible
        under = [eligible & (costs <= costs[place]) for place in front]
        return CrossFit(contenders, self.told, np.array([contenders.single, *under]))

    def choices(self, interval: float, draws: int, seed: int) -> Choices:
        """Find out what is asked."""
        contenders, rows = self.contenders, self.told
        costs = self.costs(self.cost, contenders.pools)
        expected = contenders.expected
        front = pareto_front(costs[: contenders.eligible], expected[: contenders.eligible])
        fit = self.cross_fit(front)
        identity, single = np.eye(rows + 1 + len(front)), np.eye(rows + 1 + len(front))[rows]
        contrasts = np.concatenate([identity, identity[:rows] - single])
        estimates = fit.estimates(contrasts, interval, draws, seed)
        odds, away = draw_odds(contenders, costs, draws, seed)
        lost, compared = estimates[: rows + 1 + len(front)], estimates[rows + 1 + len(front) :]
        singles = np.flatnonzero(contenders.single)
        best_single = singles[expected[singles].argmin()]
        shares = self._shares(fit, [each.value for each in compared], lost[rows].value, seed)
        told = [
            self._row(contenders.pools[place], lost[place], compared[place], share, odds, place)
            for place, share in enumerate(shares)
        ]
        bound = self.search.bound
        to_unit = loss_scale(self.losses) / contenders.weights.sum()
        return Choices(
            rows=tuple(told),
            front=tuple(
                FrontPool(
                    self.names(contenders.pools[place]),
                    float(costs[place]),
                    each.value,
                    each.lower,
                    each.upper,
                    float(odds.on_front[place]),
                )
                for place, each in zip(front, lost[rows + 1 :], strict=True)
            ),
            single=self.names(contenders.pools[best_single])[0],
            single_loss=lost[rows].value,
            single_lower=lost[rows].lower,
            single_upper=lost[rows].upper,
            cost=self.cost,
            limits=str(self.limits),
            sample_unit=str(self.losses.attrs.get("unit", "sample")),
            clusters=len(contenders.weights),
            folds=contenders.seen.shape[0],
            pools=len(self.search.pools),
            bound=None if bound is None else bound * to_unit,
            lowest=float(contenders.means[: contenders.eligible].min()),
            interval=interval,
            draws=draws,
            contenders=contenders.eligible,
            idle=len(contenders.idle_pools),
            cheaper=self._cheaper(contenders, away, costs, interval),
            hardly=self._hardly(contenders, np.array([each.upper - each.lower for each in lost[:rows]])),
        )

    def _hardly(self, contenders: Contenders, widths: np.ndarray) -> tuple[HardlyMatters, ...]:
        of_pools = contenders.pools, contenders.posterior.shares, contenders.expected
        return tuple(
            HardlyMatters(row + 1, self.names(np.array([member]))[0], share)
            for row, member, share in hardly_matter(*of_pools, widths)
        )

    def _cheaper(
        self, contenders: Contenders, away: np.ndarray, costs: np.ndarray, interval: float
    ) -> CheaperPool | None:
        found = cheapest_as_good(away, costs[: contenders.eligible], interval)
        if found is None:
            return None
        place, mean, lower, upper = found
        cost = float(costs[place])
        members = self.names(contenders.pools[place])
        return CheaperPool(
            members, cost, cost / costs[0], self.cost, mean, lower, upper, interval, loss_unit(self.losses)
        )

    def _row(
        self, pool: np.ndarray, lost: Estimate, compared: Estimate, share: float | None, odds: Odds, place: int
    ) -> Choice:
        price, active = (self.costs(name, pool[None])[0] for name in ("price", "active_parameters"))
        return Choice(
            members=self.names(pool),
            parameters=float(self.costs("parameters", pool[None])[0]),
            active_parameters=amount([active]),
            price=amount([price]),
            rule=self.rule.name,
            unit=loss_unit(self.losses),
            loss=lost.value,
            lower=lost.lower,
            upper=lost.upper,
            probability_best=float(odds.best[place]),
            probability_better_than_single=float(odds.better_than_single[place]),
            regret=float(odds.regret[place]),
            difference=compared.value,
            difference_lower=compared.lower,
            difference_upper=compared.upper,
            share_of_oracle_gain=share,
            expected_loss=float(self.contenders.expected[place]),
        )

    def _shares(self, fit: CrossFit, differences: Sequence[float], single: float, seed: int) -> list[float | None]:
        """Divide the differences by those of the oracles of the same members."""
        contenders, rows = self.contenders, self.told
        chosen = fit.chosen[:, : rows + 1]
        used, place = np.unique(chosen, return_inverse=True)
        scale = loss_scale(self.losses)
        oracle = scale * cluster_sums(self.nll, contenders.pools[used], self.clusters, self.folds, BOUND.functions)
        of_cluster = place.reshape(chosen.shape)[contenders.folds]
        sums = np.take_along_axis(oracle, of_cluster, axis=1)
        weight, count = contenders.weights, len(contenders.weights)
        gains = (sums[:, rows:] - sums[:, :rows]).sum(axis=0) / weight.sum()
        residual = sums[:, rows:] - sums[:, :rows] - gains * weight[:, None]
        errors = np.sqrt(count / (count - 1) * (residual**2).sum(axis=0)) / weight.sum()
        unit = loss_unit(self.losses)
        return [
            None if too_small(gain, error, single, unit) else float(-difference / gain)
            for gain, error, difference in zip(gains, errors, differences, strict=True)
        ]
