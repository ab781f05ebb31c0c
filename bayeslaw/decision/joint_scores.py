"""What further scores are worth by the joint law: pools that could be chosen, and outcomes drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.decision.candidates import Candidate, check_candidates, doubts
from bayeslaw.decision.choice_rows import counted
from bayeslaw.decision.information_value import Actions, RegretAfter, effective_draws
from bayeslaw.decision.limited_pools import limited_pools
from bayeslaw.decision.score_costs import ScoreCosts
from bayeslaw.decision.score_values import NextScores, ScoreValue, size_words
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.joint.curve import Models
from bayeslaw.joint.curve_at_draws import CurveAtDraws
from bayeslaw.joint.draw_blocks import thinned
from bayeslaw.joint.drawn_pools import Outcomes, draw_outcomes, draw_pools
from bayeslaw.joint.hypothetical import Member
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.rules_by_unit import decided_by

MOST_LISTED = 200_000
MOST_POOLS = 150
"""Of scored models, and of each candidate."""
LEAST_SHARE = 1e-9
"""Share of the regret below which what is gained is rounding."""
FIRST_DRAWS = 20
"""Draws by which pools with candidates are looked through where they are many."""


def joint_next_scores(
    fit: Fit,
    candidates: Sequence[Candidate],
    *,
    samples: Sequence[int] | None,
    max_parameters: float | None,
    max_size: int,
    rule: str | None,
    draws: int,
    seed: int,
) -> NextScores:
    """Value further scores by a fit of the joint law; arguments as of `bayeslaw.decision.score_values.next_scores`."""
    model = fit.model
    rule = decided_by(rule, model.table.answer_unit, votes=model.table.votes).name
    check_candidates(candidates, [str(name) for name in model.table.names])
    values = thinned(fit.values(), model.sites, draws)
    pools = PoolsToChoose(model, tuple(candidates), max_size, np.inf if max_parameters is None else max_parameters)
    kept = pools.promising(values, rule, seed)
    numbers = np.array([pools.candidate_of(pool) for pool in kept])
    outcomes = _outcomes(model, values, kept, rule, seed)
    actions = Actions(outcomes.scored, outcomes.expected, numbers)
    more = samples or (len(model.table.weights),)
    rows = [_of_candidate(pools, actions, outcomes, values, number, seed) for number in sorted({*numbers} - {-1})]
    rows += [_of_samples(pools, actions, count) for count in more]
    names = [str(name) for name in model.table.names]
    return NextScores(
        rows=tuple(sorted(rows, key=lambda row: -row.per_cost)),
        choice=tuple(member if isinstance(member, str) else member.name for member in kept[actions.best]),
        loss=float(actions.prior.min()),
        loss_unit=model.table.unit,
        rule=rule,
        cost_unit=pools.costs_of.unit,
        pools=pools.count,
        limits=(
            f"{size_words(max_size, max_parameters)} of {len(names)} scored models and "
            f"{counted(len(candidates), 'candidate')}"
        ),
        notes=(*pools.costs_of.notes, *_left_out(candidates, pools.most), *doubts(candidates, model)),
    )


def _left_out(candidates: Sequence[Candidate], most: float) -> list[str]:
    """Say which candidates are larger than a pool may be."""
    large = [f"{each.name} ({count_label(each.parameters)})" for each in candidates if each.parameters > most]
    return [f"Over the limit of {count_label(most)} parameters, and so left out: {', '.join(large)}."] if large else []


@dataclass(frozen=True)
class PoolsToChoose:
    """Pools of scored models and at most one candidate, within limits.

    Parameters
    ----------
    model
        The joint law with its table.
    candidates
        The candidates.
    max_size
        Largest number of members.
    most
        The most total parameters.
    """

    model: JointModel
    candidates: tuple[Candidate, ...]
    max_size: int
    most: float

    @cached_property
    def of_scored(self) -> list[list[Member]]:
        """Pools of scored models alone."""
        return self._listed(self.max_size, self.most)

    @cached_property
    def of_candidates(self) -> list[list[Member]]:
        """Pools with a candidate."""
        found: list[list[Member]] = []
        for candidate in self.candidates:
            if candidate.parameters <= self.most:
                partners = self._listed(self.max_size - 1, self.most - candidate.parameters)
                found += [[*pool, candidate.model] for pool in [[], *partners]]
        return found

    @property
    def count(self) -> int:
        """Number of pools within the limits."""
        return len(self.of_scored) + len(self.of_candidates)

    def _listed(self, max_size: int, most: float) -> list[list[Member]]:
        if max_size < 1:
            return []
        parameters, names = self.model.table.parameters[None, :], [str(name) for name in self.model.table.names]
        # A limit of nothing is none.
        limits = np.array([min(most, parameters.sum())])
        pools = limited_pools(parameters, limits, 0, max_size, MOST_LISTED)
        if pools is None:
            raise InputError(
                f"there are more than {MOST_LISTED:,} pools of up to {max_size} of {len(names)} models",
                "fewer pools to compare",
                f"use a max_size far below {max_size}, or a limit on parameters",
            )
        return [[names[member] for member in pool if member >= 0] for pool in pools if (pool >= 0).any()]

    def candidate_of(self, pool: Sequence[Member]) -> int:
        """Return which candidate a pool needs, -1 for none."""
        last = pool[-1]
        return -1 if isinstance(last, str) else [each.name for each in self.candidates].index(last.name)

    def promising(self, values: dict[str, np.ndarray], rule: str, seed: int) -> list[list[Member]]:
        """Leave out pools that are never among the best: of scored models by their losses, others by a few draws."""
        if not self.count:
            smallest = self.model.table.parameters.min()
            raise InputError(
                f"no pool has up to {count_label(self.most)} parameters",
                f"at least those of the smallest model, {count_label(smallest)}",
                f"use max_parameters={smallest:.6g} or more",
            )
        scored = self._lowest(self.of_scored, {name: draws[:1] for name, draws in values.items()}, rule, seed)
        first = thinned(values, values, FIRST_DRAWS)
        found = list(scored)
        for candidate in self.candidates:
            of_candidate = [pool for pool in self.of_candidates if pool[-1] == candidate.model]
            found += self._lowest(of_candidate, first, rule, seed)
        return found

    def _lowest(
        self, pools: list[list[Member]], values: dict[str, np.ndarray], rule: str, seed: int
    ) -> list[list[Member]]:
        if len(pools) <= MOST_POOLS:
            return pools
        losses = draw_pools(self.model, values, pools, rule=rule, seed=seed).min(axis=0)
        return [pools[place] for place in np.sort(np.argsort(losses)[:MOST_POOLS])]

    @cached_property
    def costs_of(self) -> ScoreCosts:
        """What scores cost."""
        return ScoreCosts(self.candidates, float(self.model.table.parameters.sum()), len(self.model.table.weights))


def _outcomes(
    model: JointModel, values: dict[str, np.ndarray], pools: list[list[Member]], rule: str, seed: int
) -> Outcomes:
    if any(not isinstance(pool[-1], str) for pool in pools):
        return draw_outcomes(model, values, pools, rule=rule, seed=seed)
    same, new = (draw_pools(model, values, pools, rule=rule, samples=samples, seed=seed) for samples in ("same", "new"))
    return Outcomes(same, new, np.zeros((len(same), 0)))


def _of_candidate(
    pools: PoolsToChoose,
    actions: Actions,
    outcomes: Outcomes,
    values: dict[str, np.ndarray],
    number: int,
    seed: int,
) -> ScoreValue:
    """Value the score of one candidate."""
    candidate, model = pools.candidates[number], pools.model
    present = [each for each in dict.fromkeys(actions.candidate.tolist()) if each >= 0]
    means = outcomes.means[:, present.index(number)]
    groups = list(model.groups)
    is_new = candidate.family not in groups
    # What was drawn of the others goes with what this one loses. Floors of families not seen were drawn elsewhere.
    others = [place for place in present if place != number and pools.candidates[place].family in groups]
    together = [candidate, *(pools.candidates[place] for place in others)]
    families = [groups.index(each.family) if each.family in groups else len(groups) for each in together]
    sizes = np.array([each.parameters for each in together])
    curve = CurveAtDraws(model.curve, values)
    noise = curve.draw_noise(1, int(is_new), np.random.default_rng([seed, number]))
    densities = curve.log_densities(
        Models(np.log(sizes / model.table.reference), np.array(families)),
        noise,
        means,
        outcomes.means[:, [present.index(place) for place in others]],
    )
    return _row(
        pools.costs_of.candidate(candidate),
        actions,
        actions.after_scoring(number, densities),
        model=candidate.name,
        effective=effective_draws(densities) if len(present) > 1 else None,
    )


def _of_samples(pools: PoolsToChoose, actions: Actions, samples: int) -> ScoreValue:
    """Value more samples."""
    after = actions.after_samples(samples / len(pools.model.table.weights))
    return _row(pools.costs_of.samples(samples), actions, after, samples=samples)


def _row(
    cost: float,
    actions: Actions,
    after: RegretAfter,
    *,
    model: str | None = None,
    samples: int | None = None,
    effective: float | None = None,
) -> ScoreValue:
    now = actions.regret
    less = now - after.regret if now - after.regret > LEAST_SHARE * now else 0.0
    return ScoreValue(
        model=model,
        samples=samples,
        cost=cost,
        expected_regret_now=now,
        expected_regret_after=now - less,
        per_cost=less / cost,
        error=after.error,
        effective_draws=effective,
        now_error=actions.regret_error,
        after_error=after.regret_error,
    )
