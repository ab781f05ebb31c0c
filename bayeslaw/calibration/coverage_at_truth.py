"""How often posteriors and bands of a law hold a truth that was stated: coverage at one place, not over a prior."""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.calibration.calibration_run import PARAMETERS, Outcome, run_simulations
from bayeslaw.calibration.calibrations import FEWEST_SIMULATIONS, SIMULATIONS
from bayeslaw.calibration.coverage import coverage_table
from bayeslaw.calibration.stated_truth import LawAtTruth, Truth, a_truth
from bayeslaw.errors import InputError, check_whole
from bayeslaw.fitting.fits import a_noise
from bayeslaw.inputs.arguments import a_flag, a_path, a_seed, a_whole_number, accepts, optional
from bayeslaw.laws.argument import a_law
from bayeslaw.laws.calibrated import KINDS
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.progress import progress_bar


@dataclass(frozen=True)
class TruthCoverage:
    """How often bands hold a stated truth.

    Parameters
    ----------
    law
        Name of the law.
    unit
        Unit of the losses.
    truth
        The value of every parameter, by group where it varies.
    simulations
        Number of tables drawn.
    failed
        How many fits gave draws or predictions that are not finite; they are left out.
    divergent
        How many fits had divergent trajectories, also with small steps; they are counted.
    coverage
        One row a kind (``"mean"`` and ``"new"`` bands of the loss, ``"parameter"``), class of targets or parameter, and
        level; columns as of `bayeslaw.calibration.coverage.coverage_table`, without ``inside``, and ``width``: mean
        width of the 90 % band in the unit of what it is of, on rows of that level.
    seconds
        Wall time of simulating and fitting.
    """

    law: str
    unit: str
    truth: dict[str, Any]
    simulations: int
    failed: int
    divergent: int
    coverage: pd.DataFrame
    seconds: float


@accepts(
    law=a_law,
    truth=a_truth,
    data=optional(any_table),
    noise=optional(a_noise),
    simulations=a_whole_number(lowest=0, highest=1_000_000, suggested=SIMULATIONS),
    seed=a_seed,
    journal=optional(a_path),
    progress=optional(a_flag),
)
def truth_coverage(
    law: AnyLaw,
    truth: Truth,
    data: xr.Dataset | None = None,
    *,
    noise: Noise | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> TruthCoverage:
    """Draw tables from stated parameters of a law, fit each with its priors, and count which bands hold the truth.

    Tables drawn from the prior, as `bayeslaw.calibrate` draws them, can show a wrong sampler but not a prior that is
    wrong for some truths: it is right on average over itself. Here coverage is that of one truth, as Neyman has it; it
    need not equal the level, and where a prior has no mass near the truth it is zero.

    Parameters
    ----------
    law
        The law, of rows. Default priors are scaled to every simulated table.
    truth
        Value of every parameter of the law and of its noise by name, or a mapping of values by group: for a power law
        ``floor``, ``amplitude`` at the table's reference size (or ``amplitude_1e9``), ``exponent`` and ``noise_scale``.
        A floor may be zero.
    data
        The table whose budgets, groups and standard errors every simulated table has; a small simulated one where None.
    noise
        Noise of the rows, as in `bayeslaw.fit`; tables are drawn with it too.
    simulations
        Number of simulated tables.
    seed
        Seed; the same seed gives the same numbers on one platform.
    journal
        As in `bayeslaw.calibrate`.
    progress
        Whether to show progress in a terminal or a notebook; None for notebooks only. Where none is shown the logger
        ``bayeslaw.progress`` is told how far work is.

    Returns
    -------
    TruthCoverage
        Coverage and mean width of equal-tailed bands of losses inside and beyond the sizes of the table, and of
        parameters.

    Raises
    ------
    InputError
        If the law is not of rows, the truth is not whole or out of range, a number is out of range, or no simulated
        table could be fitted.

    Examples
    --------
    Ten simulations find nothing but gross mistakes:

    >>> import bayeslaw as bl
    >>> truth = {"floor": 0.3, "amplitude": 1.2, "exponent": 0.3, "noise_scale": 0.02}
    >>> found = bl.truth_coverage(bl.PowerLaw(pooling="complete"), truth, simulations=10)
    >>> sorted(found.coverage["kind"].unique())
    ['mean', 'new', 'parameter']
    """
    check_whole("simulations", simulations, lowest=FEWEST_SIMULATIONS, suggested=SIMULATIONS)
    begun = time.perf_counter()
    subject = kind_of(law).at_truth(law, truth, data, noise=noise, seed=seed)
    with progress_bar("simulating", simulations, shown=progress) as advance:
        done = run_simulations(subject, simulations, seed, journal=journal, advance=advance)
    kept = [outcome for outcome in done if not outcome.failed]
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of {simulations} simulated tables could be fitted",
            "a truth whose tables can be fitted",
            "state another truth or other priors",
        )
    groups = subject.rows.template.model.groups
    stated = {
        name: float(value) if np.ndim(value) == 0 else dict(zip(groups, np.asarray(value).tolist(), strict=True))
        for name, value in subject.values.items()
    }
    return TruthCoverage(
        law=subject.name,
        unit=subject.unit,
        truth=stated,
        simulations=simulations,
        failed=simulations - len(kept),
        divergent=sum(outcome.divergent for outcome in kept),
        coverage=_coverage(subject, kept),
        seconds=time.perf_counter() - begun,
    )


def _coverage(subject: LawAtTruth, kept: list[Outcome]) -> pd.DataFrame:
    """Average over tables, for each kind of band and for parameters."""
    where = {kind: subject.targets["where"].tolist() for kind in KINDS}
    where[PARAMETERS] = [label for name in subject.values for label in subject.labels(name)]
    parts = []
    for kind, classes in where.items():
        table = coverage_table(kind, classes, np.stack([each.held[kind] for each in kept]))
        widths = np.mean([each.widths[kind] for each in kept], axis=0)
        mean = {name: float(widths[np.array(classes) == name].mean()) for name in dict.fromkeys(classes)}
        parts.append(table.drop(columns="inside").assign(width=[mean[name] for name in table["where"]]))
    result = pd.concat(parts, ignore_index=True)
    return result.assign(width=result["width"].where(result["level"] == 0.9))
