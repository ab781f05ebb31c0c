"""A summary as text, and as HTML for notebooks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayeslaw.inputs.foreign_text import printable
from bayeslaw.markup import BREAK, Html, element, folded, joined, listing, table

if TYPE_CHECKING:
    from bayeslaw.reporting.summaries import ParameterSummary, Summary

MOST_GROUPS = 8
"""More families or regimes than this are counted, not listed."""
COLUMNS = ("parameter", "of", "mean", "lower", "upper", "unit")
ALL = "all"
MOST_DECIMALS = 6
TEXT_COLUMNS = ("parameter", "of", "unit")
CLAIMS = "Claims: probability (before the data; were families drawn from a population)"


def summary_text(found: Summary, *, compact: bool = False) -> str:
    """Write a summary as lines of text.

    Parameters
    ----------
    found
        The summary.
    compact
        Leave out the parameters of each group where there are many groups.

    Returns
    -------
    str
        What was fitted, the parameters, claims and crossover in sentences, and trust. Names from tables are in it as
        they are printable.
    """
    lines = [*_fitted(found), "", *_aligned(found, compact=compact), *_findings(found)]
    told, left_out = stated(found.claims)
    if told:
        lines += ["", f"{CLAIMS}:"]
        lines += [f"  {sentence}" for sentence in told]
        lines += [f"  {left_out} more at other budgets: bayeslaw check, or bl.claims"] if left_out else []
    if found.crossover:
        lines += ["", *found.crossover]
    lines += ["", *found.trust, verdict(found)]
    return printable("\n".join(lines))


def summary_html(found: Summary) -> Html:
    """Write a summary as HTML, every text from outside escaped.

    Parameters
    ----------
    found
        The summary.

    Returns
    -------
    Html
        A fragment without style sheets or scripts.
    """
    first, *more = _fitted(found)
    told, left_out = stated(found.claims)
    told += [f"{left_out} more at other budgets: bl.claims"] if left_out else []
    rows = parameter_cells(found.parameters)
    return joined(
        (
            element("p", element("strong", first), *(joined((BREAK, line)) for line in more)),
            table(COLUMNS, rows, caption=_caption(found), left=TEXT_COLUMNS),
            element("p", f"{CLAIMS}:") if told else "",
            listing(told),
            *(element("p", sentence) for sentence in found.crossover),
            listing(f"{finding.severity} {finding}" for finding in found.findings),
            element("p", *(joined((line, BREAK)) for line in found.trust), element("strong", verdict(found))),
            folded("Priors", element("pre", found.priors)),
        )
    )


def verdict(found: Summary) -> str:
    """Say in one line whether the fit can be trusted."""
    if found.trusted:
        return "Trusted: no check found an error."
    return f"Not to be trusted: {', '.join(finding.code for finding in found.findings if finding.is_error)}."


def _fitted(found: Summary) -> list[str]:
    chains, draws = found.draws
    lines = [
        f"{found.law.replace('_', ' ').capitalize()} law of {found.rows:,} {found.rows_are}, loss in {found.unit}",
        f"loss = {found.equation}",
    ]
    if found.groups and len(found.groups) <= MOST_GROUPS:
        each = ", ".join(f"{name} ({count:,})" for name, count in found.groups.items())
        lines.append(f"{found.rows_are} by {found.group_is}: {each}")
    elif found.groups:
        counts = found.groups.values()
        lines.append(
            f"{found.rows_are} by {found.group_is}: {len(found.groups)}, of {min(counts):,} to {max(counts):,} each"
        )
    return [*lines, f"{chains} chains of {draws:,} draws"]


def _caption(found: Summary) -> str:
    return f"posterior means and {100 * found.interval:.6g} % {found.interval_kind} intervals"


def parameter_cells(parameters: Sequence[ParameterSummary]) -> list[tuple[str, ...]]:
    """Write parameters as rows of the cells of `COLUMNS`."""
    return [
        (each.name, ALL if each.group is None else each.group, *numbers, each.unit)
        for each, numbers in zip(parameters, parameter_texts(parameters), strict=True)
    ]


def parameter_texts(parameters: Sequence[ParameterSummary]) -> list[tuple[str, str, str]]:
    """Write mean and ends of parameters, those of one name with the same decimals: three digits of an interval's width.

    Parameters
    ----------
    parameters
        The parameters.

    Returns
    -------
    list of tuple
        Texts of mean, lower and upper end of each.
    """
    widths: dict[str, list[float]] = {}
    for each in parameters:
        widths.setdefault(each.name, []).append(each.upper - each.lower)
    decimals = {name: _decimals([width for width in found if 0 < width < math.inf]) for name, found in widths.items()}
    return [
        (_number(each.mean, digits), _number(each.lower, digits), _number(each.upper, digits))
        for each, digits in ((each, decimals[each.name]) for each in parameters)
    ]


def _decimals(widths: Sequence[float]) -> int | None:
    """Choose decimals that show three digits of the usual one of some widths; None for four digits of each number."""
    if not widths:
        return None
    decimals = 2 - math.floor(math.log10(statistics.median(widths)))
    return decimals if -1 < decimals <= MOST_DECIMALS else None


def _number(value: float, decimals: int | None) -> str:
    return f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"


def _aligned(found: Summary, *, compact: bool) -> Iterator[str]:
    told = found.parameters
    if compact and len(found.groups) > MOST_GROUPS:
        told = tuple(parameter for parameter in told if parameter.group is None)
    rows: list[Sequence[str]] = [COLUMNS, *parameter_cells(told)]
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    yield f"{_caption(found).capitalize()}:"
    for row in shown:
        cells = (
            cell.ljust(width) if name in TEXT_COLUMNS else cell.rjust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()
    if len(told) < len(found.parameters):
        yield f"  and {len(found.parameters) - len(told)} of single {found.group_is} names: bayeslaw summary FIT"


def _findings(found: Summary) -> list[str]:
    return ["", *(f"{finding.severity} {finding}" for finding in found.findings)] if found.findings else []


def told_claims(claims: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Choose the claims of no budget and of the largest one inside the data.

    Parameters
    ----------
    claims
        Claims with the keys of `bayeslaw.Claim`.

    Returns
    -------
    list
        Those that are told.
    """
    inside = [claim["budget"] for claim in claims if claim["budget"] is not None and not claim["extrapolation"]]
    at = (None, max(inside)) if inside else (None,)
    return [claim for claim in claims if claim["budget"] in at]


def stated(claims: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Write the claims that are told, and count the others.

    Parameters
    ----------
    claims
        Claims with the keys of `bayeslaw.Claim`.

    Returns
    -------
    tuple
        Sentences, and the number of claims left out.
    """
    told = told_claims(claims)
    return [_sentence(claim) for claim in told], len(claims) - len(told)


def _sentence(claim: Mapping[str, Any]) -> str:
    told, before = (_probability(claim[name]) for name in ("probability", "prior_probability"))
    drawn = claim["families_probability"]
    families = "" if drawn is None else f"; {_probability(drawn)}"
    return f"{told} ({before}{families}): {claim['claim']}"


def _probability(share: float) -> str:
    return "over 0.99" if share > 0.995 else "under 0.01" if share < 0.005 else f"{share:.2f}"
