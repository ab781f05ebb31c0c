"""``bayeslaw pools``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    SeedOption,
    TableArgument,
    UnitOption,
    note,
    read_table,
)

if TYPE_CHECKING:
    import xarray as xr


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
    rule: Annotated[str, typer.Option("--rule", help="How members combine: oracle, mixture or best.")] = "oracle",
    max_size: Annotated[int, typer.Option("--max-size", help="Largest number of members.")] = 4,
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
    from bayeslaw.pools import make_pools, write_pools
    from bayeslaw.storage import check_output_folder

    check_output_folder(out, "pools")
    losses = read_table(
        ctx, table, models=models, unit=unit, cluster=cluster, sample=sample, describe=describe, missing=missing
    )
    made = make_pools(losses, rule=rule, max_size=max_size, limit=limit, design=design, parameters=params, seed=seed)
    write_pools(made, out)
    note(ctx, _summary(made, out))


def _summary(made: xr.Dataset, out: Path) -> str:
    regimes = made["regime"].to_numpy().tolist()
    counts = ", ".join(f"{regimes.count(name):,} {name}" for name in dict.fromkeys(regimes))
    lowest = int(made["loss"].to_numpy().argmin())
    pool, loss = made["pool"].to_numpy()[lowest], float(made["loss"][lowest])
    return (
        f"{out}: {len(regimes):,} pools ({counts}), rule {made.attrs['rule']}, design {made.attrs['design']}\n"
        f"lowest loss: {loss:.4f} {made.attrs['loss_unit']}, {pool}"
    )
