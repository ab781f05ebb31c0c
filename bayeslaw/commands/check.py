"""``bayeslaw check`` and ``bayeslaw compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayeslaw.commands.common import FitArgument, JsonOption, console, print_json, warn_if_untrusted
from bayeslaw.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def check(fit: FitArgument, as_json: JsonOption = False) -> None:
    """Say whether a fit can be trusted, and how probable the claims are; exit code 1 where it must not be trusted."""
    from bayeslaw.diagnose import check_record
    from bayeslaw.fit import load_fit

    record = check_record(load_fit(fit, keep=("prior",)))
    if as_json:
        print_json(record)
    else:
        _show(record, console())
    if not record["trusted"]:
        raise typer.Exit(1)


def _show(record: dict[str, Any], out: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    figures = record["diagnostics"]
    out.print(
        f"largest R-hat {figures['rhat_max']:.3f}, smallest effective sample size {figures['ess_bulk_min']:.0f} (bulk) "
        f"and {figures['ess_tail_min']:.0f} (tail), {figures['divergences']} divergences, "
        f"smallest E-BFMI {figures['bfmi_min']:.2f}",
        soft_wrap=True,
    )
    for finding in record["findings"]:
        colour = COLOURS[finding["severity"]]
        heading = f"[{colour}]{finding['severity']}[/{colour}] {finding['code']}"
        out.print(f"{heading}: {escape(finding['message'])}", soft_wrap=True)
        out.print(f"  remedy: {escape(finding['remedy'])}", soft_wrap=True)
    if record["claims"]:
        table = Table(header_style="bold")
        table.add_column("claim")
        table.add_column("probability", justify="right")
        table.add_column("before the data", justify="right")
        table.add_column("unit")
        for claim in record["claims"]:
            row = (_probability(claim["probability"]), _probability(claim["prior_probability"]), escape(claim["unit"]))
            table.add_row(escape(claim["claim"]), *row)
        out.print(table)
    out.print("[green]trusted[/green]" if record["trusted"] else "[red]not to be trusted[/red]")


def _probability(value: float) -> str:
    """Write a share of draws; no finite number of draws shows a certainty."""
    if value > 0.999:
        return "> 0.999"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def compare(
    fits: Annotated[
        list[Path], typer.Argument(metavar="FIT...", help="Two or more fits of the same rows.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Rank fits of the same rows by expected log predictive density (PSIS-LOO)."""
    from bayeslaw.compare import compare as compare_fits
    from bayeslaw.fit import load_fit

    names = [str(path) for path in fits]
    if len(set(names)) < len(names):
        raise InputError("a fit is named twice", "different fits", "name each fit once")
    loaded = {name: load_fit(name, keep=("log_likelihood",)) for name in names}
    comparison = compare_fits(loaded)
    for name, fit in loaded.items():
        warn_if_untrusted(fit, Path(name))
    if as_json:
        rows = comparison.table.reset_index(names="fit").to_dict(orient="records")
        print_json({"unit": comparison.unit, "warnings": list(comparison.warnings), "fits": rows})
        return
    _show_comparison(comparison.table, comparison.warnings, comparison.unit)


def _show_comparison(table: Any, warnings: tuple[str, ...], unit: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = console()
    for warning in warnings:
        out.print(f"[yellow]warning[/yellow]: {escape(warning)}", soft_wrap=True)
    shown = Table(title=f"expected log predictive density of the loss in {unit}", header_style="bold")
    shown.add_column("fit", overflow="fold")
    for name in table.columns:
        shown.add_column(str(name), justify="right")
    for name, row in table.iterrows():
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row]
        shown.add_row(escape(str(name)), *("" if cell == "nan" else escape(cell) for cell in cells))
    out.print(shown)
