"""Laws of whole models judged on the largest models of their own table, which are predicted from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.stats import norm

from bayeslaw.fitting.least_squares import fit_point
from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations

HELD_OUT = (0.2, 0.4)
"""Shares of the different sizes that are held out, the largest."""
MORE_ROWS = 2


def scores(candidates: Mapping[str, Law], data: xr.Dataset, *, parameters: str) -> dict[str, float]:
    """Score laws by how well they predict the largest models of a table from the others.

    Each law is fitted by least squares held near its priors (`bayeslaw.fitting.least_squares.fit_point`) to the models
    below a size, families apart by a factor where the law's parameters vary, and predicts the larger ones with the
    scatter of those fitted. Nothing is sampled: this chooses a law, and does not say how good it is.

    Parameters
    ----------
    candidates
        Laws by name.
    data
        A dataset of whole models.
    parameters
        Which count of parameters is the budget.

    Returns
    -------
    dict
        Mean continuous ranked probability score of each law over all held-out models, in the unit of the losses; empty
        where too few models are left to fit to.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in candidates}
    rows = {name: law.observe(data, parameters=parameters) for name, law in candidates.items()}
    fewest = max(len(law.parameter_names) for law in candidates.values()) + MORE_ROWS
    for share in HELD_OUT:
        for name, law in candidates.items():
            sizes = rows[name].covariates["parameters"]
            different = np.unique(sizes)
            held = max(round(share * len(different)), 1)
            seen = sizes <= different[-held - 1]
            if seen.sum() >= fewest:
                found[name].append(_held_out(law, rows[name], seen))
    return {name: float(np.concatenate(each).mean()) for name, each in found.items() if each}


def _held_out(law: Law, observations: Observations, seen: np.ndarray) -> np.ndarray:
    """CRPS of each model that is not seen, [held-out row]."""
    covariates = {name: values[seen] for name, values in observations.covariates.items()}
    groups = {name: np.asarray(each)[seen] for name, each in observations.groups.items()}
    kept = replace(
        observations,
        loss=observations.loss[seen],
        covariates=covariates,
        groups=groups,
        labels=observations.labels[seen],
        standard_error=None,
    )
    point = fit_point(law, kept, "loss", penalised=True)
    every = np.asarray(observations.groups[law.group])
    further = {name: values[~seen] for name, values in observations.covariates.items()}
    predicted = point.predict(further, every[~seen])
    return normal_crps(predicted, point.deviation, observations.loss[~seen])


def normal_crps(mean: np.ndarray, deviation: float, value: Sequence[float] | np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of normal distributions (Gneiting and Raftery 2007, equation 21)."""
    z = (np.asarray(value) - mean) / deviation
    return deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
