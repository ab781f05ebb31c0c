"""``bayeslaw fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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
    UnitOption,
    is_quiet,
    note,
    read_any_table,
    say,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.commands.summary import COLUMNS, PriorsOption, print_summary
from bayeslaw.errors import check_choice
from bayeslaw.inputs.arguments import a_level
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.laws.registry import LAWS
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

LawName = Annotated[
    str | None,
    typer.Option(
        "--law",
        help=f"{', '.join(LAWS)}, or a law that an installed package brings (default: the one recommended).",
    ),
]
Counts = Literal["total", "non-embedding", "active"]


def fit(
    ctx: typer.Context,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE|POOLS", help="A loss table, a table of whole models, or pools.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The fit: a netCDF file, or a folder that ends in .zarr.")],
    law: LawName = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with law, priors, settings and noise.")] = None,
    draws: Annotated[int, typer.Option("--draws", help="Draws kept per chain.")] = 1000,
    chains: Annotated[int, typer.Option("--chains", help="Number of chains.")] = 4,
    warmup: Annotated[
        int | None,
        typer.Option("--warmup", help="Draws that each chain adapts on (default: 500, or 400 of the joint law)."),
    ] = None,
    target_acceptance: Annotated[
        float | None,
        typer.Option("--target-acceptance", help="Acceptance that steps are adapted to, in (0, 1) (default: 0.9)."),
    ] = None,
    thin: Annotated[int, typer.Option("--thin", help="Of so many successive draws one is kept.")] = 1,
    seed: SeedOption = 0,
    params: Annotated[Counts, typer.Option("--params", help="Which count of parameters is the budget.")] = "total",
    sampler: Annotated[
        str, typer.Option("--sampler", help="hmc (laws with gradients by hand, as the joint law), nuts, or auto.")
    ] = "auto",
    keep: Annotated[
        str,
        typer.Option(
            "--keep",
            help="Optional groups to keep in the file: small (all but densities and replicates of each row where these "
            "exceed 5 MB), all, none, or names with commas between.",
        ),
    ] = "small",
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
    interval: IntervalOption = 0.9,
    priors: PriorsOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Fit a law by Hamiltonian Monte Carlo, save draws and data in one file that ArviZ reads, and print a summary.

    Without a law the one recommended for the table is fitted, and the reason is said. Where the command is interrupted,
    it goes on when it is given again: draws are kept in a hidden folder beside the output until that is written.
    Exit code 1 where the fit, which is written all the same, has an error and must not be trusted.
    """
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(table, models, config))
    a_level("interval", interval)
    for path in (table, models):
        if path is not None:
            check_file_there(path)
    if law is not None:
        check_choice("law", LAWS.current_name(law), LAWS.names())
    use_compilation_cache()
    from bayeslaw.fitting.fit_file import check_fit_output, kept_groups
    from bayeslaw.fitting.fits import SAMPLER_NAMES
    from bayeslaw.fitting.kept_fit import checkpoint_beside, fit_to_file
    from bayeslaw.fitting.recommendation import recommend
    from bayeslaw.fitting.settings_file import read_config
    from bayeslaw.fitting.usual_noise import reason_for
    from bayeslaw.reporting.summaries import summary

    check_fit_output(out, inputs=(table, models, config))
    groups = kept_groups(keep)
    check_choice("sampler", sampler, SAMPLER_NAMES)
    chosen, noise = read_config(config, law)
    data = read_any_table(
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
    if chosen is None:
        recommendation = recommend(data, parameters=params)
        chosen = recommendation.law
        note(ctx, f"law {chosen.name}: {recommendation.reason}")
    try:
        result = fit_to_file(
            chosen,
            data,
            out,
            keep=groups,
            noise=noise,
            say=lambda text: note(ctx, text),
            draws=draws,
            chains=chains,
            warmup=warmup,
            target_acceptance=target_acceptance,
            thin=thin,
            seed=seed,
            parameters=params,
            progress=not is_quiet(ctx),
            sampler=sampler,
        )
    except KeyboardInterrupt:
        kept = checkpoint_beside(out)
        told = f"the same command goes on from the draws kept in {str(kept)!r}" if kept.exists() else "nothing is drawn"
        typer.echo(f"interrupted: {told}", err=True)
        raise typer.Exit(130) from None
    if noise is None:
        note(ctx, reason_for(result.noise, result.observations))
    note(ctx, f"wrote {out}")
    found = summary(result, interval=interval)
    wanted = as_json or csv is not None or not is_quiet(ctx)
    if not (wanted and results.shown):
        # A summary that is printed has them.
        for finding in found.findings:
            if finding.is_error:
                say(f"error {finding}")
    if wanted:
        print_summary(results, found, priors=priors, compact=True)
    if not found.trusted:
        raise typer.Exit(1)
