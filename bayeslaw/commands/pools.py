"""``bayeslaw pools``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
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
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.pools.rules import USUAL_RULE, describe_rules, find_rule, rule_names, sample_rules

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.losses.token_folders import TokenFolder


def pools(
    ctx: typer.Context,
    table: TableArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the pools.", show_default=False)],
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
            help=f"How members combine: {describe_rules(of_losses=True)}. Those of tokens are for a folder scored "
            "with --tokens.",
        ),
    ] = USUAL_RULE,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer", help="For the rules of tokens: a model, or the start of a hash; pools are of its tokenizer."
        ),
    ] = None,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="Largest number of members (default: 4, or all models).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Largest number of pools; fewer than there are makes a sample.")
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(
            "--design", help="all, stratified or matched (default: all, or stratified where --limit is smaller)."
        ),
    ] = None,
    params: Annotated[
        str, typer.Option("--params", help="Which count of parameters: total, non-embedding or active.")
    ] = "total",
    seed: SeedOption = 0,
) -> None:
    """Make pools of the models of a table: their losses, win shares, gains and diversity."""
    check_file_there(table)
    from bayeslaw.inputs.output_paths import check_output_folder
    from bayeslaw.losses.table_arguments import find_table
    from bayeslaw.pools.pool_losses import make_pools, write_pools

    table = find_table(table, unit)
    check_output_folder(out, "pools", inputs=(table, models))
    _check_tokens(table, rule, tokenizer)
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
    options = {"max_size": max_size, "limit": limit, "design": design, "parameters": params, "seed": seed}
    tokens = _token_losses(table, rule, tokenizer)
    if tokens is None and "sample" in losses.dims:
        # Pools of samples have no use for their names, which take more memory than the losses of a few models.
        losses = losses.assign_coords(sample=range(losses.sizes["sample"]))
    made = make_pools(losses, rule=rule, token_losses=tokens, **options)
    write_pools(made, out)
    note(ctx, _summary(made, out))


def _check_tokens(table: Path, rule: str, tokenizer: str | None) -> None:
    on_tokens = find_rule(rule, of_losses=True).on_tokens
    if not on_tokens and tokenizer is not None:
        raise InputError(
            f"--tokenizer was given for the rule {rule!r}",
            f"it with {' or '.join(rule_names(on_tokens=True))}",
            "leave it out",
        )
    if on_tokens and table.exists() and not table.is_dir():
        raise InputError(
            f"the rule {rule!r} needs the losses of tokens, and {str(table)!r} is a file",
            "a folder of losses scored with --tokens",
            f"name such a folder, or use one of the rules {', '.join(sample_rules())}",
        )


def _token_losses(table: Path, rule: str, tokenizer: str | None) -> TokenFolder | None:
    from bayeslaw.losses.token_folders import TokenFolder

    if not find_rule(rule).on_tokens:
        return None
    return TokenFolder(table, tokenizer)


def _summary(made: xr.Dataset, out: Path) -> str:
    regimes = made["regime"].to_numpy().tolist()
    counts = ", ".join(f"{regimes.count(name):,} {name}" for name in dict.fromkeys(regimes))
    lowest = int(made["loss"].to_numpy().argmin())
    pool, loss = made["pool"].to_numpy()[lowest], float(made["loss"][lowest])
    return (
        f"{out}: {len(regimes):,} pools ({counts}), rule {made.attrs['rule']}, design {made.attrs['design']}\n"
        f"lowest loss: {loss_text(loss)} {made.attrs['loss_unit']}, {pool}"
    )
