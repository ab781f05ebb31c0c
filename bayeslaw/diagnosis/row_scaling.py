"""Predictions of a law of rows by which the influence of its prior is judged."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.diagnosis.row_likelihood import log_likelihood
from bayeslaw.diagnosis.scaled_predictions import BEYOND, Scalable
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.losses.sizes import count_label
from bayeslaw.prediction.row_prediction import draw_rows

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

MOST_ROWS = 6


def scalable_rows(fit: "Fit") -> list[Scalable]:
    """Predict new rows at budgets seen of each group, and at `BEYOND` times the largest; one part."""
    targets, beyond = targets_of(fit)
    log_prior = fit.tree["log_prior"].dataset.sel({name: fit.tree["posterior"][name] for name in ("chain", "draw")})
    draws_of_all = len(log_prior["chain"]) * len(log_prior["draw"])
    summed = sum(log_prior[site].to_numpy().reshape(draws_of_all, -1).sum(axis=1) for site in fit.model.sites)
    draws = draw_rows(fit, targets, kind="new", samples=None, seed=0)
    where = [_words(fit, row) for _, row in targets.iterrows()]
    return [Scalable("law", where, beyond, draws, np.asarray(summed), log_likelihood(fit))]


def targets_of(fit: "Fit") -> tuple[pd.DataFrame, np.ndarray]:
    """Take some rows of each group in the order of their budgets, then its largest with budgets beyond."""
    model, first = fit.model, fit.law.covariates[0]
    covariates = fit.observations.covariates
    frames, beyond = [], []
    for index, group in enumerate(model.groups or ("",)):
        rows = np.flatnonzero(model.group_index == index)
        rows = rows[np.unique(covariates[first][rows], return_index=True)[1]]
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int))]
        seen = pd.DataFrame({name: values[chosen] for name, values in covariates.items()})
        further = seen.iloc[[-1]].assign(**{n: BEYOND * seen[n].iloc[-1] for n in seen if n in BUDGETS})
        both = pd.concat([seen, further], ignore_index=True)
        frames.append(both.assign(**{fit.law.group: group}) if group else both)
        beyond += [False] * len(seen) + [True]
    return pd.concat(frames, ignore_index=True), np.array(beyond)


def _words(fit: "Fit", row: pd.Series) -> str:
    values: dict[str, Any] = row.to_dict()
    at = (
        ", ".join(
            f"{count_label(values[name])} {name.replace('_', ' ')}" for name in fit.law.covariates if name in BUDGETS
        )
        or "a row"
    )
    return f"{row[fit.law.group]} at {at}" if fit.law.group in row else at
