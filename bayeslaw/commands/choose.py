"""``bayeslaw choose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
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
    note,
    read_table,
    warn_if_untrusted,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.inputs.former_names import say_former
from bayeslaw.inputs.input_paths import FIT_ENDINGS, check_file_there, check_fit_there
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.pools.rules import describe_rules

if TYPE_CHECKING:
    from rich.console import Console

    from bayeslaw.decision.choice_rows import Choices

COLUMNS = (
    *("members", "parameters", "active_parameters", "price", "rule", "unit", "loss", "lower", "upper"),
    *("probability_best", "probability_better_than_single", "regret", "difference", "difference_lower"),
    *("difference_upper", "share_of_oracle_gain", "expected_loss", "interval", "interval_kind"),
)


def choose(
    ctx: typer.Context,
    table: TableArgument,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates", help="With a joint fit: CSV of models that could be had: name, family, parameters, price."
        ),
    ] = None,
    max_parameters: Annotated[
        str | None, typer.Option("--max-parameters", help="Most total parameters of a pool, such as 20e9 or 20B.")
    ] = None,
    max_price: Annotated[
        float | None, typer.Option("--max-price", help="Most that a pool may cost, by the models' column price.")
    ] = None,
    max_size: Annotated[int, typer.Option("--max-size", help="Largest number of members.")] = 4,
    max_active: Annotated[
        str | None, typer.Option("--max-active", help="Most active parameters of a pool, such as 8e9 or 8B.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option("--require", help="A model that a pool must have; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="A model that a pool must not have; may be repeated.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help=f"How members combine: {describe_rules(on_tokens=False, of_losses=True)}; default: mixture, or best "
            "of right and wrong answers.",
        ),
    ] = None,
    cost: Annotated[
        Literal["parameters", "active_parameters", "price"] | None,
        typer.Option(
            "--cost", help="With --picture: what the Pareto front is of, beside the loss (default: parameters)."
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="How many pools to print.")] = 10,
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
    level: Annotated[float | None, typer.Option("--level", hidden=True)] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw the Pareto front: a .png, .svg or .pdf file.")
    ] = None,
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Choose a pool within limits, and say how sure that is: of a table's models, or by a joint fit also of others."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, models, candidates))
    options = {
        "models": models,
        "unit": unit,
        "cluster": cluster,
        "sample": sample,
        "describe": describe,
        "metric": metric,
    }
    if level is not None:
        say_former("--level", "--interval")
        interval = level
    if cost is not None and picture is None:
        raise InputError(
            f"--cost {cost} is given without --picture",
            "a cost for the picture of the Pareto front",
            "add --picture front.png, or limit the cost by --max-parameters, --max-active or --max-price",
        )
    of_fit = table.suffix in FIT_ENDINGS
    if of_fit:
        check_fit_there(table)
        others = {"strict": strict, "missing": None if missing == "error" else missing}
        if given := [name for name, value in (options | others).items() if value]:
            raise InputError(
                f"--{given[0]} is given with a fit", f"--{given[0]} for tables", "leave it out: the fit has its table"
            )
    else:
        check_file_there(table)
    if candidates is not None:
        check_file_there(candidates)
    from bayeslaw.decision.choices import choose as choose_pools

    if picture is not None:
        from bayeslaw.plotting.pareto_plot import check_pareto

        check_pareto(picture, inputs=[path for path in (table, models, candidates) if path is not None])
    if of_fit:
        from bayeslaw.fitting.fit_reading import load_fit

        losses = load_fit(table, keep=())
        warn_if_untrusted(losses, table)
    else:
        losses = read_table(ctx, table, missing=missing, strict=strict, **options)
    found = choose_pools(
        losses,
        candidates,
        max_parameters=max_parameters,
        max_price=max_price,
        max_active=max_active,
        max_size=max_size,
        require=require or (),
        exclude=exclude or (),
        rule=rule,
        cost=cost or "parameters",
        top=top,
        interval=interval,
        seed=seed,
    )
    if picture is not None:
        from bayeslaw.plotting.pareto_plot import save_pareto

        save_pareto(found, picture)
        note(ctx, f"wrote {picture}")
    of_all = {"interval": found.interval, "interval_kind": found.interval_kind}
    records = found.as_list()
    results.print(records, [record | of_all for record in records], lambda: _show(found, console()))


def _show(found: Choices, out: Console) -> None:
    from rich.table import Table

    from bayeslaw.decision.limits import COSTS

    *answer, method, search = found.sentences
    for sentence in answer:
        out.print(sentence, soft_wrap=True)
    first = found.rows[0]
    priced = any(row.price is not None for row in found.rows)
    table = Table(title=f"loss in {first.unit}, rule {first.rule}, {found.interval:.0%} intervals", header_style="bold")
    table.add_column("pool")
    names = [
        "parameters",
        *(["price"] if priced else []),
        "expected loss",
        "promised of this rank",
        "promise minus best single (below 0: better)",
        "P(best)",
        "P(better)",
        "regret",
    ]
    for name in (*names, "of oracle's gain"):
        table.add_column(name, justify="right")
    of_losses = loss_form(value for row in found.rows for value in (row.loss, row.lower, row.upper))
    apart = loss_form(
        value for row in found.rows for value in (row.difference, row.difference_lower, row.difference_upper)
    )
    of_regrets = loss_form(row.regret for row in found.rows)
    for row in found.rows:
        share = row.share_of_oracle_gain
        table.add_row(
            " + ".join(row.members),
            COSTS["parameters"].label(row.parameters),
            *(["unknown" if row.price is None else COSTS["price"].label(row.price)] if priced else []),
            of_losses(row.expected_loss),
            f"{of_losses(row.loss)} ({of_losses(row.lower)} to {of_losses(row.upper)})",
            f"{apart(row.difference)} ({apart(row.difference_lower)} to {apart(row.difference_upper)})",
            f"{row.probability_best:.2f}",
            f"{row.probability_better_than_single:.2f}",
            of_regrets(row.regret),
            "unknown" if share is None else f"{share:.2f}",
        )
    out.print(table)
    for sentence in (method, search):
        out.print(sentence, soft_wrap=True)
