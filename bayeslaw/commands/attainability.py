"""``bayeslaw attainability``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.attainability_tables import show_cascade_costs, show_co_failure, show_rules
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
    note,
    read_table,
    say,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.pools.rules import RULES, describe_rules, find_rule

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.losses.token_folders import TokenFolder
    from bayeslaw.pools.attainabilities import Attainabilities

TOKENS = "tokens"

COLUMNS = (
    *("rule", "loss", "difference", "difference_lower", "difference_upper", "share", "share_lower", "share_upper"),
    *("unit", "parameters", "price", "interval", "interval_kind"),
)
CO_FAILURE_COLUMNS = ("threshold", "probability", "lower", "upper", "best_member", "unit", "clusters", "interval")
CASCADE_COLUMNS = (
    *("weight", "loss", "difference", "standard_error", "parameters", "share_of_largest", "unit"),
    *("cost", "price", "share_of_dearest"),
)


def attainability(
    ctx: typer.Context,
    table: TableArgument,
    members: Annotated[str, typer.Option("--members", help="Names of the pool's models: NAME,NAME,...")],
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules",
            help=f"RULE[,RULE]: {describe_rules()} (default: all that can be computed).",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            help="CSV or Parquet file of what is known of each sample before any model runs: a column sample of names, "
            "columns of numbers, and one called text of texts.",
        ),
    ] = None,
    co_failure: Annotated[
        bool, typer.Option("--co-failure", help="Print only how often all members fail together.")
    ] = False,
    cascade_costs: Annotated[
        bool,
        typer.Option(
            "--cascade-costs",
            help="Print only what a cascade loses against what it runs: prices where known, else parameters.",
        ),
    ] = False,
    interval: IntervalOption = 0.9,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw what rules gain: a .png, .svg or .pdf file.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Say what a pool's members gain together, by every rule, over the best of them, and how often all fail."""
    columns = CO_FAILURE_COLUMNS if co_failure else CASCADE_COLUMNS if cascade_costs else COLUMNS
    results = Results(ctx, columns, as_json=as_json, csv=csv, inputs=(table, models, features))
    check_file_there(table)
    if features is not None:
        check_file_there(features)
    if co_failure and (rules, features, picture) != (None, None, None):
        raise InputError(
            "--co-failure is given with --rules, --features or --picture",
            "--co-failure alone: it is a table of its own",
            "leave one of them out",
        )
    if cascade_costs and (rules, features, picture, co_failure) != (None, None, None, False):
        raise InputError(
            "--cascade-costs is given with --rules, --features, --picture or --co-failure",
            "--cascade-costs alone: it is a table of its own",
            "leave one of them out",
        )
    wanted = None if rules is None else [find_rule(name.strip()).name for name in rules.split(",")]
    from bayeslaw.pools.attainabilities import attainability as attainability_of
    from bayeslaw.pools.co_failures import co_failure as co_failure_of
    from bayeslaw.pools.sample_features import a_features_table

    if picture is not None:
        from bayeslaw.plotting.attainability_plot import check_attainability

        check_attainability(picture, inputs=[path for path in (table, models, features) if path is not None])
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
    names = [name.strip() for name in members.split(",") if name.strip()]
    if co_failure:
        failures = co_failure_of(losses, names, interval=interval)
        records = failures.to_dict(orient="records")
        rows = [row | {"interval": interval} for row in records]
        results.print(records, rows, lambda: show_co_failure(failures, interval))
        return
    if cascade_costs:
        from bayeslaw.pools.costed_cascades import cascade_costs as costs_of

        costs = costs_of(losses, names, seed=seed)
        records = costs.to_dict(orient="records")
        results.print(records, records, lambda: show_cascade_costs(costs))
        return
    tokens = _token_losses(table, losses, names, wanted)
    known = None if features is None else a_features_table("features", features)
    choices = {"rules": wanted, "interval": interval, "seed": seed, "token_losses": tokens}
    found = attainability_of(losses, names, features=known, **choices)
    for finding in found.findings:
        say(f"{finding.severity} {finding}")
    _check_defined(found)
    if picture is not None:
        from bayeslaw.plotting.attainability_plot import save_attainability

        save_attainability(found, picture)
        note(ctx, f"wrote {picture}")
    of_all = {"interval": found.interval, "interval_kind": found.interval_kind}
    run = {"parameters": found.parameters, "price": found.prices}
    rows = [
        record | {name: counts.get(str(record["rule"])) for name, counts in run.items()} | of_all
        for record in found.records
    ]

    def show() -> None:
        show_rules(found)
        show_co_failure(co_failure_of(losses, names, interval=interval), interval)

    results.print(found.records, rows, show)
    for name, why in found.left_out.items():
        note(ctx, f"note: {name} is left out: {why}")


def _token_losses(table: Path, losses: xr.Dataset, names: list[str], wanted: list[str] | None) -> TokenFolder | None:
    """Find the losses of tokens where rules ask for them, or where all members have them by one tokenizer."""
    from bayeslaw.losses.token_folders import TokenFolder

    if wanted is not None:
        there = any(RULES[name].on_tokens for name in wanted)
    else:
        known = set(names) <= {str(name) for name in losses["lm"].to_numpy()}
        hashes = losses["tokenizer"].sel(lm=names).to_numpy().tolist() if known and "tokenizer" in losses else []
        there = (table / TOKENS).is_dir() and len(set(hashes)) == 1
    return TokenFolder(table) if there else None


def _check_defined(found: Attainabilities) -> None:
    """Refuse a pool that has no best member to compare with."""
    if all(each.difference.value != each.difference.value for each in found.of_rules.values()):
        raise InputError(
            found.reason, "two members or more, and a table of two clusters or more", "name more members, or clusters"
        )
