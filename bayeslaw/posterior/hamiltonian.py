"""Hamiltonian Monte Carlo of all chains in step, for densities of many positions at once.

Trajectories have one random length for all chains (Neal 2011, section 3.2). One step size adapts to the acceptance of
all of them (dual averaging: Hoffman and Gelman 2014), and coordinates are taken from the draws of all during the
adaptation, so that these are about independent and of unit variance. The random numbers of a step follow from the seed
and its number: chains that are gone on from anywhere make the same draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.free_coordinates import ManyPositions
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, Checkpoint

TRAJECTORY = 1.5
"""Mean length of a trajectory, in standard deviations: a quarter of a period of a standard normal."""
LENGTHS = (0.2, 1.8)
"""Shortest and longest trajectory, relative to the mean one: no length returns to where it began in all directions."""
STEP_SIZES = (0.8, 1.2)
LONGEST_WHILE_ADAPTING = 64
LONGEST = 512
FIRST_STEP_SIZE = 0.5
STEP_SIZE_LIMITS = (-6.0, 0.7)
"""Of its natural logarithm."""
DIVERGENT = 1000.0
STAGES = (0.2, 0.2, 0.45, 0.15)
"""Shares of the adaptation; after each but the last coordinates are taken anew from the draws of the stage."""
BURNT = 0.25
"""Share of a stage whose draws its coordinates are not taken from."""
SHRINKAGE = 5.0
"""Draws a coordinate with which the covariance that was assumed counts."""
STEPS_AT_ONCE = 10
MOST_HALVINGS = 50
CALMING, DELAY, FORGETTING = 0.05, 10.0, 0.75
"""Numbers of the dual averaging, as Hoffman and Gelman have them."""


class Ensemble(NamedTuple):
    """Where all chains are, and what they have learnt together; arrays all of it.

    Parameters
    ----------
    z, log_density, gradient, hint
        Positions in the coordinates of `centre` and `factor`, [chain, coordinate]; the log density there, its gradient
        in these coordinates, and what the density wants to see again.
    step_size, averages
        Step size, and the state of its dual averaging: target of the shrinkage, mean error, log of the mean step size.
    centre, factor
        Positions are ``centre + factor z``.
    seen
        Draws of the stage of the adaptation, ``[step, chain, coordinate]``, in these coordinates.
    """

    z: np.ndarray
    log_density: np.ndarray
    gradient: np.ndarray
    hint: np.ndarray
    step_size: np.ndarray
    averages: np.ndarray
    centre: np.ndarray
    factor: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Hamiltonian:
    """The transitions of chains in step.

    Parameters
    ----------
    density
        The log density.
    warmup
        Steps adapted on.
    target_accept
        Mean acceptance probability that the step size is adapted to.
    seed
        Seed.
    """

    density: ManyPositions
    warmup: int
    target_accept: float
    seed: int

    @property
    def ends(self) -> np.ndarray:
        """First step after each stage of the adaptation."""
        ends = np.round(np.cumsum(STAGES) * self.warmup).astype(int)
        ends[-1] = self.warmup
        return ends

    def begin(self, centre: np.ndarray, factor: np.ndarray, chains: int, spread: float) -> Ensemble:
        """Place chains around a centre, nearer where the density is zero.

        Parameters
        ----------
        centre, factor
            Flat position, and a factor of the covariance expected.
        chains
            How many chains.
        spread
            Standard deviation of their ``z``.

        Returns
        -------
        Ensemble
            Chains that have drawn nothing.
        """
        # In one order in memory, kept or not: products of matrices depend on it in their last bits.
        centre, factor = map(np.ascontiguousarray, (centre, factor))
        z = spread * np.random.default_rng(self.seed).standard_normal((chains, len(centre)))
        log_density, gradient, hint = self.density.evaluate(centre + z @ factor.T)
        for _ in range(MOST_HALVINGS):
            if np.isfinite(log_density).all():
                break
            z[~np.isfinite(log_density)] *= 0.5
            log_density, gradient, hint = self.density.evaluate(centre + z @ factor.T)
        longest = max(np.diff(self.ends, prepend=0), default=0)
        hint = np.zeros(0) if hint is None else hint
        step_size = np.asarray(FIRST_STEP_SIZE)
        seen = np.zeros((longest, *z.shape))
        return Ensemble(z, log_density, gradient @ factor, hint, step_size, _anew(step_size), centre, factor, seen)

    def step(self, state: Ensemble, number: int) -> tuple[Ensemble, dict[str, np.ndarray]]:
        """Make a transition of every chain, and adapt where the number of the step says so.

        Parameters
        ----------
        state
            The chains.
        number
            How many steps they have made.

        Returns
        -------
        state : Ensemble
            The chains after the step.
        statistics : dict
            ArviZ sampler statistics of the step by name, each ``[chain]``.
        """
        adapts = number < self.warmup
        generator = np.random.default_rng([self.seed, number])
        jitter = 1.0 if adapts else generator.uniform(*STEP_SIZES)
        step_size = float(state.step_size) * jitter
        length = generator.uniform(*LENGTHS) * TRAJECTORY
        steps = int(np.clip(np.ceil(length / step_size), 1, LONGEST_WHILE_ADAPTING if adapts else LONGEST))
        momentum = generator.standard_normal(state.z.shape)
        moved, energy_error = self._trajectory(state, momentum, step_size, steps)
        acceptance = np.exp(np.minimum(energy_error, 0.0))
        accepted = generator.random(len(acceptance)) < acceptance
        begun = -state.log_density + 0.5 * (momentum**2).sum(axis=1)
        state = _chosen(accepted, moved, state)
        statistics = {
            "diverging": energy_error < -DIVERGENT,
            "n_steps": np.full(len(acceptance), steps),
            "acceptance_rate": acceptance,
            "energy": begun,
            "lp": state.log_density,
            "step_size": np.full(len(acceptance), step_size),
        }
        return (self._adapted(state, number, float(acceptance.mean())) if adapts else state), statistics

    def _trajectory(
        self, state: Ensemble, momentum: np.ndarray, step_size: float, steps: int
    ) -> tuple[Ensemble, np.ndarray]:
        """Follow the dynamics by leapfrog steps; returns the ends, and minus the error of the energy, [chain]."""
        z, gradient, hint = state.z, state.gradient, state.hint
        energy = state.log_density - 0.5 * (momentum**2).sum(axis=1)
        log_density = state.log_density
        momentum = momentum + 0.5 * step_size * gradient
        for step in range(steps):
            z = z + step_size * momentum
            log_density, slope, hint = self.density.evaluate(state.centre + z @ state.factor.T, _or_none(hint))
            gradient, hint = slope @ state.factor, state.hint if hint is None else hint
            momentum = momentum + (step_size if step < steps - 1 else 0.5 * step_size) * gradient
        gained = log_density - 0.5 * (momentum**2).sum(axis=1) - energy
        gained = np.where(np.isfinite(gained), gained, -np.inf)
        return state._replace(z=z, log_density=log_density, gradient=gradient, hint=hint), gained

    def _adapted(self, state: Ensemble, number: int, acceptance: float) -> Ensemble:
        """Learn from a step: step sizes by dual averaging, coordinates by the draws of a stage."""
        ends = self.ends
        stage = int(np.searchsorted(ends, number, side="right"))
        first = 0 if stage == 0 else int(ends[stage - 1])
        seen = state.seen.copy() if number == first else state.seen
        seen[number - first] = state.z
        state = _averaged(state._replace(seen=seen), number - first + 1, self.target_accept - acceptance)
        if number + 1 < ends[stage]:
            return state
        state = state._replace(step_size=np.exp(state.averages[2]))
        if stage == len(ends) - 1:
            return state
        kept = seen[int(BURNT * (number + 1 - first)) : number + 1 - first]
        state = self._with_coordinates(state, kept.reshape(-1, state.z.shape[1]))
        return state._replace(averages=_anew(state.step_size))

    def _with_coordinates(self, state: Ensemble, z: np.ndarray) -> Ensemble:
        """Go on in coordinates in which draws made, [draw, coordinate], are about standard normal."""
        positions = state.centre + state.z @ state.factor.T
        count, size = z.shape
        if count < 2:
            return state
        share = count / (count + SHRINKAGE * size)
        covariance = share * np.atleast_2d(np.cov(z.T)) + (1 - share) * np.eye(size)
        centre = state.centre + state.factor @ z.mean(axis=0)
        factor = np.ascontiguousarray(state.factor @ np.linalg.cholesky(covariance))
        moved = np.ascontiguousarray(np.linalg.solve(factor, (positions - centre).T).T)
        log_density, gradient, hint = self.density.evaluate(centre + moved @ factor.T, _or_none(state.hint))
        hint = state.hint if hint is None else hint
        return state._replace(
            z=moved, log_density=log_density, gradient=gradient @ factor, hint=hint, centre=centre, factor=factor
        )


def sample_in_step(
    density: ManyPositions,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    warmup: int,
    chains: int,
    seed: int,
    target_accept: float,
    spread: float = 1.0,
    progress: Callable[[int], Any] = lambda done: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Draws:
    """Draw from a density of many positions at once.

    Parameters
    ----------
    density
        The log density.
    mode, factor, draws, warmup, chains, seed, target_accept, spread, progress, checkpoint
        As of `bayeslaw.posterior.sampler.sample`; chains adapt together, on `warmup` draws each.

    Returns
    -------
    Draws
        Positions and statistics.
    """
    kernel = Hamiltonian(density, warmup, target_accept, seed)
    record, state, number = checkpoint.chain("chains"), kernel.begin(mode, factor, chains, spread), 0
    kept: list[list[np.ndarray]] = []
    if (found := record.read()) is not None:
        steps, leaves, parts = found
        same = [leaf.shape for leaf in leaves] == [leaf.shape for leaf in state]
        if same and sum(len(part[0]) for part in parts) == max(0, steps - warmup):
            state, number, kept = Ensemble(*leaves), steps, parts
        else:
            record.clear()
    progress(number * chains)
    try:
        while number < warmup + draws:
            # The draws of one record are all of the adaptation or all kept.
            last = min(number + STEPS_AT_ONCE, warmup if number < warmup else warmup + draws)
            state, part = _advance(kernel, state, number, last)
            part = part if number >= warmup else []
            kept += [part] if part else []
            number, made = last, last - number
            record.keep(number, state, part, now=number == warmup + draws)
            progress(made * chains)
    except BaseException:
        record.keep(number, state, (), now=True)
        raise
    position, *columns = (np.concatenate(arrays).swapaxes(0, 1) for arrays in zip(*kept, strict=True))
    return Draws(position, _named(dict(zip(STATISTICS, columns, strict=True))))


def _advance(kernel: Hamiltonian, state: Ensemble, number: int, last: int) -> tuple[Ensemble, list[np.ndarray]]:
    """Make the steps up to one; returns the chains, and positions and `STATISTICS` of the steps, [step, chain, ...]."""
    drawn = []
    for step in range(number, last):
        state, statistics = kernel.step(state, step)
        drawn.append([state.centre + state.z @ state.factor.T, *(statistics[name] for name in STATISTICS)])
    return state, [np.stack(arrays) for arrays in zip(*drawn, strict=True)]


STATISTICS = ("diverging", "n_steps", "acceptance_rate", "energy", "lp", "step_size")


def _named(statistics: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add what samplers with trees have, of which ArviZ's pictures take a look."""
    depth = np.ceil(np.log2(statistics["n_steps"] + 1)).astype(int)
    return statistics | {"tree_depth": depth, "reached_max_treedepth": statistics["n_steps"] >= LONGEST}


def _or_none(hint: np.ndarray) -> np.ndarray | None:
    return hint if hint.size else None


def _chosen(accepted: np.ndarray, moved: Ensemble, state: Ensemble) -> Ensemble:
    """Take the ends of the chains that accepted them."""
    pick = accepted[:, None]
    hint = state.hint if not state.hint.size else np.where(pick, moved.hint, state.hint)
    return state._replace(
        z=np.where(pick, moved.z, state.z),
        log_density=np.where(accepted, moved.log_density, state.log_density),
        gradient=np.where(pick, moved.gradient, state.gradient),
        hint=hint,
    )


def _anew(step_size: np.ndarray) -> np.ndarray:
    """Begin to average step sizes: shrink towards twice the present one."""
    return np.array([np.log(2 * float(step_size)), 0.0, 0.0])


def _averaged(state: Ensemble, count: int, error: float) -> Ensemble:
    """Average the step size after so many steps of a stage, the last of which missed the target by an error."""
    target, mean_error, log_mean = state.averages
    weight = 1 / (count + DELAY)
    mean_error = (1 - weight) * mean_error + weight * error
    log_size = target - np.sqrt(count) / CALMING * mean_error
    share = count**-FORGETTING
    log_mean = share * log_size + (1 - share) * log_mean
    step_size = np.exp(np.clip(log_size, *STEP_SIZE_LIMITS))
    return state._replace(step_size=np.asarray(step_size), averages=np.array([target, mean_error, log_mean]))
