"""The table of what is predicted: a row a target, with the band that its draws make."""

import numpy as np
import pandas as pd

from bayeslaw.laws.results import Predicted


def band_table(drawn: Predicted, *, kind: str, level: float, unit: str, infinite_mean: bool) -> pd.DataFrame:
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

    Returns
    -------
    pandas.DataFrame
        As `bayeslaw.predict` returns it.
    """
    draws = drawn.draws.reshape(-1, len(drawn.targets))
    tail = (1 - level) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    result = drawn.targets.copy()
    result["kind"] = kind
    result["samples"] = drawn.samples
    result["interval"] = level
    result["interval_kind"] = "equal-tailed"
    result["unit"] = unit
    result["mean"] = np.inf if infinite_mean else draws.mean(axis=0)
    result["median"] = np.median(draws, axis=0)
    result["lower"], result["upper"] = lower, upper
    result["extrapolation"] = drawn.extrapolation
    return result
