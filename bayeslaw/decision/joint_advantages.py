"""When a pool pays under the joint law: pools of new models of one size, and the best pool of the models scored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

import numpy as np

from bayeslaw.decision.best_affordable import BEST, best_advantage
from bayeslaw.decision.budget_grid import readable_budgets
from bayeslaw.decision.crossings import last_crossings
from bayeslaw.fitting.fits import Fit
from bayeslaw.joint.draw_blocks import thinned
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.expected_pools import draw_expected
from bayeslaw.joint.hypothetical import Member, NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.scored_losses import scored_losses
from bayeslaw.laws.pool_advantages import BudgetAdvantages, QuickComparison, RegimeAdvantage
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.rules import RULES
from bayeslaw.pools.rules_by_unit import decided_by
from bayeslaw.prediction.targets import NOT_SEEN

SIZES = (2, 3)
SINGLE = "single"
MOST_FAMILY_SETS = 24
FEWEST_DRAWS, MOST_DRAWS, MOST_REPLICATES = 300, 1000, 8
NUMBERS = 1e8
"""About how many losses are drawn in all: of wider tables fewer draws, and fewer models in the place of each."""
QUICK_DRAWS, QUICK_BEYOND = 200, 10.0
QUICK = (
    "For the sake of time this is of pools of two, expected losses and some 200 draws, so that probabilities are known "
    "to 0.035 (standard error) or better; bayeslaw when FIT tells more, and of larger pools."
)


def joint_advantages(
    fit: Fit,
    *,
    budgets: tuple[float, ...] | None,
    beyond: float,
    sizes: tuple[int, ...] | None,
    rule: str | None,
    kind: str,
    seed: int,
) -> BudgetAdvantages:
    """Compare pools of new models, and the best pool of those scored, with one model of as many parameters.

    Parameters
    ----------
    fit
        A fit of the joint law.
    budgets, beyond, sizes, rule, kind, seed
        As in `bayeslaw.when`.

    Returns
    -------
    BudgetAdvantages
        Homogeneous and heterogeneous pools by their number of members, then the best pool. Members have equal sizes.
        Of the kind ``"mean"`` they follow the curves of the families of the table, over which losses are averaged, and
        over several models in the place of each (see `bayeslaw.joint.expected_pools`); of
        the kind ``"new"`` pool and single model are new ones, with parts of their own, of families drawn from the
        population. All on new samples, which are the same for both sides.
    """
    model, sizes = fit.model, sizes or SIZES
    rule = decided_by(rule, model.table.answer_unit, votes=model.table.votes).name
    usual = usual_budgets(model, sizes, beyond)
    shown = budgets or usual
    # A crossover is looked for in all of the range, whatever budgets are shown.
    grid = tuple(sorted({*usual, *shown}))
    pools = PoolsAlongBudgets(model, grid, sizes, new=False, seed=seed)
    expected = losses = pools.expected(fit, rule, seed=seed)
    if kind == "new":
        pools = PoolsAlongBudgets(model, grid, sizes, new=True, seed=seed)
        losses = pools.losses(fit, rule, seed=seed)
    regimes = [_regime(pools, losses, expected, key) for key in expected if key != SINGLE]
    best = best_advantage(scored_losses(fit), rule=rule, max_size=max(sizes), budgets=grid, shown=shown, seed=seed)
    return BudgetAdvantages(
        rule,
        (*regimes, *([best] if best is not None else [])),
        shown,
        tuple(_unanswered(model, rule, sizes, shown, best)),
        partial(_suggest, pools, losses),
    )


def usual_budgets(model: JointModel, sizes: tuple[int, ...], beyond: float) -> tuple[float, ...]:
    """Choose budgets from where pools of the smallest model seen begin, to some times the largest model."""
    parameters = model.table.parameters
    low, high = max(sizes) * float(parameters.min()), beyond * float(parameters.max())
    return readable_budgets(min(low, high / 2), high)


def quick_comparison(fit: Fit) -> QuickComparison:
    """Ask `joint_advantages` for pools of two by some of the draws; arguments as of `bayeslaw.laws.kinds.LawKind`."""
    sizes, model = SIZES[:1], fit.model
    budgets = usual_budgets(model, sizes, QUICK_BEYOND)
    pools = PoolsAlongBudgets(model, budgets, sizes, new=False, seed=0).pools
    members = len({member for pool in pools for member in pool})
    losses = float(members * len(model.table.weights) * QUICK_DRAWS)
    return QuickComparison({"sizes": sizes, "beyond": QUICK_BEYOND}, QUICK_DRAWS, losses, QUICK)


def _unanswered(
    model: JointModel, rule: str, sizes: tuple[int, ...], shown: tuple[float, ...], best: RegimeAdvantage | None
) -> Iterator[str]:
    """Say what is a bound alone, and what pools there are not."""
    families = len(model.groups)
    if lacking := [str(size) for size in sizes if size > families]:
        them = f"{families} families" if families > 1 else "one family"
        yield f"There are no heterogeneous pools of {' or '.join(lacking)} members: the table has {them}."
    if best is None:
        yield f"No pool of two of the models scored is within {count_label(shown[-1])} total parameters."
    yield (
        "Beyond the sizes seen all rests on how losses of single models go on to fall. Of families of few sizes that "
        "is expected to be slower than it is, which speaks for pools: that there is a crossover is said too often. Go "
        "by the probabilities inside the data."
    )
    if not RULES[rule].attainable:
        yield f"Nobody can run the rule {rule} ({RULES[rule].description}): it is a bound."


@dataclass(frozen=True)
class PoolsAlongBudgets:
    """Pools and single models of every budget, to be drawn together so that they share families, curves and texts.

    Parameters
    ----------
    model
        The joint law with its table.
    budgets
        Total parameters, ascending.
    sizes
        Numbers of members.
    new
        Whether families are drawn from the population, or those of the table.
    seed
        Seed of the sets of families, where there are too many for all.
    """

    model: JointModel
    budgets: tuple[float, ...]
    sizes: tuple[int, ...]
    new: bool
    seed: int

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Families of members: those of the table, or names of families that it does not hold."""
        if not self.new:
            return self.model.groups
        names = (f"new {number}" for number in range(len(self.model.groups) + max(self.sizes) + 2))
        return tuple([name for name in names if name not in self.model.groups][: max(self.sizes) + 2])

    @cached_property
    def by_regime(self) -> dict[str, list[tuple[str, ...]]]:
        """Families of the members of every pool, of each regime and number of members."""
        families = self.families
        # Of new ones a pool each: the single model and the homogeneous pool are of families of their own.
        alone, same, mixed = (families[:1], families[1:2], families[2:]) if self.new else (families,) * 3
        found = {SINGLE: [(name,) for name in alone]}
        found |= {f"homogeneous, {size} members": [(name,) * size for name in same] for size in self.sizes}
        for size in self.sizes:
            if sets := [mixed[:size]] if self.new else family_sets(mixed, size, self.seed):
                found[f"heterogeneous, {size} members"] = sets
        return found

    @property
    def keys(self) -> list[str]:
        """Names of the regimes, single models first."""
        return list(self.by_regime)

    def of(self, key: str, budget: float) -> list[list[Member]]:
        """Members of the pools of a regime under a budget, of equal size."""
        return [list(_members(families, budget / len(families))) for families in self.by_regime[key]]

    @cached_property
    def pools(self) -> list[list[Member]]:
        """All of them, by regime and then by budget."""
        return [pool for key in self.keys for budget in self.budgets for pool in self.of(key, budget)]

    def _values(self, fit: Fit, numbers: int) -> dict[str, np.ndarray]:
        """Thin the draws of every site, each [draw, ...], as far as so many losses a draw allow."""
        return thinned(fit.values(), self.model.sites, int(np.clip(NUMBERS / numbers, FEWEST_DRAWS, MOST_DRAWS)))

    @property
    def _numbers(self) -> int:
        """How many losses of models are drawn for each draw of every site."""
        return len({member for pool in self.pools for member in pool}) * len(self.model.table.weights)

    def losses(self, fit: Fit, rule: str, *, seed: int) -> dict[str, np.ndarray]:
        """Draw the losses of the pools of each regime, [draw, budget, pool], all on the same new samples."""
        values = self._values(fit, self._numbers)
        drawn = draw_pools(self.model, values, self.pools, rule=rule, samples="new", own_part=self.new, seed=seed)
        counts = [len(self.budgets) * len(sets) for sets in self.by_regime.values()]
        parts = np.split(drawn, np.cumsum(counts)[:-1], axis=1)
        return {
            key: part.reshape(len(drawn), len(self.budgets), -1) for key, part in zip(self.keys, parts, strict=True)
        }

    def expected(self, fit: Fit, rule: str, *, seed: int) -> dict[str, np.ndarray]:
        """Draw what the pools of each regime are expected to lose, [draw, budget, pool], on the same new samples."""
        values = self._values(fit, self._numbers)
        draws = len(next(iter(values.values())))
        replicates = int(np.clip(NUMBERS / (self._numbers * draws), 1, MOST_REPLICATES))
        pools = [[pool for key in self.keys for pool in self.of(key, budget)] for budget in self.budgets]
        drawn = draw_expected(self.model, values, pools, rule=rule, replicates=replicates, seed=seed)
        ends = np.cumsum([len(sets) for sets in self.by_regime.values()])[:-1]
        return dict(zip(self.keys, np.split(drawn, ends, axis=2), strict=True))


def family_sets(families: Sequence[str], size: int, seed: int) -> list[tuple[str, ...]]:
    """Choose sets of different families in which each family is as often as any other.

    Parameters
    ----------
    families
        The families.
    size
        Number of families in a set.
    seed
        Seed of the choice, where there are more than `MOST_FAMILY_SETS` sets.

    Returns
    -------
    list of tuple
        All sets, or as many as allowed: a set comes with those that it becomes when families move on by one place, the
        last to the first, so that pools and single models are averages over the same families.
    """
    count, orbits = len(families), {}
    for places in combinations(range(count), size):
        turned = [tuple(sorted((place + shift) % count for place in places)) for shift in range(count)]
        orbits.setdefault(min(turned), sorted(set(turned)))
    chosen: list[tuple[int, ...]] = []
    every = list(orbits.values())
    for number in np.random.default_rng(seed).permutation(len(every)):
        if not chosen or len(chosen) + len(every[number]) <= MOST_FAMILY_SETS:
            chosen += every[number]
    return [tuple(families[place] for place in places) for places in sorted(chosen)]


def _members(families: Sequence[str], size: float) -> Iterator[NewModel]:
    """Members of one size; of one family they are different models."""
    for place, family in enumerate(families):
        copies = families[:place].count(family)
        yield NewModel(size, family, str(copies) if copies else "")


def _regime(
    pools: PoolsAlongBudgets, losses: dict[str, np.ndarray], expected: dict[str, np.ndarray], key: str
) -> RegimeAdvantage:
    budgets, sizes = np.array(pools.budgets), np.array([1, len(pools.by_regime[key][0])])
    name, _, members = key.partition(", ")
    return RegimeAdvantage(
        regime=key,
        subject=f"{name} pools of {members.removesuffix(' members')} new models of equal size"
        + (", of families not seen," if pools.new else ""),
        other="a single model of the same total parameters",
        budgets=budgets,
        draws=_less(losses, key),
        extrapolation=_beyond(pools.model, budgets[:, None] / sizes).max(axis=1) + NOT_SEEN * pools.new,
        crossing=last_crossings(budgets, _less(expected, key)),
        expected=not pools.new,
    )


def _less(losses: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Loss of single models minus that of the pools of a regime, each averaged over families, [draw, budget]."""
    return losses[SINGLE].mean(axis=2) - losses[key].mean(axis=2)


def _beyond(model: JointModel, sizes: np.ndarray) -> np.ndarray:
    """How far sizes lie outside those of the models of the table, in ranges of their logarithms; any shape."""
    seen = np.log(model.table.parameters)
    logs = np.log(sizes)
    return np.maximum(np.maximum(seen.min() - logs, logs - seen.max()), 0.0) / np.ptp(seen)


def _suggest(pools: PoolsAlongBudgets, losses: dict[str, np.ndarray], regime: str, budget: float) -> str:
    """Name the family whose curve is the least certain at a budget, or what is open of models that are scored."""
    if regime == BEST:
        return "what its models, which are all scored, lose on other texts"
    if pools.new:
        return "what models of a family not seen lose"
    spread = losses[SINGLE][:, pools.budgets.index(budget)].std(axis=0)
    family = pools.families[int(spread.argmax())]
    return (
        f"what a model of {family} of about {count_label(budget)} parameters loses (standard deviation "
        f"{loss_text(spread.max())}, the largest of the families scored)"
    )
