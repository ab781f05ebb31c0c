"""Which of several laws predicts the rows best."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.loo import compare as rank_by_elpd
from arviz_stats.loo import loo

from bayeslaw.errors import InputError
from bayeslaw.fit import Fit
from bayeslaw.noise import loss_log_jacobian

PARETO_LIMIT = 0.7
OVERLAP_WARNING = (
    "The rows are pools that share models and samples. Leaving out one pool leaves its near copies in, so this "
    "comparison is too optimistic, and favours laws that follow the pools seen closely; it does not tell which law "
    "predicts pools of other models."
)


@dataclass(frozen=True)
class Comparison:
    """Fits ranked by expected log predictive density.

    Parameters
    ----------
    table
        One row a fit, best first, as `arviz_stats.compare` gives it: rank, elpd, p, elpd_diff, weight, se, dse and
        diagnostics. Densities are of the loss in `unit`, whatever the response fitted.
    unit
        Unit of the loss.
    warnings
        Sentences to read before the table.
    """

    table: pd.DataFrame
    unit: str
    warnings: tuple[str, ...]


def compare(fits: Mapping[str, Fit]) -> Comparison:
    """Compare fits of the same rows by PSIS-LOO (Vehtari, Gelman and Gabry 2017).

    Fits on losses and on log losses are compared on the loss: the latter's densities are corrected by the Jacobian.

    Parameters
    ----------
    fits
        Two or more fits by name.

    Returns
    -------
    Comparison
        The ranking, with warnings where rows overlap or leave-one-out weights are unreliable.

    Raises
    ------
    InputError
        If there are fewer than two fits, if they are not of the same rows, or one was saved without its log likelihood.
    """
    _check_comparable(fits)
    notes, densities = [], {}
    for name, fit in fits.items():
        densities[name] = _loo(fit)
        unreliable = int((densities[name].pareto_k > PARETO_LIMIT).sum())
        if unreliable:
            notes.append(
                f"{name}: {unreliable} rows have a Pareto k above {PARETO_LIMIT}; their share of elpd is unreliable."
            )
    if any(fit.observations.facts.get("overlapping") for fit in fits.values()):
        notes.insert(0, OVERLAP_WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = rank_by_elpd(densities, round_to="none")
    return Comparison(table, next(iter(fits.values())).unit, tuple(notes))


def _loo(fit: Fit) -> Any:
    row = fit.observations.row_dimension
    jacobian = xr.DataArray(
        loss_log_jacobian(fit.model.response, fit.noise.response), dims=[row], coords={row: fit.observations.labels}
    )
    with warnings.catch_warnings():
        # Reliability is reported in our own words, with the fit's name.
        warnings.simplefilter("ignore", UserWarning)
        return loo(fit.tree, pointwise=True, log_jacobian=jacobian)


def _check_comparable(fits: Mapping[str, Fit]) -> None:
    if len(fits) < 2:
        raise InputError(f"{len(fits)} fit was given", "two or more fits of the same rows", "name another fit")
    (first_name, first), *others = fits.items()
    for name, fit in fits.items():
        if "log_likelihood" not in fit.tree.children:
            raise InputError(
                f"{name} was saved without its log likelihood", "a fit that keeps it", "fit again with --keep all"
            )
    for name, fit in others:
        same_rows = np.array_equal(fit.observations.labels, first.observations.labels)
        same = (
            same_rows
            and fit.unit == first.unit
            and np.allclose(fit.observations.loss, first.observations.loss, rtol=1e-9)
        )
        if not same:
            raise InputError(
                f"{name} and {first_name} were fitted to different rows",
                "fits of the same table",
                "fit both laws to one table",
            )
