"""What a page is made of: sections, tables that can be sorted, and boxes that scroll by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayeslaw.findings import Finding
from bayeslaw.markup import Html, element, escaped, joined, listing
from bayeslaw.reporting.summary_text import parameter_texts

if TYPE_CHECKING:
    from bayeslaw.reporting.summaries import ParameterSummary


@dataclass(frozen=True)
class Cell:
    """A number in a table: as it is shown, and what rows are sorted by.

    Parameters
    ----------
    text
        What is shown.
    value
        The number; NaN sorts last.
    """

    text: str
    value: float


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Parameters
    ----------
    name
        Its place in links of the page, a word of this package.
    title
        Its heading.
    parts
        What it holds; texts are escaped.
    """

    name: str
    title: str
    parts: tuple[object, ...]


def number(value: float | None, digits: int = 4, *, missing: str = "unknown") -> Cell:
    """Show a number with some digits.

    Parameters
    ----------
    value
        The number; None or NaN where there is none, infinite where an interval has no such end.
    digits
        Significant digits.
    missing
        What is shown where there is none.

    Returns
    -------
    Cell
        The cell.

    Examples
    --------
    >>> number(2.30412), number(None).text, number(float("inf")).text
    (Cell(text='2.304', value=2.30412), 'unknown', 'not bounded')
    """
    if value is None or math.isnan(value):
        return Cell(missing, math.nan)
    if math.isinf(value):
        return Cell("not bounded", float(value))
    return Cell(f"{value:.{digits}g}", float(value))


def parameter_numbers(
    parameters: Sequence[ParameterSummary],
) -> Iterator[tuple[ParameterSummary, list[Cell]]]:
    """Show mean and ends of parameters, those of one name with the same decimals."""
    for parameter, texts in zip(parameters, parameter_texts(parameters), strict=True):
        values = (parameter.mean, parameter.lower, parameter.upper)
        yield parameter, [Cell(text, float(value)) for text, value in zip(texts, values, strict=True)]


def paragraphs(sentences: Iterable[object]) -> Html:
    """Put each sentence into a paragraph."""
    return joined(element("p", sentence) for sentence in sentences if sentence)


def page_table(names: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str) -> Html:
    """Make a table with a caption, which a script of the page lets readers sort.

    Parameters
    ----------
    names
        Names of the columns.
    rows
        The cells of each row: texts, and `Cell` of numbers. The first names the row.
    caption
        What the table shows, with the level and kind of its intervals.

    Returns
    -------
    Html
        The table in a box of its own, which scrolls where the page is narrow.
    """
    body = [list(row) for row in rows]
    numeric = [any(isinstance(row[place], Cell) for row in body) for place in range(len(names))]
    head = element("tr", *(_head(name, right) for name, right in zip(names, numeric, strict=True)))
    lines = [element("tr", *(_cell(cell, place) for place, cell in enumerate(row))) for row in body]
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", *lines))
    return scrolled(whole, caption)


def scrolled(part: Html, name: str) -> Html:
    """Put a part into a box that scrolls by itself, by keys too; its name is told to screen readers."""
    return element("div", part, attributes={"class": "box", "role": "group", "aria-label": name, "tabindex": "0"})


def _head(name: str, numeric: bool) -> Html:
    return element("th", name, attributes={"scope": "col"} | ({"class": "number"} if numeric else {}))


def _cell(cell: object, place: int) -> Html:
    if isinstance(cell, Cell):
        value = "" if math.isnan(cell.value) else repr(cell.value)
        return element("td", cell.text, attributes={"class": "number", "data-value": value})
    if place == 0:
        return element("th", cell, attributes={"scope": "row"})
    return element("td", cell)


def findings_list(findings: Iterable[Finding], nothing: str) -> Html:
    """List findings with their severity, code and remedy.

    Parameters
    ----------
    findings
        The findings.
    nothing
        What is said where there are none.

    Returns
    -------
    Html
        The list, or a paragraph.
    """
    told = [
        joined(
            (
                element("strong", finding.severity, attributes={"class": f"severity {finding.severity}"}),
                " ",
                element("code", finding.code),
                f": {finding.message}",
                f" {_sentence(finding.remedy)}" if finding.remedy else "",
            )
        )
        for finding in findings
    ]
    return listing(told) or element("p", nothing)


def _sentence(remedy: str) -> str:
    return f"Remedy: {remedy}."


def section_html(section: Section, *, prefix: str, level: int) -> Html:
    """Write a section.

    Parameters
    ----------
    section
        The section.
    prefix
        Before its name, where several parts of a page have sections of the same names.
    level
        Level of its heading.

    Returns
    -------
    Html
        The section, named by its heading.
    """
    place = f"{prefix}{section.name}"
    heading = element(f"h{level}", section.title, attributes={"id": f"{place}-title"})
    # Sections of several parts have the same headings, and are told apart by that of their part.
    named = f"{prefix}title {place}-title" if prefix else f"{place}-title"
    attributes = {"id": place, "aria-labelledby": named}
    return element("section", heading, *map(escaped, section.parts), attributes=attributes)
