"""What several fits predict of the same: new rows at budgets that all of them have seen, and rows left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.comparison.comparisons import Comparison, compare
from bayeslaw.comparison.same_rows import check_same_rows
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.prediction.predictions import predict
from bayeslaw.reporting.observed_rows import group_of_rows

FACTORS = (1.0, 10.0)
"""Budgets at which predictions are set beside each other, in multiples of the largest that all fits have seen."""
MOST_GROUPS = 6
MOST_DENSITIES = 4e7
"""Densities of rows at draws, of all fits, that are gone through for a page."""


def common_predictions(fits: Mapping[str, Fit], *, interval: float, seed: int) -> pd.DataFrame | str:
    """Predict one new row at the same budgets of the same groups by several fits.

    Parameters
    ----------
    fits
        Fits by name.
    interval
        Level of the equal-tailed intervals.
    seed
        Seed of the fresh draws.

    Returns
    -------
    pandas.DataFrame or str
        Rows of `bayeslaw.predict` with ``group`` and ``fit``, fits beside each other at each target; or why there are
        none, in words without a full stop.
    """
    every = list(fits.values())
    if len({fit.unit for fit in every}) > 1:
        return "their losses are in different units"
    if len({fit.observations.row_dimension for fit in every}) > 1:
        return "one is of models, another of pools"
    covariates = every[0].law.covariates
    if any(fit.law.covariates != covariates for fit in every) or set(covariates) - set(BUDGETS):
        return "their laws do not take the same budgets, and nothing else"
    targets = list(_targets(every))
    if not targets:
        return "they have seen no group in common"
    at = {name: [target[name] for target in targets] for name in covariates}
    groups = [target["group"] for target in targets]
    tables = [
        predict(fit, at | ({fit.law.group: groups} if fit.model.groups else {}), interval=interval, seed=seed).assign(
            group=groups, fit=name
        )
        for name, fit in fits.items()
    ]
    return pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)


def _targets(fits: Sequence[Fit]) -> Iterator[dict[str, Any]]:
    """Name a group with its budgets: the largest that all fits have seen of it, and ten times that."""
    grouped = [fit for fit in fits if fit.model.groups]
    if len({fit.law.group for fit in grouped}) > 1:
        return
    shared = [""] if not grouped else list(grouped[0].model.groups)
    shared = [name for name in shared if all(name in fit.model.groups for fit in grouped)]
    for name in shared[:MOST_GROUPS]:
        largest = [_largest(fit, name) for fit in fits]
        seen = min(largest, key=lambda budgets: budgets[BUDGETS[0]])
        yield from ({name: value * factor for name, value in seen.items()} | {"group": name} for factor in FACTORS)


def _largest(fit: Fit, group: str) -> dict[str, float]:
    """Return the budgets of the row of a group with the most parameters; of all rows where the fit has no groups."""
    covariates = fit.observations.covariates
    rows = np.flatnonzero(group_of_rows(fit) == (group if fit.model.groups else ""))
    place = rows[np.argmax(covariates[BUDGETS[0]][rows])]
    return {name: float(covariates[name][place]) for name in fit.law.covariates}


def are_of_same_rows(fits: Mapping[str, Fit]) -> bool:
    """Say whether fits are of the same rows, losses and unit."""
    try:
        check_same_rows(fits)
    except InputError:
        return False
    return True


def rows_left_out(fits: Mapping[str, Fit]) -> Comparison | str:
    """Compare fits of the same rows by what they predict of each row left out.

    Parameters
    ----------
    fits
        Fits by name.

    Returns
    -------
    bayeslaw.Comparison or str
        The ranking; or why there is none, in words without a full stop.
    """
    if not are_of_same_rows(fits):
        return "they were not fitted to the same rows"
    posteriors = [fit.tree["posterior"].sizes for fit in fits.values()]
    densities = sum(
        len(fit.observations.loss) * sizes["chain"] * sizes["draw"]
        for fit, sizes in zip(fits.values(), posteriors, strict=True)
    )
    if densities > MOST_DENSITIES:
        return "there are too many rows and draws for a page; ask bayeslaw compare"
    try:
        return compare(fits)
    except InputError as error:
        return str(error).splitlines()[0]
