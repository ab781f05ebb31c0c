"""Simulation-based calibration: whether the posteriors and bands of a law mean what they say."""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.calibration.calibration_run import Outcome, run_simulations
from bayeslaw.calibration.coverage import coverage_table, within_chance
from bayeslaw.calibration.ranks import LEVEL, RANKED_DRAWS, Envelope, envelope, rank_table, uniform_values
from bayeslaw.errors import InputError, check_whole
from bayeslaw.fitting.fits import a_noise
from bayeslaw.inputs.arguments import a_flag, a_path, a_seed, a_whole_number, accepts, optional
from bayeslaw.laws.argument import a_calibrated_law
from bayeslaw.laws.calibrated import KINDS, Calibrated
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.laws.registry import LAWS
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.markup import Html, answer, frame_table
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
        How many fits gave draws or predictions that are not finite; they are left out.
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

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words."""
        gross = "; so few find nothing but gross mistakes" if self.quick else ""
        return (
            f"{self.simulations} tables drawn from the {self.law} law, losses in {self.unit}: {self.failed} fits "
            f"failed, {self.divergent} had divergences{gross}.",
            f"Ranks of {'all quantities stay' if self.ranks_inside else 'some quantities leave'} "
            f"{'in ' if self.ranks_inside else ''}their envelope; bands "
            f"{'hold as often as they say' if self.bands_hold else 'do not hold as often as they say'}.",
        )

    def __str__(self) -> str:
        return "\n".join([*self.sentences, self.coverage.to_string(index=False)])

    def __repr__(self) -> str:
        verdict = "calibrated" if self.calibrated else "not calibrated"
        return f"<Calibration of the {self.law} law by {self.simulations} simulations, {verdict}>"

    def _repr_html_(self) -> Html:
        coverage = frame_table(self.coverage, caption="how often bands hold the truth")
        return answer(self.sentences, frame_table(self.rank_table, caption="ranks"), coverage)


@accepts(
    law=a_calibrated_law,
    data=optional(any_table),
    noise=optional(a_noise),
    simulations=a_whole_number(lowest=0, highest=1_000_000, suggested=SIMULATIONS),
    seed=a_seed,
    journal=optional(a_path),
    progress=optional(a_flag),
)
def calibrate(
    law: AnyLaw | Calibrated,
    data: xr.Dataset | None = None,
    *,
    noise: Noise | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Calibration:
    """Draw parameters from the prior and tables from the law, fit each, and rank the truth among the draws.

    Over tables whose parameters are drawn from the prior, the rank of the truth among posterior draws is uniform, and
    bands hold the truth as often as their level says (Talts et al. 2018, arXiv 1804.06788); neither is so where
    likelihood, prior, change of coordinates or sampler are wrong. The log likelihood of the table is ranked beside the
    parameters (Modrák et al. 2023).

    Parameters
    ----------
    law
        A law, or anything else that offers what `bayeslaw.laws.calibrated.Calibrated` describes.
    data
        The table whose budgets, groups and standard errors every simulated table has, and to whose losses default
        priors are scaled; a small simulated one where None.
    noise
        Noise of the rows, as in `bayeslaw.fit`.
    simulations
        Number of simulated tables.
    seed
        Seed; the same seed gives the same ranks on one platform.
    journal
        A file that keeps every finished simulation. A run that was broken off, or one of more simulations of the same
        law and seed, goes on from it; it is left where it is.
    progress
        Whether to show progress in a terminal or a notebook; None for notebooks only. Where none is shown the logger
        ``bayeslaw.progress`` is told how far work is.

    Returns
    -------
    Calibration
        Ranks with their envelope, and the coverage of bands.

    Raises
    ------
    InputError
        If the law cannot be fitted to the table, a number is out of range, no simulated table could be fitted, or the
        journal is of another run.

    Examples
    --------
    Ten simulations find nothing but gross mistakes:

    >>> import bayeslaw as bl
    >>> found = bl.calibrate(bl.PowerLaw(pooling="complete"), simulations=10)
    >>> found.simulations, sorted(found.ranks)
    (10, ['amplitude', 'exponent', 'floor', 'log_likelihood', 'noise_scale'])
    """
    check_whole("simulations", simulations, lowest=FEWEST_SIMULATIONS, suggested=SIMULATIONS)
    subject = _subject(law, data, noise, seed)
    begun = time.perf_counter()
    with progress_bar("calibrating", simulations, shown=progress) as advance:
        done = run_simulations(subject, simulations, seed, journal=journal, advance=advance)
    kept = [outcome for outcome in done if not outcome.failed]
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of {simulations} simulated tables could be fitted",
            "priors that draw tables which the sampler can fit",
            "give narrower priors with --config",
        )
    return _collect(subject, kept, simulations=simulations, seed=seed, seconds=time.perf_counter() - begun)


def _subject(law: Any, data: xr.Dataset | None, noise: Noise | None, seed: int) -> Calibrated:
    return kind_of(law).calibrated(law, data, noise=noise, seed=seed) if LAWS.holds(law) else law


def _collect(subject: Calibrated, kept: list[Outcome], *, simulations: int, seed: int, seconds: float) -> Calibration:
    ranks = pd.DataFrame([outcome.ranks for outcome in kept])
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
        divergent=sum(outcome.divergent for outcome in kept),
        slow=sum(outcome.slow for outcome in kept),
        ranked_draws=RANKED_DRAWS,
        values=values,
        ranks=ranks,
        envelope=bounds,
        rank_table=rank_table({str(name): values[name].to_numpy() for name in values}, bounds),
        coverage=coverage,
        seconds=seconds,
    )
