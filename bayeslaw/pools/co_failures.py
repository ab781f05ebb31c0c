r"""How often all members of a pool fail together: what no selection among them can repair.

A pool fails on a sample at a threshold :math:`t` where every member loses more than :math:`t`, that is where the oracle
does. Whoever takes one member for each sample, by whatever rule, loses more than :math:`t` there, and so does any
mixture of whole samples, which loses no less than the oracle. So :math:`P(\min_m \ell_m > t)` bounds from below how
often any of them loses more than :math:`t` (mixtures of single tokens may lose less).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_level, a_number, accepts, optional, texts
from bayeslaw.losses.statistics import loss_unit
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.weighted_means import loss_scale
from bayeslaw.pools.scored_pool import scored_pool
from bayeslaw.pools.table_rules import holds_votes

CO_FAILURE_KIND = "equal-tailed, Clopper-Pearson over clusters"
USUAL_SHARES = (0.5, 0.25, 0.1, 0.05, 0.01)
DIGITS = 2
WRONG_ANSWERS = (0.5,)
"""Between a right answer, which loses 0, and a wrong one, which loses 1."""
BOUND = (
    "Whoever selects one of these members for each sample, by whatever rule, loses more than the threshold at least "
    "that often, and so does any mixture of whole samples: no selection among these members can do better."
)
"""What is bounded, in words."""
_a_threshold = a_number(accepted="finite numbers in the unit of the losses", suggested=1.0)


def _thresholds(name: str, value: Any) -> list[float]:
    """Accept one number, or several."""
    several = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
    entries = list(value) if several else [value]
    if not entries:
        raise InputError(f"{name} is empty", "one number or more", "leave it out for thresholds of the table")
    found = sorted({_a_threshold(name, entry) for entry in entries})
    if found[0] < 0:
        accepted = "numbers of zero or more in the unit of the losses, since none is lower"
        raise InputError(f"{name} is {found[0]:g}", accepted, f"use {name}={-found[0]:g}")
    return found


@accepts(losses=loss_table, members=texts, thresholds=optional(_thresholds), interval=a_level)
def co_failure(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
    interval: float = 0.9,
) -> pd.DataFrame:
    """Say how often all members of a pool lose more than a threshold.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models.
    thresholds
        Losses of a single sample in the unit of the table's losses, bits per byte or nats; by default those that the
        oracle exceeds on a half to a hundredth of the samples, in two digits. Of answers that are right or wrong it is
        a half alone, which a wrong one exceeds and a right one does not: all others say the same, or nothing.
    interval
        Level of the equal-tailed interval.

    Returns
    -------
    pandas.DataFrame
        One row a threshold, ascending: ``threshold``, ``probability`` that all members lose more, its ``lower`` and
        ``upper`` bound, ``best_member`` (the lowest of the members' own probabilities of losing more), ``unit``,
        ``clusters``. `BOUND` says what is bounded.

    Raises
    ------
    InputError
        If a member is not known, the table has one cluster, or a threshold is no number or below zero.

    Notes
    -----
    The probability is that of a sample drawn from a cluster drawn at random, clusters counting alike: the mean over
    clusters of the share of their samples on which all fail. Where every cluster is one sample, failures are binomial
    and the interval is the exact one of Clopper and Pearson (1934). Where clusters have several samples, clusters are
    the trials and a cluster fails in part: the same beta quantiles are taken at the sum of the shares, which scatters
    no more than as many zeros and ones of the same mean (Hoeffding 1963), so that the interval is, if anything, wide.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> found = bl.co_failure(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], thresholds=[2.0, 3.0])
    >>> found["threshold"].tolist(), found["probability"].is_monotonic_decreasing
    ([2.0, 3.0], True)
    """
    pool = scored_pool(losses, members, seed=0)
    count = int(pool.clusters.max()) + 1
    if count == 1:
        raise InputError(
            "the table has one cluster, which tells nothing of how samples differ",
            "a table of two clusters or more",
            "declare a finer cluster",
        )
    # A sample without bytes has no loss per byte; it has no loss either.
    rates = loss_scale(pool.losses) * pool.nll / np.where(pool.weights > 0, pool.weights, 1.0)[:, None]
    lowest = rates.min(axis=1)
    wanted = thresholds
    if wanted is None:
        wanted = list(WRONG_ANSWERS) if holds_votes(pool.losses) else _usual(lowest)
    of_cluster = 1 / np.bincount(pool.clusters)[pool.clusters] / count
    rows = []
    for threshold in wanted:
        probability = float(of_cluster @ (lowest > threshold))
        lower, upper = clopper_pearson(probability * count, count, interval)
        best = float((of_cluster @ (rates > threshold)).min())
        rows.append((threshold, probability, lower, upper, best, loss_unit(pool.losses), count))
    columns = ["threshold", "probability", "lower", "upper", "best_member", "unit", "clusters"]
    return pd.DataFrame(rows, columns=columns)


def _usual(lowest: np.ndarray) -> list[float]:
    quantiles = np.quantile(lowest, [1 - share for share in USUAL_SHARES])
    return sorted({float(f"{quantile:.{DIGITS}g}") for quantile in quantiles})


def clopper_pearson(failures: float, trials: int, level: float) -> tuple[float, float]:
    """Bound a probability.

    Parameters
    ----------
    failures
        Number of failures; may have a fraction.
    trials
        Number of trials.
    level
        Level of the equal-tailed interval.

    Returns
    -------
    lower, upper : float
        The bounds: 0 without failures, 1 where all fail.
    """
    tail, least = (1 - level) / 2, 1e-9
    lower = 0.0 if failures < least else stats.beta.ppf(tail, failures, trials - failures + 1)
    upper = 1.0 if failures > trials - least else stats.beta.ppf(1 - tail, failures + 1, trials - failures)
    return float(lower), float(upper)
