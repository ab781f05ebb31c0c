"""Which pool to take of models that are scored and models that could be had, by draws of the joint law."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from bayeslaw.decision.candidates import Candidate, check_as_scored, check_parts, doubts
from bayeslaw.decision.cheaper_pools import CheaperPool, cheapest_as_good
from bayeslaw.decision.choice_rows import Choice, Choices, FrontPool, amount, counted
from bayeslaw.decision.cluster_draws import odds_of
from bayeslaw.decision.limited_pools import limited_pools
from bayeslaw.decision.limits import COSTS, Admitted, Limits, admit
from bayeslaw.decision.pareto_front import pareto_front
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.joint.draw_blocks import thinned
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.hypothetical import Member
from bayeslaw.pools.attained_gains import too_small
from bayeslaw.pools.rules import RULES
from bayeslaw.pools.rules_by_unit import decided_by

MOST_LISTED = 200_000
MOST_POOLS, FIRST_DRAWS = 400, 20
INTERVAL_KIND = "equal-tailed, of draws"
ORACLE = RULES["oracle"].name


def joint_choices(
    fit: Fit,
    candidates: Sequence[Candidate],
    limits: Limits,
    *,
    rule: str | None,
    cost: str,
    top: int,
    interval: float,
    draws: int,
    seed: int,
) -> Choices:
    """Choose by a fit of the joint law; arguments as of `bayeslaw.choose`, the limits in one."""
    table = fit.model.table
    scored = [str(name) for name in table.names]
    # A scored model among the candidates says what it costs, which no fit knows.
    priced = {candidate.name: candidate for candidate in candidates if candidate.name in scored}
    check_parts(candidates, fit.parameters_kind)
    known = zip(table.parameters.tolist(), table.families.tolist(), strict=True)
    check_as_scored(priced, dict(zip(scored, known, strict=True)))
    candidates = [candidate for candidate in candidates if candidate.name not in scored]
    chosen_rule = decided_by(rule, table.answer_unit, votes=table.votes).name
    models = _models(fit, candidates, priced)
    admitted = admit(models, limits, told_in="the candidates, with rows of the scored models")
    values = thinned(fit.values(), fit.model.sites, draws)
    asked = _Asked(fit, tuple(candidates), models, admitted, limits, chosen_rule, cost, seed)
    return asked.choices(values, top, interval)


def no_choices(fit: Fit, candidates: Sequence[Candidate], limits: Limits, **choices: object) -> Choices:
    """Refuse a fit of a law that knows no losses on samples; arguments as of `joint_choices`.

    Raises
    ------
    InputError
        Always.
    """
    del candidates, limits, choices
    raise InputError(
        f"this is a fit of the law {fit.law.name}, which knows no losses of single models on samples",
        "a table of losses on samples, or a fit of the joint law",
        "name the table, or fit it: bayeslaw fit TABLE --law joint",
    )


def _models(fit: Fit, candidates: Sequence[Candidate], priced: Mapping[str, Candidate]) -> xr.Dataset:
    """Put scored models and candidates, with what they cost, into one table of models."""
    table = fit.model.table
    names = [*(str(name) for name in table.names), *(candidate.name for candidate in candidates)]
    known = {**priced, **{candidate.name: candidate for candidate in candidates}}
    parameters = [*table.parameters, *(candidate.parameters for candidate in candidates)]

    def told(cost: str) -> list[float]:
        values = [getattr(known[name], cost) if name in known else None for name in names]
        return [np.nan if value is None else float(value) for value in values]

    costs = {name: ("lm", told(name)) for name in ("price", "active_parameters")}
    return xr.Dataset({"parameters": ("lm", parameters), **costs}, {"lm": np.array(names)})


@dataclass(frozen=True)
class _Asked:
    """A choice to make.

    Parameters
    ----------
    fit
        The fit.
    candidates
        Models that could be had.
    models
        Scored models, then candidates, with what they cost, on ``lm``.
    admitted, limits
        The models that pools may be made of, and what a pool may be.
    rule, cost, seed
        As in `joint_choices`.
    """

    fit: Fit
    candidates: tuple[Candidate, ...]
    models: xr.Dataset
    admitted: Admitted
    limits: Limits
    rule: str
    cost: str
    seed: int

    @cached_property
    def names(self) -> list[str]:
        """Names of the models."""
        return [str(name) for name in self.models["lm"].to_numpy()]

    @cached_property
    def members(self) -> list[Member]:
        """The models as pools of the joint law have them."""
        scored = len(self.names) - len(self.candidates)
        return [*self.names[:scored], *(candidate.model for candidate in self.candidates)]

    @cached_property
    def listed(self) -> np.ndarray:
        """All pools within the limits, numbers of models, [pool, slot], padded with -1."""
        admitted = self.admitted
        pools = limited_pools(admitted.costs, admitted.most, admitted.required, admitted.max_size, MOST_LISTED)
        if pools is None:
            raise InputError(
                f"there are more than {MOST_LISTED:,} pools of {self.limits}",
                "fewer pools to draw",
                f"use a max_size far below {admitted.max_size}, or closer limits",
            )
        return np.where(pools >= 0, admitted.models[pools], -1)

    def lost(self, values: dict[str, np.ndarray], pools: np.ndarray, rule: str) -> np.ndarray:
        """Draw losses of pools on new samples, the same draws for the same pools, [draw, pool]."""
        members = [[self.members[model] for model in pool if model >= 0] for pool in pools]
        return draw_pools(self.fit.model, values, members, rule=rule, samples="new", seed=self.seed)

    def promising(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Pools that the first draws have among the best, over all or for their cost, and all single models."""
        pools = self.listed
        alone = (pools >= 0).sum(axis=1) == 1
        if len(pools) > MOST_POOLS:
            first = self.lost(thinned(values, values, FIRST_DRAWS), pools, self.rule)
            kept = np.argsort(first.min(axis=0))[:MOST_POOLS]
            # What is best for little cost is on the front, however much it loses.
            costs = self.costs(self.cost, pools)
            fronts = [pareto_front(costs, losses) for losses in [first.mean(axis=0), *first]]
            pools = pools[np.unique(np.concatenate([kept, np.flatnonzero(alone), *fronts]))]
        return pools

    def _other_singles(self, pools: np.ndarray) -> np.ndarray:
        """Single models within the limits of cost that are not pools because others are required."""
        alone = {int(pool[0]) for pool in pools[(pools >= 0).sum(axis=1) == 1]}
        others = [int(model) for model in self.admitted.models if int(model) not in alone]
        singles = np.full((len(others), pools.shape[1]), -1, dtype=np.int64)
        singles[:, 0] = others
        return singles

    def costs(self, name: str, pools: np.ndarray) -> np.ndarray:
        """Add up a cost over members, [pool]; NaN where it is not known."""
        return np.append(COSTS[name].of(self.models), 0.0)[pools].sum(axis=1)

    def choices(self, values: dict[str, np.ndarray], top: int, interval: float) -> Choices:
        """Find out what is asked."""
        pools, scored = self.promising(values), len(self.names) - len(self.candidates)
        eligible = len(pools)
        pools = np.concatenate([pools, self._other_singles(pools)])
        lost = self.lost(values, pools, self.rule)
        oracle = lost if self.rule == ORACLE else self.lost(values, pools, ORACLE)
        single, costs = (pools >= 0).sum(axis=1) == 1, self.costs(self.cost, pools)
        odds = odds_of(lost, single, eligible, costs)
        mean = lost.mean(axis=0)
        order = np.lexsort([self.costs("parameters", pools[:eligible]), mean[:eligible]])
        best_single = int(np.flatnonzero(single)[mean[single].argmin()])
        tails = [(1 - interval) / 2, (1 + interval) / 2]
        lower, upper = np.quantile(lost, tails, axis=0)
        away = lost - lost[:, [best_single]]
        away_lower, away_upper = np.quantile(away, tails, axis=0)
        gains = oracle[:, [best_single]] - oracle

        def row(place: int) -> Choice:
            gain, unit = float(gains[:, place].mean()), self.fit.model.table.unit
            # The draws tell how sure the gain is; only a gain of next to nothing cannot be divided by.
            known = not too_small(gain, 0.0, float(mean[best_single]), unit)
            price, active = (self.costs(name, pools[[place]])[0] for name in ("price", "active_parameters"))
            return Choice(
                members=self._named(pools[place]),
                parameters=float(self.costs("parameters", pools[[place]])[0]),
                active_parameters=amount([active]),
                price=amount([price]),
                rule=self.rule,
                unit=unit,
                loss=float(mean[place]),
                lower=float(lower[place]),
                upper=float(upper[place]),
                probability_best=float(odds.best[place]),
                probability_better_than_single=float(odds.better_than_single[place]),
                regret=float(odds.regret[place]),
                difference=float(away[:, place].mean()),
                difference_lower=float(away_lower[place]),
                difference_upper=float(away_upper[place]),
                share_of_oracle_gain=float(-away[:, place].mean() / gain) if known else None,
                expected_loss=float(mean[place]),
            )

        front = pareto_front(costs[:eligible], mean[:eligible])
        return Choices(
            rows=tuple(row(int(place)) for place in order[:top]),
            front=tuple(
                FrontPool(
                    self._named(pools[place]),
                    float(costs[place]),
                    float(mean[place]),
                    float(lower[place]),
                    float(upper[place]),
                    float(odds.on_front[place]),
                )
                for place in front
            ),
            single=self._named(pools[best_single])[0],
            single_loss=float(mean[best_single]),
            single_lower=float(lower[best_single]),
            single_upper=float(upper[best_single]),
            cost=self.cost,
            limits=f"{self.limits} of {scored} scored models and {counted(len(self.candidates), 'candidate')}",
            sample_unit="of the kind fitted",
            clusters=int(self.fit.model.table.clusters.max()) + 1,
            folds=0,
            pools=len(self.listed),
            bound=None,
            lowest=float(mean[order[0]]),
            interval=interval,
            draws=len(lost),
            contenders=eligible,
            cheaper=self._cheaper(pools[order], lost[:, order] - lost[:, order[:1]], interval),
            interval_kind=INTERVAL_KIND,
            method=self._method(len(lost), len(pools), interval),
        )

    def _cheaper(self, pools: np.ndarray, away: np.ndarray, interval: float) -> CheaperPool | None:
        costs = self.costs(self.cost, pools)
        found = cheapest_as_good(away, costs, interval)
        if found is None:
            return None
        place, mean, lower, upper = found
        members, cost, unit = self._named(pools[place]), float(costs[place]), self.fit.model.table.unit
        return CheaperPool(members, cost, cost / costs[0], self.cost, mean, lower, upper, interval, unit)

    def _named(self, pool: np.ndarray) -> tuple[str, ...]:
        return tuple(self.names[model] for model in pool if model >= 0)

    def _method(self, draws: int, pools: int, interval: float) -> str:
        return (
            f"Losses are means over {draws:,} draws of the joint law's posterior, each on clusters drawn again; the "
            f"{interval:.0%} intervals ({INTERVAL_KIND}) and probabilities are of these draws, for new samples of this "
            f"kind, among {counted(pools, 'promising pool')} (a probability is known to {0.5 / draws**0.5:.2g}, "
            "standard error, or better). What scored models lose is taken from the samples they "
            "are chosen on, which flatters a choice among many alike: of scored models alone, choose from their table."
            + "".join(f" {doubt}" for doubt in doubts(self.candidates, self.fit.model))
        )
