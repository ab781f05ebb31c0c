"""``bayeslaw check``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayeslaw.commands.claims_table import show_claims
from bayeslaw.commands.common import (
    COLOURS,
    FitArgument,
    JsonOption,
    coloured,
    console,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache
from bayeslaw.losses.loss_text import loss_form

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("code", "severity", "message", "remedy")


def check(
    ctx: typer.Context,
    fit: FitArgument,
    budgets: Annotated[
        list[str] | None,
        typer.Option("--budget", help="Budget, such as 7e9 or 7B, at which claims compare; may be repeated."),
    ] = None,
    independent_rows: Annotated[
        bool,
        typer.Option(
            "--independent-rows", help="Also fit with rows taken as independent, which takes as long as a fit."
        ),
    ] = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    details: Annotated[
        bool, typer.Option("--details", help="Also how far priors and data move each prediction and parameter.")
    ] = False,
) -> None:
    """Say whether a fit can be trusted, and how probable the claims are; exit code 1 where it must not be trusted."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(fit,))
    check_fit_there(fit)
    use_compilation_cache()
    from bayeslaw.diagnosis.checks import check_record, without_claims
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.losses.sizes import read_counts

    at = None if not budgets else read_counts("budget", budgets)
    loaded = load_fit(fit, keep=("prior", "log_prior"))
    record = check_record(loaded, budgets=at, independent_rows=independent_rows)

    def show() -> None:
        _show(record, console(), without_claims(loaded))
        if details:
            _show_details(record, console())

    results.print(record, record["findings"], show)
    if not record["trusted"]:
        raise typer.Exit(1)


def _show(record: dict[str, Any], out: Console, no_claims: str) -> None:
    figures = record["diagnostics"]
    agreement = f"largest R-hat {figures['rhat_max']:.3f} (limit {figures['rhat_limit']:.3f})"
    if math.isnan(figures["rhat_max"]):
        agreement = "no R-hat, which needs two chains"
    out.print(
        f"{agreement}, smallest effective sample size {figures['ess_bulk_min']:.0f} (bulk) "
        f"and {figures['ess_tail_min']:.0f} (tail), {figures['divergences']} divergences, "
        f"smallest E-BFMI {figures['bfmi_min']:.2f}",
        soft_wrap=True,
    )
    for finding in record["findings"]:
        colour = COLOURS[finding["severity"]]
        out.print(coloured(finding["severity"], colour), f"{finding['code']}: {finding['message']}", soft_wrap=True)
        out.print(f"  remedy: {finding['remedy']}", soft_wrap=True)
    if record["claims"]:
        show_claims(record["claims"], out)
    else:
        out.print(no_claims, soft_wrap=True)
    if record.get("pools"):
        _show_pools(record["pools"], out)
    out.print(coloured("trusted", "green") if record["trusted"] else coloured("not to be trusted", "red"))


def _show_details(record: dict[str, Any], out: Console) -> None:
    from rich.table import Table

    found = record.get("sensitivity")
    if found is None:
        out.print("no details: the fit was saved without its log prior (fit again with --keep log_prior)")
        return
    predictions = Table(
        title="by what share of its width a 90 % band of a new model or pool moves for twice or half the strength of",
        header_style="bold",
    )
    for name in ("part", "prediction", "seen", "prior", "likelihood"):
        predictions.add_column(name, justify="right" if name in ("prior", "likelihood") else "left")
    for row in found["predictions"]:
        shares = (f"{row[name]:.2f}" for name in ("prior", "likelihood"))
        predictions.add_row(row["part"], row["where"], "beyond" if row["beyond"] else "within", *shares)
    parameters = Table(title="power-scaling sensitivity of parameters (Kallioinen et al. 2024)", header_style="bold")
    for name in ("parameter", "prior", "likelihood"):
        parameters.add_column(name, justify="left" if name == "parameter" else "right")
    for row in found["parameters"]:
        parameters.add_row(row["parameter"], f"{row['prior']:.3f}", f"{row['likelihood']:.3f}")
    out.print(predictions)
    out.print(parameters)


def _show_pools(pools: list[dict[str, Any]], out: Console) -> None:
    from rich.table import Table

    first = pools[0]
    table = Table(
        title=f"losses of pools of the table ({first['unit']}, rule {first['rule']}) beside replicates, "
        f"{first['interval']:.0%} {first['interval_kind']} intervals",
        header_style="bold",
    )
    for name in ("regime", "size", "pools", "observed", "replicates", "p-value"):
        table.add_column(name, justify="left" if name == "regime" else "right")
    form = loss_form(row[name] for row in pools for name in ("observed", "median", "lower", "upper"))
    for row in pools:
        numbers = (str(row["size"]), str(row["pools"]), form(row["observed"]))
        table.add_row(
            row["regime"],
            *numbers,
            f"{form(row['median'])} ({form(row['lower'])} to {form(row['upper'])})",
            f"{row['tail']:.3f}",
        )
    out.print(table)
