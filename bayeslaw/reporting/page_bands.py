"""The predictions on a page: at the largest budgets seen of each group, and farther out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.losses.loss_text import loss_form, loss_text
from bayeslaw.markup import Html
from bayeslaw.prediction.predictions import KINDS, predict
from bayeslaw.reporting.observed_rows import covariate, group_of_rows, loss
from bayeslaw.reporting.page_parts import number, page_table

FACTORS = (1.0, 10.0)
"""Budgets at which bands are told, in multiples of the largest seen of a group."""
MOST_GROUPS = 12
KIND_WORDS = {"mean": "the law itself", "new": "one new {row}"}


def bands(fit: Fit, *, interval: float, seed: int) -> pd.DataFrame:
    """Predict at the largest budgets of each group, and at ten times those where budgets are all that the law takes.

    Parameters
    ----------
    fit
        The fit.
    interval
        Level of the equal-tailed intervals.
    seed
        Seed of the fresh draws.

    Returns
    -------
    pandas.DataFrame
        Rows of `bayeslaw.predict`, with ``group``.
    """
    at, groups = _targets(fit)
    tables = [predict(fit, at, kind=kind, interval=interval, seed=seed).assign(group=groups) for kind in KINDS]
    for kind, table in zip(KINDS, tables, strict=True):
        table["kind"] = kind
    # Targets stay together, and groups in their order.
    return pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)


def _targets(fit: Fit) -> tuple[dict[str, Any], list[str]]:
    rows, group, law = fit.observations, group_of_rows(fit), fit.law
    counts = pd.Series(group).value_counts()
    largest_groups = set(counts.index[:MOST_GROUPS])
    only_budgets = not set(law.covariates) - set(BUDGETS)
    largest = rows.covariates.get(BUDGETS[0], rows.loss)
    at: dict[str, list[Any]] = {name: [] for name in law.covariates}
    told = []
    for name in [name for name in fit.model.groups or ("",) if name in largest_groups]:
        of_group = np.flatnonzero(group == name)
        place = of_group[np.argmax(largest[of_group])]
        for factor in FACTORS if only_budgets else FACTORS[:1]:
            for column in law.covariates:
                at[column].append(float(rows.covariates[column][place]) * (factor if column in BUDGETS else 1))
            told.append(str(name))
    return at | ({law.group: told} if fit.model.groups else {}), told


def bands_table(fit: Fit, found: pd.DataFrame) -> Html:
    """Show predictions.

    Parameters
    ----------
    fit
        The fit.
    found
        What `bands` gave.

    Returns
    -------
    Html
        The table.
    """
    columns = [name for name in fit.law.covariates if name in found]
    row = "pool" if fit.observations.row_dimension == "pool" else "model"
    names = [fit.law.group, *(name.replace("_", " ") for name in columns), "of", "median", "lower", "upper"]

    form = loss_form(found[["median", "lower", "upper"]].to_numpy().ravel().tolist())

    def lines() -> Iterator[list[object]]:
        for target in found.to_dict(orient="records"):
            yield [
                target["group"] or "all",
                *(covariate(name, target[name]) for name in columns),
                KIND_WORDS[target["kind"]].format(row=row),
                *(loss(target[name], form) for name in ("median", "lower", "upper")),
                number(target["extrapolation"], 2),
            ]

    kind = str(found["interval_kind"].iloc[0])
    level = f"{100 * float(found['interval'].iloc[0]):.6g} % {kind} intervals"
    caption = (
        f"Predicted losses in {fit.unit}, posterior medians and {level}, at the largest budgets seen and farther out"
    )
    return page_table([*names, "ranges beyond the data"], lines(), caption=caption)


def band_sentences(fit: Fit, found: pd.DataFrame) -> Iterator[str]:
    """Say what one new row is predicted to lose at the farthest budgets."""
    row = "pool" if fit.observations.row_dimension == "pool" else "model"
    new = found[found["kind"] == "new"]
    columns = [name for name in fit.law.covariates if name in BUDGETS and name in found]
    for name in dict.fromkeys(new["group"]):
        target = new.loc[new["group"] == name].to_dict(orient="records")[-1]
        budgets = " and ".join(f"{covariate(each, target[each]).text} {each.replace('_', ' ')}" for each in columns)
        beyond = float(target["extrapolation"])
        where = f"{beyond:.1f} ranges of log budgets beyond the data" if beyond > 0 else "inside the data"
        of = f"({fit.law.group} {name}) " if name else ""
        yield (
            f"One new {row} {of}of {budgets or 'such numbers'} is predicted to lose {loss_text(target['median'])} "
            f"{fit.unit} ({100 * target['interval']:.6g} % {target['interval_kind']} interval "
            f"{loss_text(target['lower'])} to {loss_text(target['upper'])}; {where})."
        )
