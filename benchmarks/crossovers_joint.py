"""Loss tables with a known truth of when pools of two pay, for `benchmarks/crossovers.py`.

The losses are those of `bayeslaw.simulate_losses`: each family has a power law, and a sample's loss is the mean of its
model times positive factors of mean one that all models, those of a family, and each alone have. What is true of pools
and single models is a mean over a hundred thousand new samples, on which factors are the same at every budget.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import xarray as xr

import bayeslaw as bl
from bayeslaw.decision.best_affordable import AffordablePools
from bayeslaw.decision.crossings import last_crossings, step_crossings
from bayeslaw.laws.pool_advantages import RegimeAdvantage

JOINT_BUDGETS = (3e8, 1e9, 1e10, 1e11)
SIZES = (1e8, 1e10)
FAMILIES, MODELS, SAMPLES, CLUSTERS = 3, 2, 120, 60
NEW_SAMPLES = 100_000
FLOORS, AMPLITUDES, EXPONENTS = (1.0, 2.0), (0.5, 1.5), (0.08, 0.3)
SPREADS = {"family_spread": (0.02, 0.15), "difficulty": (0.2, 0.6), "family_part": (0.05, 0.3), "own_part": (0.05, 0.3)}
Truth = tuple[Callable[[np.ndarray], np.ndarray], float]


@dataclass(frozen=True)
class SimulatedLosses:
    """A loss table and what is true of pools of its families and models.

    Parameters
    ----------
    losses
        The table.
    seed
        Seed of the new samples.
    """

    losses: xr.Dataset
    seed: int

    @classmethod
    def of(cls, seed: int, table: int) -> "SimulatedLosses":
        """Draw one."""
        generator = np.random.default_rng([seed, table, 1])
        floor, amplitude, exponent = (float(generator.uniform(*ends)) for ends in (FLOORS, AMPLITUDES, EXPONENTS))
        law = bl.PowerTruth(floor=floor, amplitude=amplitude, exponent=exponent)
        parts = {name: float(generator.uniform(*ends)) for name, ends in SPREADS.items()}
        table_seed = int(generator.integers(2**31))
        losses = bl.simulate_losses(
            families=FAMILIES,
            sizes=MODELS,
            samples=SAMPLES,
            clusters=CLUSTERS,
            parameters=SIZES,
            truth=bl.Truth(law=law, **parts),
            seed=table_seed,
        )
        return cls(losses, table_seed + 1)

    @cached_property
    def record(self) -> dict:
        """What the table was drawn from."""
        return json.loads(self.losses.attrs["truth"])

    @cached_property
    def laws(self) -> dict[str, bl.PowerTruth]:
        """The law of each family."""
        return {name: bl.PowerTruth(**law) for name, law in self.record["families"].items()}

    def factors(self, families: list[str]) -> np.ndarray:
        """Draw what the losses of models are multiplied by on new samples, [sample, model], all of mean one."""
        process, generator = self.record["process"], np.random.default_rng(self.seed)
        # What samples of a cluster share changes no expected loss.
        z = process["difficulty"] * generator.standard_normal((NEW_SAMPLES, 1))
        of_family = generator.standard_normal((NEW_SAMPLES, len(self.laws)))
        z = z + process["family_part"] * of_family[:, [list(self.laws).index(name) for name in families]]
        z = z + process["own_part"] * generator.standard_normal((NEW_SAMPLES, len(families)))
        return np.exp(z - sum(process[name] ** 2 for name in ("difficulty", "family_part", "own_part")) / 2)

    def truths(self, found: bl.Crossovers) -> dict[str, Truth]:
        """Find what is true of each regime: from budgets to the advantage, and where it begins for good.

        Parameters
        ----------
        found
            What is said.
        """
        regimes = found.advantages.regimes
        return {each.regime: self._of_best(each) if each.steps else self._of(each) for each in regimes}

    def _of(self, regime: RegimeAdvantage) -> Truth:
        families = list(self.laws)
        alone: list[tuple[str, ...]] = [(name,) for name in families]
        sets: list[tuple[str, ...]] = [(name, name) for name in families]
        sets = list(combinations(families, 2)) if regime.regime.startswith("heterogeneous") else sets
        factors = {pool: self.factors(list(pool)) for pool in sets}

        def lost(pool: tuple[str, ...], budget: float) -> float:
            means = np.array([float(self.laws[name].mean(budget / len(pool))) for name in pool])
            return float(_mixture(means * factors[pool]).mean()) if len(pool) > 1 else float(means[0])

        def advantage(budgets: np.ndarray) -> np.ndarray:
            return np.array(
                [
                    np.mean([lost(pool, budget) for pool in alone]) - np.mean([lost(pool, budget) for pool in sets])
                    for budget in budgets
                ]
            )

        return advantage, float(last_crossings(regime.budgets, advantage(regime.budgets)[None])[0])

    def _of_best(self, regime: RegimeAdvantage) -> Truth:
        """Look at what is chosen on the table, on new samples."""
        pools = AffordablePools.of(self.losses, "mixture", 2)
        names = [str(name) for name in self.losses["lm"].to_numpy()]
        drawn = np.array([self.record["losses"][name] for name in names]) * self.factors(
            self.losses["family"].to_numpy().tolist()
        )
        members = [[names.index(name) for name in pools.decision.names(pool)] for pool in pools.pools]
        truth = np.array([_mixture(drawn[:, each]).mean() for each in members])

        def advantage(budgets: np.ndarray) -> np.ndarray:
            return truth[pools.best(budgets, several=False)] - truth[pools.best(budgets, several=True)]

        return advantage, float(step_crossings(regime.budgets, advantage(regime.budgets)[None])[0])


def _mixture(nll: np.ndarray) -> np.ndarray:
    return -np.log(np.exp(-nll).mean(axis=1))
