"""``bayeslaw compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayeslaw.commands.common import (
    JsonOption,
    SeedOption,
    coloured,
    console,
    is_quiet,
    warn_if_untrusted,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_different, check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

if TYPE_CHECKING:
    from bayeslaw.comparison.comparisons import Comparison

COLUMNS = ("fit", "rank", "weight", "unit", "left_out")


def compare(
    ctx: typer.Context,
    fits: Annotated[
        list[Path], typer.Argument(metavar="FIT...", help="Two or more fits of the same rows.", show_default=False)
    ],
    leave_out: Annotated[
        Literal["model", "family"] | None,
        typer.Option("--leave-out", help="Leave out whole models or families and refit, in place of single rows."),
    ] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="Say only with which weights the laws predict best together.")
    ] = False,
    method: Annotated[
        Literal["exact", "weights"],
        typer.Option("--method", help="Of --leave-out: refit always, or only where importance weights are unreliable."),
    ] = "exact",
    draws: Annotated[int, typer.Option("--draws", help="Draws kept per chain of a refit.")] = 500,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Rank fits of the same rows by the log density they predict: of single rows, or of models or families left out."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(*fits,))
    # Fits are read one after the other: of the others the reader tells.
    check_fit_there(fits[0])
    use_compilation_cache()
    from bayeslaw.comparison.comparisons import compare as compare_fits
    from bayeslaw.fitting.fit_reading import load_fit

    names = [str(path) for path in fits]
    check_different(fits)
    if leave_out is None and (method != "exact" or draws != 500):
        raise InputError(
            "refits were asked for, and none are made", "--method and --draws with --leave-out", "add --leave-out model"
        )
    loaded = {name: load_fit(name, keep=("log_likelihood",)) for name in names}
    comparison = compare_fits(loaded, by=leave_out, method=method, draws=draws, seed=seed, progress=not is_quiet(ctx))
    for name, fit in loaded.items():
        warn_if_untrusted(fit, Path(name))
    results.print(comparison_record(comparison, stack=stack), _rows(comparison), lambda: _show(comparison, stack=stack))


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    of_all = {"unit": comparison.unit, "left_out": _left_out(comparison)}
    return [row | of_all for row in comparison.table.reset_index(names="fit").to_dict(orient="records")]


def _left_out(comparison: Comparison) -> str:
    return next((left_out.by for left_out in comparison.left_out.values()), "row")


def comparison_record(comparison: Comparison, *, stack: bool) -> dict[str, Any]:
    """Put a comparison into plain values.

    Parameters
    ----------
    comparison
        The comparison.
    stack
        Whether the weights alone are wanted.

    Returns
    -------
    dict
        ``unit``, ``warnings``, ``left_out`` (row, model or family) and ``fits``, best first; where models or families
        were left out, ``folds`` of each; for a stack ``weights`` in place of the last two.
    """
    by = _left_out(comparison)
    record: dict[str, Any] = {"unit": comparison.unit, "warnings": list(comparison.warnings), "left_out": by}
    if stack:
        weights = comparison.table["weight"].to_dict()
        return record | {"weights": {str(name): float(weight) for name, weight in weights.items()}}
    record["fits"] = comparison.table.reset_index(names="fit").to_dict(orient="records")
    if comparison.left_out:
        record["folds"] = {
            name: left_out.table.reset_index().to_dict(orient="records")
            for name, left_out in comparison.left_out.items()
        }
    return record


def _show(comparison: Comparison, *, stack: bool) -> None:
    from rich.table import Table

    out = console()
    for warning in comparison.warnings:
        out.print(coloured("warning", "yellow") + f": {warning}", soft_wrap=True)
    by = _left_out(comparison)
    title = f"expected log predictive density of the loss in {comparison.unit}, each {by} left out"
    table = comparison.table
    if stack:
        title = f"weights of the laws in a stack, by the loss in {comparison.unit}, each {by} left out"
        table = table[["weight"]]
    shown = Table(title=title, header_style="bold")
    shown.add_column("fit", overflow="fold")
    for name in table.columns:
        shown.add_column(str(name), justify="right")
    for name, row in table.iterrows():
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row]
        shown.add_row(str(name), *("" if cell == "nan" else cell for cell in cells))
    out.print(shown)
