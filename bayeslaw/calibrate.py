"""Simulation-based calibration: whether the posteriors and bands of a law mean what they say."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.sampling_diagnostics import ess

from bayeslaw.calibration.coverage import coverage_table, held, within_chance
from bayeslaw.calibration.designs import default_design
from bayeslaw.calibration.law import CalibratedLaw
from bayeslaw.calibration.protocol import KINDS, Calibrated
from bayeslaw.calibration.ranks import LEVEL, RANKED_DRAWS, Envelope, envelope, rank, rank_table, uniform_values
from bayeslaw.errors import InputError, check_whole
from bayeslaw.fit import fit
from bayeslaw.laws import Law
from bayeslaw.noise import Noise
from bayeslaw.progress import progress_bar

SIMULATIONS = 200
FEWEST_SIMULATIONS = 10


@dataclass(frozen=True)
class Calibration:
    """What simulated tables say of a law.

    Parameters
    ----------
    law
        Name of the law.
    unit
        Unit of the losses.
    simulations
        Number of tables drawn.
    failed
        How many fits gave no finite draws; they are left out.
    divergent
        How many fits had divergent trajectories, also with small steps; they are counted.
    slow
        How many fits had a quantity whose draws were worth less than the `ranked_draws` that are ranked.
    ranked_draws
        Number of thinned draws among which the truth is ranked.
    values
        Uniform values of the ranks: one row a simulation, one column a quantity.
    ranks
        Ranks, from 0 to `ranked_draws`, of the same shape.
    envelope
        The simultaneous envelope of each quantity; its level is such that all of them together raise a false alarm
        with probability 0.05 at most.
    rank_table
        One row a quantity, as `bayeslaw.calibration.ranks.rank_table` gives it.
    coverage
        One row a kind of band, class of targets and level, as `bayeslaw.calibration.coverage.coverage_table` gives it.
    seconds
        Wall time of simulating and fitting.
    """

    law: str
    unit: str
    simulations: int
    failed: int
    divergent: int
    slow: int
    ranked_draws: int
    values: pd.DataFrame
    ranks: pd.DataFrame
    envelope: Envelope
    rank_table: pd.DataFrame
    coverage: pd.DataFrame
    seconds: float

    @property
    def quick(self) -> bool:
        """Whether there are too few simulations to find anything but gross mistakes."""
        return self.simulations < SIMULATIONS

    @property
    def ranks_inside(self) -> bool:
        """Whether the ranks of every quantity stay in their envelope."""
        return bool(self.rank_table["inside"].all())

    @property
    def bands_hold(self) -> bool:
        """Whether every coverage is where chance alone would have it."""
        return bool(self.coverage["inside"].all())

    @property
    def calibrated(self) -> bool:
        """Whether ranks stay in their envelope and bands hold."""
        return self.ranks_inside and self.bands_hold


@dataclass(frozen=True)
class _Simulation:
    """What is kept of one simulated table: ranks by element, held bands by kind, and how the sampling went."""

    ranks: dict[str, int]
    held: dict[str, np.ndarray]
    divergent: bool
    slow: bool


def calibrate(
    law: Law | Calibrated,
    data: xr.Dataset | None = None,
    *,
    noise: Noise | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
    progress: bool = False,
) -> Calibration:
    """Draw parameters from the prior and tables from the law, fit each, and rank the truth among the draws.

    Over tables whose parameters are drawn from the prior, the rank of the truth among posterior draws is uniform, and
    bands hold the truth as often as their level says (Talts et al. 2018, arXiv 1804.06788); neither is so where
    likelihood, prior, change of coordinates or sampler are wrong. The log likelihood of the table is ranked beside the
    parameters (Modrák et al. 2023).

    Parameters
    ----------
    law
        A law, or anything else that offers what `bayeslaw.calibration.protocol.Calibrated` describes.
    data
        The table whose budgets, groups and standard errors every simulated table has, and to whose losses default
        priors are scaled; a small simulated one where None.
    noise
        Noise of the rows, as in `bayeslaw.fit`.
    simulations
        Number of simulated tables.
    seed
        Seed; the same seed gives the same ranks on one platform.
    progress
        Whether to show progress on standard error, if that is a terminal.

    Returns
    -------
    Calibration
        Ranks with their envelope, and the coverage of bands.

    Raises
    ------
    InputError
        If the law cannot be fitted to the table, a number is out of range, or no simulated table could be fitted.
    """
    check_whole("simulations", simulations, lowest=FEWEST_SIMULATIONS, suggested=SIMULATIONS)
    check_whole("seed", seed, lowest=0, suggested=0)
    subject = _of_law(law, data, noise, seed) if isinstance(law, Law) else law
    begun = time.perf_counter()
    with progress_bar("calibrating", simulations, shown=progress) as advance:
        done = _simulate_all(subject, simulations, seed, advance)
    kept = [simulation for simulation in done if simulation is not None]
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of {simulations} simulated tables could be fitted",
            "priors that draw tables which the sampler can fit",
            "give narrower priors with --config",
        )
    return _collect(subject, kept, simulations=simulations, seed=seed, seconds=time.perf_counter() - begun)


def _of_law(law: Law, data: xr.Dataset | None, noise: Noise | None, seed: int) -> Calibrated:
    table = default_design(law) if data is None else data
    # Fitted for what only a fit fixes: priors scaled to the data, the noise that the table allows, and its record.
    return CalibratedLaw(fit(law, table, noise=noise, draws=50, chains=1, seed=seed).keep(()))


def _simulate_all(
    subject: Calibrated, simulations: int, seed: int, advance: Callable[[int], None]
) -> list[_Simulation | None]:
    seeds = np.random.SeedSequence(seed).generate_state(2 * simulations).reshape(simulations, 2) >> 2

    def one(pair: np.ndarray) -> _Simulation | None:
        result = _simulate_one(subject, *map(int, pair))
        advance(1)
        return result

    # The first compiles what the others share.
    first = one(seeds[0])
    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with ThreadPoolExecutor(max_workers=cores) as pool:
        return [first, *pool.map(one, seeds[1:])]


def _simulate_one(subject: Calibrated, table_seed: int, fit_seed: int) -> _Simulation | None:
    simulated = subject.simulate(table_seed)
    posterior = subject.fit(simulated.data, fit_seed)
    if posterior is None:
        return None
    rng, ranks, smallest = np.random.default_rng(fit_seed), {}, np.inf
    for quantity, truth in simulated.truth.items():
        draws = posterior.draws[quantity].reshape(len(posterior.draws[quantity]), -1)
        found = rank(np.ravel(truth), draws, rng)
        ranks |= dict(zip(subject.labels(quantity), found.tolist(), strict=True))
        smallest = min(smallest, *(float(ess(column[None])) for column in draws.T))
    covered = {kind: held(posterior.predictions[kind], simulated.outcomes[kind]) for kind in KINDS}
    return _Simulation(ranks, covered, posterior.divergences > 0, smallest < RANKED_DRAWS)


def _collect(
    subject: Calibrated, kept: list[_Simulation], *, simulations: int, seed: int, seconds: float
) -> Calibration:
    ranks = pd.DataFrame([simulation.ranks for simulation in kept])
    values = pd.DataFrame(uniform_values(ranks.to_numpy(), np.random.default_rng(seed)), columns=ranks.columns)
    bounds = envelope(len(kept), 1 - (1 - LEVEL) / ranks.shape[1])
    where = subject.targets["where"].tolist()
    parts = [coverage_table(kind, where, np.stack([each.held[kind] for each in kept])) for kind in KINDS]
    coverage = pd.concat(parts, ignore_index=True)
    coverage["inside"] = within_chance(coverage)
    return Calibration(
        law=subject.name,
        unit=subject.unit,
        simulations=simulations,
        failed=simulations - len(kept),
        divergent=sum(simulation.divergent for simulation in kept),
        slow=sum(simulation.slow for simulation in kept),
        ranked_draws=RANKED_DRAWS,
        values=values,
        ranks=ranks,
        envelope=bounds,
        rank_table=rank_table({str(name): values[name].to_numpy() for name in values}, bounds),
        coverage=coverage,
        seconds=seconds,
    )
