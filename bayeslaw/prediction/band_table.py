"""The table of what is predicted: a row a target, with the band that its draws make."""

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import Converter, a_whole_number, optional
from bayeslaw.laws.results import Predicted

OBSERVED = "observed"
a_row: Converter = optional(a_whole_number(lowest=0, suggested=0))
"""What says beside which row the others are put, counted from 0; None: beside none."""


def band_table(
    drawn: Predicted, *, kind: str, level: float, unit: str, infinite_mean: bool, versus: int | None = None
) -> pd.DataFrame:
    """Summarise draws of losses as bands.

    Parameters
    ----------
    drawn
        Draws of losses at targets.
    kind
        What was predicted, as in `bayeslaw.predict`.
    level
        Level of the equal-tailed interval.
    unit
        Unit of the losses.
    infinite_mean
        Whether the distribution that was drawn from has no finite mean.
    versus
        Row, from 0, from which the loss of every row is subtracted draw by draw; None: from none.

    Returns
    -------
    pandas.DataFrame
        As `bayeslaw.predict` returns it.

    Raises
    ------
    InputError
        If there is no such row.
    """
    draws = drawn.draws.reshape(-1, len(drawn.targets))
    observed = np.zeros(len(drawn.targets), dtype=bool) if drawn.observed is None else drawn.observed
    lower, upper = _ends(draws, level)
    result = drawn.targets.copy()
    result["kind"] = np.where(observed, OBSERVED, kind)
    result["samples"] = drawn.samples
    result["interval"] = level
    result["interval_kind"] = "equal-tailed"
    result["unit"] = unit
    result["mean"] = np.inf if infinite_mean else draws.mean(axis=0)
    result["median"] = np.median(draws, axis=0)
    # What was observed is known: a band of no width would be read as one.
    result["lower"], result["upper"] = np.where(observed, np.nan, lower), np.where(observed, np.nan, upper)
    result["extrapolation"] = drawn.extrapolation
    return result if versus is None else result.assign(**_differences(draws, versus, level, observed))


def _ends(draws: np.ndarray, level: float) -> np.ndarray:
    tail = (1 - level) / 2
    return np.quantile(draws, [tail, 1 - tail], axis=0)


def _differences(draws: np.ndarray, versus: int, level: float, observed: np.ndarray) -> dict[str, Any]:
    """Compare every row with one, draw by draw: what both share goes out of the difference."""
    count = draws.shape[1]
    if versus >= count:
        raise InputError(
            f"there is no row {versus} to compare with",
            f"rows 0 to {count - 1} in Python, 1 to {count} on the command line",
            "name a row of the prediction",
        )
    away = draws - draws[:, [versus]]
    lower, upper = _ends(away, level)
    # A row beside itself, or two losses that were both observed, have a difference without a band.
    certain = (np.arange(count) == versus) | (observed & observed[versus])
    better = np.mean(away < 0, axis=0)
    return {
        "difference": np.median(away, axis=0),
        "difference_lower": np.where(certain, np.nan, lower),
        "difference_upper": np.where(certain, np.nan, upper),
        "probability_better": np.where(np.arange(count) == versus, np.nan, better),
    }
