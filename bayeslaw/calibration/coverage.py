"""How often bands hold the truth, with standard errors over tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

LEVELS = (0.5, 0.8, 0.9, 0.95)
ALARM = 0.05
COLUMNS = ("kind", "where", "level", "coverage", "standard_error", "inside", "targets", "tables")


def held(draws: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Say which equal-tailed bands hold what was predicted.

    Parameters
    ----------
    draws
        Predictive draws, shape ``[draw, target]``.
    outcome
        What was predicted, shape ``[target]``.

    Returns
    -------
    np.ndarray
        One row for each of `LEVELS`, shape ``[level, target]``, boolean.
    """
    tails = (1 - np.array(LEVELS)) / 2
    lower, upper = np.quantile(draws, tails, axis=0), np.quantile(draws, 1 - tails, axis=0)
    return (lower <= outcome) & (outcome <= upper)


def widths(draws: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Give the widths of equal-tailed bands of predictive draws, [draw, target]; [target], in their unit."""
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return upper - lower


def coverage_table(kind: str, where: Sequence[str], tables: np.ndarray) -> pd.DataFrame:
    """Average what the bands of many tables hold.

    Parameters
    ----------
    kind
        What was predicted.
    where
        Class of each target, shape ``[target]``.
    tables
        What `held` says of each table, shape ``[table, level, target]``.

    Returns
    -------
    pandas.DataFrame
        One row a class and level: columns `COLUMNS`. The standard error is over tables, whose targets share one fit.
        ``inside`` says whether the coverage is where chance alone would have it; see `within_chance`.
    """
    classes, rows = np.asarray(where), []
    for name in dict.fromkeys(where):
        shares = tables[:, :, classes == name].mean(axis=2)
        for level, share in zip(LEVELS, shares.T, strict=True):
            error = float(share.std(ddof=1) / np.sqrt(len(share))) if len(share) > 1 else np.nan
            targets = int((classes == name).sum())
            rows.append((kind, name, level, float(share.mean()), error, True, targets, len(share)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def within_chance(table: pd.DataFrame) -> np.ndarray:
    """Say which coverages differ from their level by no more than chance explains.

    All rows together raise a false alarm with probability `ALARM` at most (Bonferroni). The standard error is taken as
    no smaller than that of independent targets, which it may be by luck where nearly all bands hold.

    Parameters
    ----------
    table
        Rows as of `coverage_table`.

    Returns
    -------
    np.ndarray
        Boolean, shape ``[row]``.
    """
    level, tables, targets = (table[name].to_numpy(dtype=float) for name in ("level", "tables", "targets"))
    least = np.sqrt(level * (1 - level) / (tables * targets))
    error = np.fmax(table["standard_error"].to_numpy(), least)
    limit = stats.t.ppf(1 - ALARM / (2 * len(table)), np.maximum(tables - 1, 1))
    return np.abs(table["coverage"].to_numpy() - level) <= limit * error
