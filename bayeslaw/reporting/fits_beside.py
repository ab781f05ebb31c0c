"""Several fits of one page beside each other: what each is, its parameters, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bayeslaw.losses.loss_text import loss_form
from bayeslaw.markup import Html, element
from bayeslaw.reporting.common_predictions import are_of_same_rows, common_predictions, rows_left_out
from bayeslaw.reporting.observed_rows import covariate, loss
from bayeslaw.reporting.page_document import Chapter
from bayeslaw.reporting.page_parts import Cell, Section, number, page_table, paragraphs, parameter_numbers
from bayeslaw.reporting.summary_text import ALL, verdict

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.reporting.fit_chapter import FitReport

ENDS = ("median", "lower", "upper")
CLOSE = "No difference reaches two of its standard errors: these rows do not tell which law predicts better."


def fits_beside(reports: Sequence[FitReport], names: Sequence[str]) -> Chapter:
    """Put several fits beside each other.

    Parameters
    ----------
    reports
        What pages say of each.
    names
        Their names.

    Returns
    -------
    Chapter
        What each is, with its verdict; what they predict of the same; how well they predict rows left out, where all
        are of the same rows; and all parameters.
    """
    parts = (
        paragraphs((_comparable(reports),)),
        _fits(reports, names),
        *_predictions(reports, names),
        *_left_out(reports, names),
        *_parameters(reports, names),
    )
    return Chapter("Side by side", (Section("beside", "The fits", parts),))


def _predictions(reports: Sequence[FitReport], names: Sequence[str]) -> Iterator[Html]:
    asked = reports[0].asked
    fits = {name: each.fit for each, name in zip(reports, names, strict=True)}
    found = common_predictions(fits, interval=asked.interval, seed=asked.seed)
    if isinstance(found, str):
        yield paragraphs((f"What they predict is not set side by side: {found}.",))
        return
    law = reports[0].fit.law
    columns = [name for name in law.covariates if name in found]
    form = loss_form(found[[*ENDS]].to_numpy().ravel().tolist())
    rows = [
        [
            target["fit"],
            target["group"] or "all",
            *(covariate(name, target[name]) for name in columns),
            *(loss(target[name], form) for name in ENDS),
            number(target["extrapolation"], 2),
        ]
        for target in found.to_dict(orient="records")
    ]
    first = found.iloc[0]
    named = ["fit", law.group, *(name.replace("_", " ") for name in columns), *ENDS]
    caption = (
        f"What one new {'pool' if reports[0].found.rows_are == 'pools' else 'model'} is predicted to lose, in "
        f"{first['unit']}, posterior medians and {100 * float(first['interval']):.6g} % {first['interval_kind']} "
        "intervals, at the largest budgets that all fits have seen and at ten times these"
    )
    yield page_table([*named, "ranges beyond the data"], rows, caption=caption)


def _left_out(reports: Sequence[FitReport], names: Sequence[str]) -> Iterator[Html]:
    found = rows_left_out({name: each.fit for each, name in zip(reports, names, strict=True)})
    if isinstance(found, str):
        yield paragraphs((f"How well they predict rows left out is not told: {found}.",))
        return
    rows = [
        [
            str(row["fit"]),
            *(number(float(row[name])) for name in ("elpd", "se", "elpd_diff", "dse")),
            Cell(f"{row['weight']:.2f}", float(row["weight"])),
        ]
        for row in found.table.reset_index(names="fit").to_dict(orient="records")
    ]
    caption = f"Expected log predictive density of the loss in {found.unit}, each row left out (PSIS-LOO), best first"
    columns = ("fit", "elpd", "standard error", "difference to the best", "its standard error", "weight in a stack")
    yield page_table(columns, rows, caption=caption)
    yield paragraphs((*found.warnings, *([CLOSE] if _close(found.table) else [])))


def _close(table: pd.DataFrame) -> bool:
    """Say whether no difference to the best reaches two of its standard errors."""
    away, errors = table["elpd_diff"].to_numpy()[1:], table["dse"].to_numpy()[1:]
    return bool((abs(away) < 2 * errors).all())


def _comparable(reports: Sequence[FitReport]) -> str:
    if are_of_same_rows({str(place): each.fit for place, each in enumerate(reports)}):
        return (
            "All were fitted to the same rows. Which of them predicts whole models or families that it has not seen "
            "better is told by bayeslaw compare --leave-out, not by this page."
        )
    units = {each.fit.unit for each in reports}
    words = "They were not fitted to the same rows: differences between them are of the rows as well as of the laws."
    return words if len(units) == 1 else f"{words} Their losses are in different units and cannot be compared."


def _fits(reports: Sequence[FitReport], names: Sequence[str]) -> Html:
    rows = [
        [
            name,
            each.found.law,
            Cell(f"{each.found.rows:,}", float(each.found.rows)),
            each.found.rows_are,
            each.found.unit,
            verdict(each.found),
            element("code", each.found.equation),
        ]
        for each, name in zip(reports, names, strict=True)
    ]
    columns = ("fit", "law", "rows", "rows are", "unit of losses", "verdict", "loss =")
    return page_table(columns, rows, caption="What was fitted to what")


def _parameters(reports: Sequence[FitReport], names: Sequence[str]) -> Iterator[Html]:
    rows = [
        [parameter.name, name, ALL if parameter.group is None else parameter.group, *cells, parameter.unit]
        for each, name in zip(reports, names, strict=True)
        for parameter, cells in parameter_numbers(each.found.parameters)
    ]
    first = reports[0].found
    caption = f"Posterior means and {100 * first.interval:.6g} % {first.interval_kind} intervals, of all fits"
    rows.sort(key=lambda row: str(row[0]))
    yield page_table(("parameter", "fit", "of", "mean", "lower", "upper", "unit"), rows, caption=caption)
