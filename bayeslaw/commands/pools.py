"""``bayeslaw pools``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    is_quiet,
    note,
    read_table,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_form, loss_text
from bayeslaw.pools.rules import USUAL_RULE, describe_rules, find_rule, rule_names, sample_rules

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from bayeslaw.losses.token_folders import TokenFolder

COLUMNS = ("pool", "size", "regime", "parameters", "loss", "standard_error", "unit", "rule")


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
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Make pools of the models of a table: their losses, win shares, gains and diversity."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, models))
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
    record = pools_record(made)
    results.print(record, _rows(made), lambda: None if is_quiet(ctx) else _show(record, console()))
    note(ctx, f"wrote {out}")


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


def pools_record(made: xr.Dataset) -> dict[str, Any]:
    """Put what pools there are into plain values.

    Parameters
    ----------
    made
        The pools.

    Returns
    -------
    dict
        ``rule``, ``design``, ``unit``, number of ``pools``, ``lowest`` (the ``pool`` that loses least, and its
        ``loss``), and ``regimes``: of each ``regime``, the number of ``pools``, the ``parameters_min`` and
        ``parameters_max`` of one, and ``loss_min``, ``loss_mean`` and ``loss_max``.
    """
    loss, regimes, sizes = (made[name].to_numpy() for name in ("loss", "regime", "parameters"))
    lowest = int(loss.argmin())
    return {
        "rule": str(made.attrs["rule"]),
        "design": str(made.attrs["design"]),
        "unit": str(made.attrs["loss_unit"]),
        "pools": len(loss),
        "lowest": {"pool": str(made["pool"].to_numpy()[lowest]), "loss": float(loss[lowest])},
        "regimes": [
            {
                "regime": name,
                "pools": int((regimes == name).sum()),
                "parameters_min": float(sizes[regimes == name].min()),
                "parameters_max": float(sizes[regimes == name].max()),
                "loss_min": float(loss[regimes == name].min()),
                "loss_mean": float(loss[regimes == name].mean()),
                "loss_max": float(loss[regimes == name].max()),
            }
            for name in dict.fromkeys(map(str, regimes))
        ],
    }


def _rows(made: xr.Dataset) -> list[dict[str, Any]]:
    held = [name for name in COLUMNS if name in made or name == "pool"]
    columns = [made[name].to_numpy().tolist() for name in held]
    of_all = dict.fromkeys(COLUMNS) | {"unit": str(made.attrs["loss_unit"]), "rule": str(made.attrs["rule"])}
    return [of_all | dict(zip(held, row, strict=True)) for row in zip(*columns, strict=True)]


def _show(record: dict[str, Any], out: Console) -> None:
    from rich.table import Table

    from bayeslaw.losses.sizes import count_label

    table = Table(
        title=f"{record['pools']:,} pools, rule {record['rule']}, design {record['design']}, loss in {record['unit']}",
        header_style="bold",
    )
    for name in ("regime", "pools", "parameters", "lowest loss", "mean loss", "highest loss"):
        table.add_column(name, justify="left" if name == "regime" else "right")
    names = ("loss_min", "loss_mean", "loss_max")
    form = loss_form(each[name] for each in record["regimes"] for name in names)
    for each in record["regimes"]:
        sizes = " to ".join(count_label(each[name]) for name in ("parameters_min", "parameters_max"))
        losses = (form(each[name]) for name in names)
        table.add_row(each["regime"], f"{each['pools']:,}", sizes, *losses)
    out.print(table)
    lowest = record["lowest"]
    out.print(f"lowest loss: {loss_text(lowest['loss'])} {record['unit']}, {lowest['pool']}", soft_wrap=True)
