"""The package's own `PowerLaw` on curves of one model: one fit for all curves of a domain.

A curve is a family of the table, a row of it a model whose parameters are the examples seen. With ``separate`` pooling
curves share nothing, so that one run of the sampler fits them all, each by itself; with ``partial`` pooling, the
package's default, they share a population of floors, amplitudes and exponents. Each curve has a noise scale of its own.

Losses stand in units of the lowest loss fitted of their curve and budgets in units of its geometric mean. The law and
the noise of log losses do not change with either unit; the default priors, which scale with the losses of a table, then
are near those that each curve would have alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from curves_protocol import Curve, Prediction

import bayeslaw as bl
from bayeslaw.prediction.row_prediction import law_draws
from bayeslaw.prediction.targets import read_targets

DRAWS = 1000


def power_table(curves: Sequence[Curve]) -> xr.Dataset:
    """Put the fitted rows of curves into one table of whole models.

    Parameters
    ----------
    curves
        The curves.

    Returns
    -------
    xarray.Dataset
        One row a fitted row; ``family`` is the number of the curve.
    """
    rows = [
        pd.DataFrame({"family": str(place), "parameters": curve.budget / curve.reference, "loss": scaled_loss(curve)})
        for place, curve in enumerate(curves)
    ]
    return bl.models_from_frame(pd.concat(rows, ignore_index=True))


def scaled_loss(curve: Curve) -> np.ndarray:
    """Losses of the fitted rows in units of the lowest, [row]."""
    return curve.loss / curve.loss.min()


def fit_power(curves: Sequence[Curve], *, pooling: str, seed: int, draws: int = DRAWS) -> bl.Fit:
    """Fit `PowerLaw`, its priors the default ones, to curves.

    Parameters
    ----------
    curves
        The curves, of one domain.
    pooling
        ``"separate"`` or ``"partial"``.
    seed
        Seed.
    draws
        Draws of each of four chains.

    Returns
    -------
    Fit
        The fit.
    """
    noise = bl.Noise(response="log_loss", by_group=True)
    return bl.fit(bl.PowerLaw(pooling=pooling), power_table(curves), noise=noise, draws=draws, seed=seed)


def predict_power(fit: bl.Fit, curves: Sequence[Curve], *, seed: int) -> list[Prediction]:
    """Predict the scored rows of the curves that were fitted.

    Parameters
    ----------
    fit
        A fit of `power_table`.
    curves
        The curves of that table, in the same order.
    seed
        Seed.

    Returns
    -------
    list of Prediction
        One a curve: a normal of the log loss, its noise included, for every draw.
    """
    at: dict[str, Any] = {
        "parameters": np.concatenate([curve.new_budget / curve.reference for curve in curves]),
        "family": np.repeat([str(place) for place in range(len(curves))], [len(curve.new_loss) for curve in curves]),
    }
    mean, deviation = law_draws(fit, read_targets(fit, at), seed=seed)
    ends = np.cumsum([len(curve.new_loss) for curve in curves])[:-1]
    equal = np.full(len(mean), 1 / len(mean))
    by_curve = zip(curves, np.split(np.log(mean), ends, axis=1), np.split(deviation, ends, axis=1), strict=True)
    return [Prediction(means + np.log(curve.loss.min()), scales, equal) for curve, means, scales in by_curve]
