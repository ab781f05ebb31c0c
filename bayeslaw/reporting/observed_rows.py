"""The rows of a fit, told on a page: by group, and each where they are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html
from bayeslaw.reporting.page_parts import Cell, number, page_table
from bayeslaw.reporting.picture_hover import Names

MOST_ROWS = 200
"""Of more rows those of the lowest losses are listed."""
LISTED = 25


def covariate(name: str, value: float) -> Cell:
    """Show a covariate: budgets as counts, other numbers in digits."""
    return Cell(count_label(value), value) if name in BUDGETS else number(value)


def loss(value: float, form: Callable[[float], str] = loss_text) -> Cell:
    """Show a loss, in the form of its column where it has one."""
    return Cell(form(value), float(value))


def group_of_rows(fit: Fit) -> np.ndarray:
    """Name the group of each row, [row]; empty where the law tells none apart."""
    if not fit.model.groups:
        return np.full(len(fit.observations.loss), "")
    return np.asarray(fit.model.groups).astype(str)[np.asarray(fit.model.group_index)]


def names_by_place(fit: Fit) -> Names:
    """Name rows by where the picture of a law has them: their budget and loss."""
    rows, named = fit.observations, {}
    budgets = rows.covariates.get(BUDGETS[0], np.zeros(len(rows.loss)))
    for budget, value, label in zip(budgets.tolist(), rows.loss.tolist(), rows.labels.astype(str), strict=True):
        named.setdefault((budget, value), []).append(str(label))
    return {place: tuple(labels) for place, labels in named.items()}


def samples_words(fit: Fit) -> list[str]:
    """Say on how many samples the rows were scored, where the fit knows it: one sentence or none."""
    samples, clusters = (fit.observations.facts.get(name) for name in ("samples", "clusters"))
    if not isinstance(samples, int):
        return []
    of = f", of {clusters:,} clusters" if isinstance(clusters, int) else ""
    return [f"Losses are means over {samples:,} samples{of}."]


def rows_by_group(fit: Fit) -> Html:
    """Count the rows of each group, with the ranges of their budgets and losses."""
    rows, group = fit.observations, group_of_rows(fit)
    budgets = [name for name in fit.law.covariates if name in BUDGETS]
    names = [fit.law.group, "rows"]
    names += [f"{end} {name.replace('_', ' ')}" for name in budgets for end in ("fewest", "most")]
    names += ["lowest loss", "median loss", "highest loss"]

    def lines() -> Iterator[list[object]]:
        for name in dict.fromkeys(group.tolist()):
            of_group = group == name
            ends = [
                covariate(budget, float(end(rows.covariates[budget][of_group])))
                for budget in budgets
                for end in (np.min, np.max)
            ]
            told = [loss(float(part(rows.loss[of_group]))) for part in (np.min, np.median, np.max)]
            yield [name or "all", Cell(f"{of_group.sum():,}", float(of_group.sum())), *ends, *told]

    return page_table(names, lines(), caption=f"Rows fitted, by {fit.law.group}; losses in {fit.unit}")


def each_row(fit: Fit) -> Html:
    """List the rows, or those of the lowest losses where they are many."""
    rows, group = fit.observations, group_of_rows(fit)
    order = np.argsort(rows.loss, kind="stable")
    many = len(order) > MOST_ROWS
    order = order[:LISTED] if many else order
    names = ["row", fit.law.group, *(name.replace("_", " ") for name in fit.law.covariates), "loss"]
    lines = [
        [
            str(rows.labels[place]),
            group[place],
            *(covariate(name, float(rows.covariates[name][place])) for name in fit.law.covariates),
            loss(float(rows.loss[place])),
        ]
        for place in order
    ]
    which = f"The {LISTED} of {len(rows.loss):,} rows with the lowest losses" if many else "All rows"
    return page_table(names, lines, caption=f"{which}; losses in {fit.unit}")
