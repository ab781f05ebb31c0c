"""The law's own losses of the rows fitted, without noise, at draws of the posterior or of the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from bayeslaw.fitting.given_rows import outline_of, rows_of
from bayeslaw.fitting.row_programs import ExpectedLosses
from bayeslaw.likelihood.compiled import compile_once

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit


def expected_of_rows(fit: Fit, rows: np.ndarray, *, group: str) -> np.ndarray:
    """Evaluate a law of rows.

    Parameters
    ----------
    fit
        A fit, or a tree of a prior in the place of one.
    rows
        Which rows, by number, shape ``[row]``.
    group
        Whose draws: ``"posterior"`` or ``"prior"``.

    Returns
    -------
    np.ndarray
        Losses in the fit's unit, shape ``[draw, row]``.
    """
    model = fit.model
    values = {name: array for name, array in fit.values(group).items() if name in model.needed_sites}
    covariates = {name: column[rows] for name, column in model.covariates.items()}
    with jax.enable_x64(True):
        given = values, covariates, model.group_index[rows], rows_of(model)
        return np.asarray(compile_once(ExpectedLosses(outline_of(model)), *given)(*given))


def expected_of_models(fit: Fit, rows: np.ndarray, *, group: str) -> np.ndarray:
    """Evaluate the lines of families of the joint law, without drift and own parts; as `expected_of_rows`."""
    values, table = fit.values(group), fit.model.table
    family, log_size = table.family[rows], table.log_size[rows]
    decay = np.exp(-values["exponent"][:, family] * log_size)
    return values["floor"][:, family] + values["amplitude"][:, family] * decay
