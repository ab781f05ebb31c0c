"""Simulating and fitting table after table, in threads, with a journal by which a broken run goes on."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from arviz_stats.sampling_diagnostics import ess

from bayeslaw.calibration.coverage import held, widths
from bayeslaw.calibration.ranks import RANKED_DRAWS, rank
from bayeslaw.journal import Journal
from bayeslaw.laws.calibrated import KINDS, Calibrated

PARAMETERS = "parameter"
"""The kind of what is ranked, among kinds of bands."""


@dataclass(frozen=True)
class Outcome:
    """What is kept of one simulated table.

    Parameters
    ----------
    number
        Number of the simulation.
    ranks
        Rank of the truth by element; empty where the fit failed.
    held
        Which bands hold, by kind, as `bayeslaw.calibration.coverage.held` says; of what is ranked as `PARAMETERS`.
    divergent
        Whether trajectories diverged.
    slow
        Whether a quantity's draws were worth less than those that are ranked.
    widths
        Width of the 90 % band of each target, by kind as of `held`.
    """

    number: int
    ranks: dict[str, int]
    held: dict[str, np.ndarray]
    divergent: bool = False
    slow: bool = False
    widths: dict[str, list[float]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the table could not be fitted."""
        return not self.ranks

    @property
    def record(self) -> dict[str, Any]:
        """The outcome as plain values."""
        bands = {kind: held.astype(int).tolist() for kind, held in self.held.items()}
        return {**vars(self), "held": bands}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Outcome":
        """Read an outcome back."""
        bands = {kind: np.array(held, dtype=bool) for kind, held in record["held"].items()}
        return cls(**{**record, "held": bands})


def run_simulations(
    subject: Calibrated,
    simulations: int,
    seed: int,
    *,
    journal: str | os.PathLike[str] | None,
    advance: Callable[[int], None],
) -> list[Outcome]:
    """Draw tables, fit each, and keep what calibration needs to know.

    Parameters
    ----------
    subject
        The law.
    simulations
        Number of tables.
    seed
        Seed. Each simulation has seeds of its own, the same whatever the number of tables.
    journal
        A file of finished simulations, from which a broken run of the same law and seed goes on; none where None.
    advance
        Called with 1 for every simulation.

    Returns
    -------
    list
        Outcomes in the order of their numbers.

    Raises
    ------
    InputError
        If the journal is of another run, or cannot be written.
    """
    if journal is None:
        return _run(subject, simulations, seed, {}, lambda outcome: advance(1))
    header = {"kind": "simulations", "seed": seed} | dict(subject.identity)
    with closing(Journal(journal, header)) as kept:
        found = {outcome.number: outcome for outcome in map(Outcome.from_record, kept.records)}
        done = {number: found[number] for number in sorted(found) if number < simulations}
        advance(len(done))
        lock = Lock()

        def keep(outcome: Outcome) -> None:
            with lock:
                kept.add(outcome.record)
            advance(1)

        return _run(subject, simulations, seed, done, keep)


def _run(
    subject: Calibrated, simulations: int, seed: int, done: dict[int, Outcome], keep: Callable[[Outcome], None]
) -> list[Outcome]:
    seeds = np.random.SeedSequence(seed).generate_state(2 * simulations).reshape(simulations, 2) >> 2

    def one(number: int) -> Outcome:
        outcome = _simulate_one(subject, number, *map(int, seeds[number]))
        keep(outcome)
        return outcome

    left = [number for number in range(simulations) if number not in done]
    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with warnings.catch_warnings():
        # SciPy hushes this warning of its searches by filters that all threads share, so that it gets out where one
        # thread restores them while another searches. Searches that fail are counted, whatever they warn of.
        warnings.filterwarnings("ignore", message=".*line search", category=RuntimeWarning)
        # The first compiles what the others share.
        new = [one(number) for number in left[:1]]
        with ThreadPoolExecutor(max_workers=cores) as pool:
            new += pool.map(one, left[1:])
    return sorted([*done.values(), *new], key=lambda outcome: outcome.number)


def _simulate_one(subject: Calibrated, number: int, table_seed: int, fit_seed: int) -> Outcome:
    simulated = subject.simulate(table_seed)
    posterior = subject.fit(simulated.data, fit_seed)
    if posterior is None or not all(np.isfinite(draws).all() for draws in posterior.predictions.values()):
        return Outcome(number, {}, {})
    rng, ranks, smallest = np.random.default_rng(fit_seed), {}, np.inf
    bands = {kind: (posterior.predictions[kind], simulated.outcomes[kind]) for kind in KINDS}
    of_quantities = []
    for quantity, truth in simulated.truth.items():
        draws = posterior.draws[quantity].reshape(len(posterior.draws[quantity]), -1)
        found = rank(np.ravel(truth), draws, rng)
        ranks |= dict(zip(subject.labels(quantity), found.tolist(), strict=True))
        smallest = min(smallest, *(float(ess(column[None])) for column in draws.T))
        of_quantities.append((draws, np.ravel(truth)))
    bands[PARAMETERS] = np.hstack([draws for draws, _ in of_quantities]), np.hstack([true for _, true in of_quantities])
    covered = {kind: held(*band) for kind, band in bands.items()}
    wide = {kind: widths(draws).tolist() for kind, (draws, _) in bands.items()}
    return Outcome(number, ranks, covered, posterior.divergences > 0, smallest < RANKED_DRAWS, wide)
