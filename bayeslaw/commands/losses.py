"""``bayeslaw losses``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bayeslaw.commands.common import (
    COLOURS,
    ClusterOption,
    DescribeOption,
    JsonOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    StrictOption,
    TableArgument,
    UnitOption,
    coloured,
    console,
    say_errors,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.losses.sizes import count_label

if TYPE_CHECKING:
    from rich.console import Console

    from bayeslaw.losses.table_report import LossReport

COLUMNS = ("model", "family", "parameters", "loss", "standard_error", "loss_unit", "wins")


def losses(
    ctx: typer.Context,
    table: TableArgument,
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Say what is in a loss table: unit, samples, models, families, mean losses, warnings."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, models))
    check_file_there(table)
    from bayeslaw.losses.readers import read_losses
    from bayeslaw.losses.table_arguments import find_table
    from bayeslaw.losses.table_report import loss_report

    report = loss_report(
        read_losses(
            find_table(table, unit),
            models=models,
            unit=unit,
            cluster=cluster,
            sample=sample,
            describe=describe or (),
            missing=missing,
            metric=metric,
        )
    )
    record = report.as_dict()
    results.print(record, record["models"], lambda: _show(report, console()))
    if strict:
        say_errors([warning for warning in report.warnings if warning.is_error], strict=True)


def _show(report: LossReport, out: Console) -> None:
    from rich.table import Table

    out.print(coloured(report.source, "bold") + f"  {_counts(report)}")
    table = Table(header_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("family")
    for name in ("parameters", report.loss_unit, "standard error", "wins"):
        table.add_column(name, justify="right")
    of_losses, of_errors = (
        loss_form(getattr(model, name) for model in report.models) for name in ("loss", "standard_error")
    )
    for model in report.models:
        table.add_row(
            model.model,
            model.family,
            count_label(model.parameters),
            of_losses(model.loss),
            "" if model.standard_error != model.standard_error else of_errors(model.standard_error),
            "" if model.wins is None else f"{model.wins:.1%}",
        )
    out.print(table)
    for warning in report.warnings:
        colour = COLOURS[warning.severity]
        out.print(coloured(f"{warning.severity} {warning.code}", colour) + f": {warning.message}", soft_wrap=True)


def _counts(report: LossReport) -> str:
    families = len(report.families)
    counts = [f"{len(report.models)} models", f"{families} {'family' if families == 1 else 'families'}"]
    if report.samples is not None:
        counts.insert(0, f"{report.samples:,} samples (unit: {report.unit})")
    if report.clusters is not None:
        counts.insert(1, f"{report.clusters:,} clusters")
    sizes = [model.parameters for model in report.models]
    return ", ".join([*counts, f"{count_label(min(sizes))} to {count_label(max(sizes))} parameters"])
