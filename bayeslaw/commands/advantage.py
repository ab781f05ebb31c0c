"""``bayeslaw advantage``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
    IntervalOption,
    JsonOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    SeedOption,
    StrictOption,
    TableArgument,
    UnitOption,
    console,
    read_table,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.pools.rules import USUAL_RULE, describe_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from bayeslaw.pools.advantages import Advantage
    from bayeslaw.pools.cluster_intervals import Estimate

COLUMNS = ("size", "pairs", "part", "value", "lower", "upper", "interval", "interval_kind", "unit", "rule")


def advantage(
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
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            help=f"How members combine: {describe_rules(on_tokens=False, cross_fitted=False, of_losses=True)}.",
        ),
    ] = USUAL_RULE,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="Largest number of members (default: 3, or all models).")
    ] = None,
    params: Annotated[
        Literal["total", "non-embedding", "active"], typer.Option("--params", help="Which count of parameters.")
    ] = "total",
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest difference of the log budgets of a pair.")
    ] = 0.1,
    interval: IntervalOption = 0.9,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Say how much of what heterogeneous pools are better by is diversity, and how much better partners."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, models))
    check_file_there(table)
    from bayeslaw.pools.advantages import advantage as split_advantage

    losses = read_table(
        ctx,
        table,
        models=models,
        unit=unit,
        cluster=cluster,
        sample=sample,
        describe=describe,
        missing=missing,
        strict=strict,
        metric=metric,
    )
    found = split_advantage(
        losses,
        rule=rule,
        max_size=max_size,
        parameters=params,
        tolerance=tolerance,
        interval=interval,
        seed=seed,
    )
    of_all = {"interval": found.interval, "interval_kind": found.interval_kind, "unit": found.unit, "rule": found.rule}
    rows = [row | of_all for row in found.table.to_dict(orient="records")]
    results.print(found.as_dict(), rows, lambda: _show(found, console()))


def _show(found: Advantage, out: Console) -> None:
    from rich.table import Table

    table = Table(
        title=f"advantage of heterogeneous {found.rule} pools in {found.unit}, {found.interval:.0%} intervals "
        f"({found.interval_kind})",
        header_style="bold",
    )
    for name in ("members", "pairs", "advantage", "better partners", "diversity"):
        table.add_column(name, justify="right")
    rows = [(parts.total, parts.better_partners, parts.diversity) for parts in found.parts]
    form = loss_form(end for row in rows for estimate in row for end in _ends(estimate))
    for parts, row in zip(found.parts, rows, strict=True):
        table.add_row(str(parts.size), f"{parts.pairs:,}", *(_words(estimate, form) for estimate in row))
    out.print(table)
    out.print(found.definition, soft_wrap=True)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.lower, estimate.upper


def _words(estimate: Estimate, form: Callable[[float], str]) -> str:
    value, lower, upper = map(form, _ends(estimate))
    return f"{value} ({lower} to {upper})"
