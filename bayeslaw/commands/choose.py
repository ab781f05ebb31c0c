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
    print_json,
    read_table,
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.pools.rules import describe_rules

if TYPE_CHECKING:
    from rich.console import Console

    from bayeslaw.decision.choice_rows import Choices

FIT_ENDINGS = (".nc", ".zarr")


def choose(
    ctx: typer.Context,
    table: TableArgument,
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
        Literal["parameters", "active_parameters", "price"],
        typer.Option("--cost", help="What the Pareto front is of, beside the loss."),
    ] = "parameters",
    top: Annotated[int, typer.Option("--top", help="How many pools to print.")] = 10,
    level: Annotated[float, typer.Option("--level", help="Level of the equal-tailed intervals.")] = 0.9,
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
) -> None:
    """Choose a pool of scored models within limits, and say how sure that is."""
    check_file_there(table)
    if table.suffix in FIT_ENDINGS:
        raise InputError(
            f"{str(table)!r} is a fit, and pools are chosen of models that were scored",
            "a table of losses on samples",
            "name the table that the fit was made of; bayeslaw predict tells of models that were not scored",
        )
    from bayeslaw.decision.choices import choose as choose_pools

    if picture is not None:
        from bayeslaw.plotting.pareto_plot import check_pareto

        check_pareto(picture, inputs=[path for path in (table, models) if path is not None])
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
    found = choose_pools(
        losses,
        max_parameters=max_parameters,
        max_price=max_price,
        max_active=max_active,
        max_size=max_size,
        require=require or (),
        exclude=exclude or (),
        rule=rule,
        cost=cost,
        top=top,
        level=level,
        seed=seed,
    )
    if as_json:
        print_json(found.as_list())
    else:
        _show(found, console())
    if picture is not None:
        from bayeslaw.plotting.pareto_plot import save_pareto

        save_pareto(found, picture)
        note(ctx, f"wrote {picture}")


def _show(found: Choices, out: Console) -> None:
    from rich.table import Table

    from bayeslaw.decision.limits import COSTS

    answer, confidence, *how = found.sentences
    for sentence in (answer, confidence):
        out.print(sentence, soft_wrap=True)
    first = found.rows[0]
    priced = any(row.price is not None for row in found.rows)
    table = Table(title=f"loss in {first.unit}, rule {first.rule}, {found.level:.0%} intervals", header_style="bold")
    table.add_column("pool")
    names = [
        "parameters",
        *(["price"] if priced else []),
        "loss",
        "minus best single",
        "P(best)",
        "P(better)",
        "regret",
    ]
    for name in (*names, "of oracle's gain"):
        table.add_column(name, justify="right")
    for row in found.rows:
        share = row.share_of_oracle_gain
        table.add_row(
            " + ".join(row.members),
            COSTS["parameters"].label(row.parameters),
            *(["unknown" if row.price is None else COSTS["price"].label(row.price)] if priced else []),
            f"{loss_text(row.loss)} ({loss_text(row.lower)} to {loss_text(row.upper)})",
            f"{loss_text(row.difference)} ({loss_text(row.difference_lower)} to {loss_text(row.difference_upper)})",
            f"{row.probability_best:.2f}",
            f"{row.probability_better_than_single:.2f}",
            loss_text(row.regret),
            "unknown" if share is None else f"{share:.2f}",
        )
    out.print(table)
    for sentence in how:
        out.print(sentence, soft_wrap=True)
