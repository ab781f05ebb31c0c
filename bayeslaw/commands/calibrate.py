"""``bayeslaw calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    JsonOption,
    MissingOption,
    ModelsOption,
    SeedOption,
    StrictOption,
    UnitOption,
    coloured,
    console,
    is_quiet,
    note,
    read_any_table,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.laws.registry import LAWS
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.text import Text

    from bayeslaw.calibration.calibrations import Calibration
    from bayeslaw.calibration.coverage_at_truth import TruthCoverage
    from bayeslaw.laws.protocol import AnyLaw


COLUMNS = ("kind", "where", "level", "coverage", "standard_error", "tables", "targets", "law", "unit", "interval_kind")


def calibrate(
    ctx: typer.Context,
    law: Annotated[
        str | None, typer.Option("--law", help=f"{', '.join(LAWS)}, or a law that an installed package brings.")
    ] = None,
    simulations: Annotated[int, typer.Option("--simulations", help="Number of simulated tables.")] = 200,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="Table or pools whose budgets and groups to simulate; a small one by default."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with law, priors, settings and noise.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the ranks, the tables and the picture; a broken run goes on."),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            "--truth",
            metavar="YAML|NAME=VALUE,...",
            help="Draw tables from these parameters, not from the prior; reports coverage alone.",
        ),
    ] = None,
    seed: SeedOption = 0,
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Hold a law's posteriors and bands to simulated tables; exit code 1 where they do not mean what they say.

    With --truth, tables are drawn from stated parameters, each is fitted with the law's priors, and how often bands
    and parameters hold that truth is reported.
    """
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, config, models))
    use_compilation_cache()
    import matplotlib

    from bayeslaw.calibration.calibrations import calibrate as calibrate_law
    from bayeslaw.fitting.settings_file import read_config
    from bayeslaw.plotting.calibration_files import calibration_record, check_calibration_output, write_calibration

    matplotlib.use("agg")
    if out is not None and truth is None:
        check_calibration_output(out, inputs=(table, config, models))
    if table is None and (models or unit or cluster or missing != "error"):
        raise InputError("options of a table were given without one", "--table with them", "add --table")
    chosen, noise = read_config(config, law)
    if chosen is None:
        raise InputError("no law is named", f"one of {', '.join(LAWS.names())}", "add --law power")
    data = None
    if table is not None:
        data = read_any_table(ctx, table, models=models, unit=unit, cluster=cluster, missing=missing, strict=strict)
    if truth is not None:
        _at_truth(ctx, chosen, truth, data, noise=noise, simulations=simulations, seed=seed, out=out, results=results)
        return
    journal = None if out is None else out.with_name(f"{out.name}.journal")
    result = calibrate_law(
        chosen,
        data,
        noise=noise,
        simulations=simulations,
        seed=seed,
        journal=journal,
        progress=not is_quiet(ctx) and results.shown,
    )
    if out is not None and journal is not None:
        write_calibration(result, out, seed=seed)
        journal.unlink()
    record = calibration_record(result)
    results.print(record, _rows(record), lambda: _show(result))
    if out is not None:
        note(ctx, f"wrote {out}")
    if not result.calibrated:
        raise typer.Exit(1)


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Coverage by kind of band, class of targets and level, a row each."""
    of_all = {name: record[name] for name in ("law", "unit", "interval_kind")}
    return [row | of_all for row in record["coverage"]]


def _at_truth(
    ctx: typer.Context,
    law: AnyLaw,
    truth: str,
    data: xr.Dataset | None,
    *,
    out: Path | None,
    results: Results,
    **run: Any,
) -> None:
    """Report coverage at a stated truth; `run` is noise, simulations and seed."""
    from dataclasses import asdict

    from bayeslaw.calibration.coverage_at_truth import truth_coverage
    from bayeslaw.calibration.truth_file import truth_from_text

    if out is not None:
        raise InputError("--out was given with --truth", "--json, which prints all of it", "leave out --out")
    found = truth_coverage(law, truth_from_text(truth), data, progress=not is_quiet(ctx) and results.shown, **run)
    coverage = found.coverage.astype(object).where(found.coverage.notna(), None).to_dict(orient="records")
    record = asdict(found) | {"coverage": coverage, "interval_kind": "equal-tailed"}
    results.print(record, _rows(record), lambda: _show_at_truth(found))


def _show_at_truth(found: TruthCoverage) -> None:
    stated = ", ".join(f"{name} {value}" for name, value in found.truth.items())
    console().print(
        f"{found.law} law: {found.simulations} tables drawn from {stated}; {found.failed} fits failed, "
        f"{found.divergent} had divergences",
        soft_wrap=True,
    )
    _show_truth_coverage(found.coverage, found.unit)


def _show_truth_coverage(coverage: pd.DataFrame, unit: str) -> None:
    from rich.table import Table

    title = f"share of equal-tailed bands of losses ({unit}) and parameters that hold the stated truth, with its "
    shown = Table(title=f"{title}standard error over tables; mean width of 90 % bands", header_style="bold")
    for name in ("band of", "where"):
        shown.add_column(name)
    levels = list(dict.fromkeys(coverage["level"]))
    for name in (*(f"{level:.0%}" for level in levels), "width"):
        shown.add_column(name, justify="right")
    bands: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in coverage.to_dict(orient="records"):
        bands.setdefault((row["kind"], row["where"]), []).append(row)
    for names, rows in bands.items():
        cells = [f"{row['coverage']:.1%} ± {row['standard_error']:.1%}" for row in rows]
        width = next(row["width"] for row in rows if row["level"] == 0.9)
        shown.add_row(*names, *cells, f"{width:.4g}")
    console().print(shown)


def _show(result: Calibration) -> None:
    out = console()
    per_minute = 60 * result.simulations / result.seconds
    out.print(
        f"{result.law} law: {result.simulations} simulations, {per_minute:.0f} a minute; {result.failed} fits failed, "
        f"{result.divergent} had divergences, {result.slow} gave fewer effective draws than the {result.ranked_draws} "
        "that are ranked",
        soft_wrap=True,
    )
    if result.quick:
        out.print("quick form: so few simulations find gross mistakes only; use 200 or more", soft_wrap=True)
    _show_ranks(result)
    _show_coverage(result.coverage, result.unit)
    out.print(coloured("calibrated", "green") if result.calibrated else coloured("not calibrated", "red"))


def _show_ranks(result: Calibration) -> None:
    from rich.table import Table

    title = f"ranks of the truth, simultaneous envelope at {result.envelope.level:.2%} each (95 % for all together)"
    shown = Table(title=title, header_style="bold")
    shown.add_column("quantity", overflow="fold")
    for name in ("mean (0.5)", "spread (1)", "reach (at most 1)"):
        shown.add_column(name, justify="right")
    shown.add_column("verdict")
    for row in result.rank_table.to_dict(orient="records"):
        colour = "green" if row["inside"] else "red"
        numbers = (f"{row[name]:.2f}" for name in ("mean", "spread", "reach"))
        shown.add_row(str(row["quantity"]), *numbers, coloured(str(row["verdict"]), colour))
    console().print(shown)


def _show_coverage(coverage: pd.DataFrame, unit: str) -> None:
    from rich.table import Table

    shown = Table(
        title=f"share of equal-tailed bands of the loss ({unit}) that hold the truth, with its standard error over "
        "tables",
        header_style="bold",
    )
    shown.add_column("band of")
    shown.add_column("where")
    levels = list(dict.fromkeys(coverage["level"]))
    for level in levels:
        shown.add_column(f"{level:.0%}", justify="right")
    bands: dict[tuple[str, str], list[Text]] = {}
    for row in coverage.to_dict(orient="records"):
        colour = "green" if row["inside"] else "red"
        cell = coloured(f"{row['coverage']:.1%} ± {row['standard_error']:.1%}", colour)
        bands.setdefault((row["kind"], row["where"]), []).append(cell)
    for names, cells in bands.items():
        shown.add_row(*names, *cells)
    console().print(shown)
