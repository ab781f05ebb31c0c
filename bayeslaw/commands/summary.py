"""``bayeslaw summary``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import FitArgument, IntervalOption, JsonOption, console
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

if TYPE_CHECKING:
    from bayeslaw.reporting.summaries import Summary

PriorsOption = Annotated[bool, typer.Option("--priors", help="Also print the law with every prior.")]
COLUMNS = ("name", "group", "mean", "lower", "upper", "unit", "interval", "interval_kind")


def summary(
    ctx: typer.Context,
    fit: FitArgument,
    interval: IntervalOption = 0.9,
    priors: PriorsOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Tell what a fit found: parameters with intervals and units, claims, and how far to trust it."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(fit,))
    check_fit_there(fit)
    use_compilation_cache()
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.reporting.summaries import summary as summarise

    found = summarise(load_fit(fit, keep=("prior", "log_prior")), interval=interval)
    print_summary(results, found, priors=priors)


def print_summary(results: Results, found: Summary, *, priors: bool, compact: bool = False) -> None:
    """Print a summary as text, JSON or CSV.

    Parameters
    ----------
    results
        Where it goes.
    found
        The summary.
    priors
        Whether the text has every prior too.
    compact
        As in `bayeslaw.reporting.summary_text.summary_text`.
    """
    from bayeslaw.reporting.summary_text import summary_text

    def show() -> None:
        console().print(summary_text(found, compact=compact), soft_wrap=True)
        if priors:
            console().print(f"\n{found.priors}", soft_wrap=True)

    level = {"interval": found.interval, "interval_kind": found.interval_kind}
    results.print(found.to_dict(), [asdict(parameter) | level for parameter in found.parameters], show)
