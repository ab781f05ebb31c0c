"""``bayeslaw when``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayeslaw.commands.common import (
    FitArgument,
    IntervalOption,
    JsonOption,
    SeedOption,
    console,
    warn_if_untrusted,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.pools.rules import describe_rules

if TYPE_CHECKING:
    from rich.console import Console

    from bayeslaw.decision.crossovers import Crossovers

COLUMNS = (
    *("rule", "kind", "regime", "parameters", "probability_better", "advantage", "lower", "upper", "extrapolation"),
    *("interval", "interval_kind", "unit"),
)


def when(
    ctx: typer.Context,
    fit: FitArgument,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help=f"How pools of a joint fit are combined: {describe_rules(on_tokens=False, of_losses=True)} "
            "(default: mixture; stacked takes minutes); may be repeated.",
        ),
    ] = None,
    budgets: Annotated[
        list[str] | None,
        typer.Option("--budgets", help="Total parameters, such as 7e9 or 7B,70B; may be repeated."),
    ] = None,
    beyond: Annotated[
        float, typer.Option("--beyond", help="How far to look, as a multiple of the largest budget seen.")
    ] = 10.0,
    size: Annotated[
        list[int] | None,
        typer.Option("--size", help="Members of a joint fit's pools (default: 2 and 3); may be repeated."),
    ] = None,
    regime: Annotated[
        list[str] | None,
        typer.Option(
            "--regime", help="homogeneous, heterogeneous, or of a joint fit best (default: all); may be repeated."
        ),
    ] = None,
    kind: Annotated[
        Literal["mean", "new"],
        typer.Option("--kind", help="Expected losses, or one new pool and one new model drawn at random."),
    ] = "mean",
    interval: IntervalOption = 0.9,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Say when a pool is better than one model of as many parameters, and how sure we can be.

    A collaboration fit answers for pools of each regime; a joint fit for pools of new models of one size, and for the
    best pool of the models scored.
    """
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(fit,))
    check_fit_there(fit)
    use_compilation_cache()
    from bayeslaw.decision.crossovers import some_regimes
    from bayeslaw.decision.crossovers import when as when_pays
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.losses.sizes import is_size

    if regime:
        some_regimes("regime", regime)
    given = [part for text in budgets or [] for part in ([text] if is_size(text) else text.split(","))]
    fitted = load_fit(fit, keep=())
    choices = {"budgets": given or None, "beyond": beyond, "sizes": size or None, "regimes": regime or None}
    found = [
        when_pays(fitted, rule=each, kind=kind, interval=interval, seed=seed, **choices) for each in rule or [None]
    ]
    warn_if_untrusted(fitted, fit)
    records = [each.as_dict() for each in found]

    def show() -> None:
        for each in found:
            _show(each, console())

    rows = [row for each in found for row in _rows(each)]
    results.print(records if rule and len(rule) > 1 else records[0], rows, show)


def _rows(found: Crossovers) -> list[dict[str, Any]]:
    of_all = {"interval": found.interval, "interval_kind": found.interval_kind, "unit": found.unit}
    first = {"rule": found.rule, "kind": found.kind}
    return [first | row | of_all for row in found.rows.to_dict(orient="records")]


def _show(found: Crossovers, out: Console) -> None:
    from rich.table import Table

    from bayeslaw.losses.sizes import count_label

    for sentence in found.sentences:
        out.print(sentence, soft_wrap=True)
    what = "expected losses" if found.kind == "mean" else "a new pool and a new model"
    table = Table(
        title=f"{found.rule}: loss of the single model minus that of the pool, {found.unit}, {what}, "
        f"{found.interval:.0%} {found.interval_kind} interval; above zero the pool is better",
        header_style="bold",
    )
    for name in ("regime", "parameters", "P(pool better)", "advantage", "lower", "upper", "ranges beyond the data"):
        table.add_column(name, justify="left" if name == "regime" else "right")
    names = ["advantage", "lower", "upper"]
    form = loss_form(found.rows[names].to_numpy().ravel().tolist())
    for row in found.rows.to_dict(orient="records"):
        numbers = (form(row[name]) for name in names)
        share, beyond = f"{row['probability_better']:.3f}", f"{row['extrapolation']:.2f}"
        table.add_row(row["regime"], count_label(row["parameters"]), share, *numbers, beyond)
    out.print(table)
