"""``bayeslaw summary``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bayeslaw.commands.common import FitArgument, IntervalOption, JsonOption, console
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

COLUMNS = ("name", "group", "mean", "lower", "upper", "unit", "interval", "interval_kind")


def summary(
    ctx: typer.Context,
    fit: FitArgument,
    interval: IntervalOption = 0.9,
    priors: Annotated[bool, typer.Option("--priors", help="Also print every prior.")] = False,
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
    level = {"interval": found.interval, "interval_kind": found.interval_kind}
    results.write([asdict(parameter) | level for parameter in found.parameters])
    if as_json:
        results.print_record(found.to_dict())
    elif results.shown:
        console().print(str(found), soft_wrap=True)
        if priors:
            console().print(f"\n{found.priors}", soft_wrap=True)
