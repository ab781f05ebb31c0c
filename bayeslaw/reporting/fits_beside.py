"""Several fits of one page beside each other: what each is, its parameters, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bayeslaw.markup import Html, element
from bayeslaw.reporting.page_document import Chapter
from bayeslaw.reporting.page_parts import Cell, Section, number, page_table, paragraphs
from bayeslaw.reporting.page_provenance import OF_DATA, digest_of
from bayeslaw.reporting.summary_text import ALL, verdict

if TYPE_CHECKING:
    from bayeslaw.reporting.fit_chapter import FitReport


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
        What each is, with its verdict, and all parameters.
    """
    parts = (paragraphs((_comparable(reports),)), _fits(reports, names), *_parameters(reports, names))
    return Chapter("Side by side", (Section("beside", "The fits", parts),))


def _comparable(reports: Sequence[FitReport]) -> str:
    digests = {digest_of({name: each.fit.tree[name].dataset for name in OF_DATA}) for each in reports}
    if len(digests) == 1:
        return (
            "All were fitted to the same rows. Which of them predicts rows it has not seen better is told by bayeslaw "
            "compare, not by this page."
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
        [parameter.name, name, ALL if parameter.group is None else parameter.group]
        + [number(value) for value in (parameter.mean, parameter.lower, parameter.upper)]
        + [parameter.unit]
        for each, name in zip(reports, names, strict=True)
        for parameter in each.found.parameters
    ]
    first = reports[0].found
    caption = f"Posterior means and {100 * first.interval:.6g} % {first.interval_kind} intervals, of all fits"
    rows.sort(key=lambda row: str(row[0]))
    yield page_table(("parameter", "fit", "of", "mean", "lower", "upper", "unit"), rows, caption=caption)
