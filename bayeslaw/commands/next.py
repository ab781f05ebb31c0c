"""``bayeslaw next``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayeslaw.commands.common import FitArgument, JsonOption, SeedOption, console, warn_if_untrusted
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.inputs.input_paths import check_file_there, check_fit_there
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.pools.rules import describe_rules

if TYPE_CHECKING:
    from rich.console import Console

    from bayeslaw.decision.score_values import NextScores

COLUMNS = (
    *("score", "model", "samples", "cost", "cost_unit", "expected_regret_now", "expected_regret_after", "error"),
    *("now_error", "after_error", "per_cost", "per_cost_error", "effective_draws", "loss_unit", "rule"),
)


def next_(
    ctx: typer.Context,
    fit: FitArgument,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates", help="CSV of models that could be had: name, family, parameters, and maybe cost or price."
        ),
    ] = None,
    samples: Annotated[
        list[str] | None,
        typer.Option("--samples", help="How many more samples to score; may be repeated (default: as many again)."),
    ] = None,
    max_parameters: Annotated[
        str | None, typer.Option("--max-parameters", help="The most total parameters of a pool, such as 20e9 or 20B.")
    ] = None,
    max_size: Annotated[int, typer.Option("--max-size", help="Largest number of members.")] = 3,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help=f"How members combine: {describe_rules(on_tokens=False, of_losses=True)}; default: mixture, or best "
            "of right and wrong answers.",
        ),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Posterior draws, and outcomes, to look at.")] = 200,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Say which model to score next, or on how many more samples, by expected reduction of regret per cost."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(fit, candidates))
    check_fit_there(fit)
    if candidates is not None:
        check_file_there(candidates)
    from bayeslaw.decision.score_values import next_scores
    from bayeslaw.fitting.fit_reading import load_fit

    fitted = load_fit(fit, keep=())
    found = next_scores(
        fitted,
        candidates,
        samples=samples or None,
        max_parameters=max_parameters,
        max_size=max_size,
        rule=rule,
        draws=draws,
        seed=seed,
    )
    warn_if_untrusted(fitted, fit)
    results.print(found.as_list(), _rows(found), lambda: _show(found, console()))


def _rows(found: NextScores) -> list[dict[str, Any]]:
    units = {"cost_unit": found.cost_unit, "loss_unit": found.loss_unit, "rule": found.rule}
    return [{"score": row.words} | asdict(row) | {"per_cost_error": row.per_cost_error} | units for row in found.rows]


def _show(found: NextScores, out: Console) -> None:
    from rich.table import Table

    for sentence in found.sentences:
        out.print(sentence, soft_wrap=True, highlight=False)
    table = Table(title=found.units, header_style="bold")
    table.add_column("score next")
    for name in ("cost", "expected regret now", "after", "lowered by", "per cost"):
        table.add_column(name, justify="right")
    form = loss_form(row.expected_regret_now for row in found.rows)
    for row in found.rows:
        less = row.expected_regret_now - row.expected_regret_after
        numbers = (
            f"{form(row.expected_regret_now)} ± {row.now_error:.1g}",
            f"{form(row.expected_regret_after)} ± {row.after_error:.1g}",
            f"{form(less)} ± {row.error:.1g}",
            f"{row.per_cost:.2g} ± {row.per_cost_error:.1g}",
        )
        table.add_row(row.words, f"{row.cost:.3g}", *numbers)
    out.print(table)
