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
from bayeslaw.commands.prior_only import COLUMNS as PRIOR_COLUMNS
from bayeslaw.commands.prior_only import PictureOption, PriorOnlyOption, check_picture, tell_prior
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.commands.summary import COLUMNS, PriorsOption, print_summary
from bayeslaw.errors import InputError, check_choice
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
    out: Annotated[
        Path | None, typer.Option("--out", help="The fit: a netCDF file, or a folder that ends in .zarr.")
    ] = None,
    law: LawName = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with law, priors, pooling and noise.")] = None,
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
    prior_only: PriorOnlyOption = False,
    picture: PictureOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Fit a law by Hamiltonian Monte Carlo, save draws and data in one file that ArviZ reads, and print a summary.

    Without a law the one recommended for the table is fitted, and the reason is said. Where the command is interrupted,
    it goes on when it is given again: draws are kept in a hidden folder beside the output until that is written.
    Exit code 1 where the fit, which is written all the same, has an error and must not be trusted.
    With --prior-only nothing is fitted or written: what the priors say of losses is told beside those observed.
    """
    inputs = (table, models, config)
    _check_outputs(out, picture, prior_only=prior_only)
    results = Results(ctx, PRIOR_COLUMNS if prior_only else COLUMNS, as_json=as_json, csv=csv, inputs=inputs)
    a_level("interval", interval)
    check_picture(picture, inputs=inputs)
    for path in (table, models):
        if path is not None:
            check_file_there(path)
    if law is not None:
        check_choice("law", LAWS.current_name(law), LAWS.names())
    use_compilation_cache()
    from bayeslaw.fitting.fit_file import check_fit_output, kept_groups
    from bayeslaw.fitting.fits import SAMPLER_NAMES
    from bayeslaw.fitting.kept_fit import checkpoint_beside, fit_to_file
    from bayeslaw.fitting.prior_simulation import prior_predictive
    from bayeslaw.fitting.recommendation import recommend
    from bayeslaw.fitting.sampling_choices import checked_choices
    from bayeslaw.fitting.settings_file import read_config
    from bayeslaw.fitting.usual_noise import reason_for
    from bayeslaw.reporting.summaries import summary

    if out is not None:
        check_fit_output(out, inputs=inputs)
    groups = kept_groups(keep)
    check_choice("sampler", sampler, SAMPLER_NAMES)
    numbers = checked_choices(
        draws=draws, chains=chains, seed=seed, warmup=warmup, target_acceptance=target_acceptance, thin=thin
    )
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
    if out is None:
        tree = prior_predictive(chosen, data, noise=noise, draws=draws, seed=seed, parameters=params)
        tell_prior(ctx, results, tree, interval=interval, picture=picture)
        return
    try:
        result = fit_to_file(
            chosen,
            data,
            out,
            keep=groups,
            noise=noise,
            say=lambda text: note(ctx, text),
            parameters=params,
            progress=not is_quiet(ctx),
            sampler=sampler,
            **numbers,
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


def _check_outputs(out: Path | None, picture: Path | None, *, prior_only: bool) -> None:
    """Refuse a fit without a file, and outputs that what is asked for does not have."""
    if prior_only and out is not None:
        raise InputError(
            "--out is given with --prior-only", "--prior-only without it: nothing is fitted", "leave it out"
        )
    if not prior_only and picture is not None:
        fix = "add --prior-only, or draw the fit: bayeslaw plot FIT --out FILE"
        raise InputError("--picture is given without --prior-only", "a picture of the prior", fix)
    if not prior_only and out is None:
        raise InputError("--out is missing", "a file for the fit", "add --out f.nc, or --prior-only to fit nothing")
