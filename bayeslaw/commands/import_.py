"""``bayeslaw import-harness`` and ``bayeslaw import-completions``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import MissingOption, is_quiet, note, say, say_errors
from bayeslaw.commands.scoring_package import require_scoring_package

if TYPE_CHECKING:
    import xarray as xr

FactsOption = Annotated[
    Path | None,
    typer.Option(
        "--models", help="CSV with columns model, family, parameters and more; overrides what the source says."
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for the loss table.", show_default=False)]


def import_harness(
    ctx: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Output folders of lm_eval --log_samples, or single sample logs.", show_default=False
        ),
    ],
    out: OutOption,
    models: FactsOption = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Tasks to take, separated by commas (default: all).")
    ] = None,
    repeats: Annotated[
        str, typer.Option("--repeats", help="Documents that a task holds several times: error, or first to keep one.")
    ] = "error",
    missing: MissingOption = "error",
    score: Annotated[
        str | None,
        typer.Option("--score", help="Take this score of the answers (acc, acc_norm, exact_match), not their losses."),
    ] = None,
) -> None:
    """Make a loss table of the sample logs of lm-evaluation-harness."""
    from bayeslaw.inputs.output_paths import check_output_folder, is_scored_table
    from bayeslaw.losses.joining import held_table
    from bayeslaw.losses.missing import missing_note
    from bayeslaw.sources import losses_from_harness

    check_output_folder(out, "losses", inputs=(*runs, models), replaceable=is_scored_table)
    held = held_table(out)
    wanted = [] if tasks is None else [task.strip() for task in tasks.split(",") if task.strip()]
    losses = losses_from_harness(runs, models=models, tasks=wanted, repeats=repeats, missing=missing, score=score)
    _write(losses, out, held)
    note(ctx, missing_note(losses))
    note(ctx, _summary(losses, out, held))


def import_completions(
    ctx: typer.Context,
    url: Annotated[str, typer.Option("--url", help="Address of the server up to /v1.", show_default=False)],
    model: Annotated[
        list[str], typer.Option("--model", help="A model, as the server calls it; may be repeated.", show_default=False)
    ],
    texts: Annotated[
        list[Path],
        typer.Option("--texts", help="Texts, as bayeslaw score takes them; may be repeated.", show_default=False),
    ],
    out: OutOption,
    models: FactsOption = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix", help="TEXT or MODEL=TEXT to put before each text: the model's beginning-of-text token."
        ),
    ] = None,
    style: Annotated[
        str, typer.Option("--style", help="How to ask: prompt_logprobs (vLLM), echo, or auto to find out.")
    ] = "auto",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.")] = 120.0,
    retries: Annotated[int, typer.Option("--retries", help="How often to ask a busy or failing server again.")] = 4,
    concurrency: Annotated[int, typer.Option("--concurrency", help="Requests under way at a time.")] = 8,
    allow_unscored: Annotated[
        bool, typer.Option("--allow-unscored", help="Accept first tokens without log-prob; losses are then too low.")
    ] = False,
) -> None:
    """Make a loss table of the log-probs that a completions server gives for its prompts.

    The server's key is read from OPENAI_API_KEY. A run that was broken off goes on when started again.
    """
    require_scoring_package()
    from bayeslaw.inputs.output_paths import check_output_folder, is_scored_table
    from bayeslaw.losses.joining import check_same_samples, held_table
    from bayeslaw.sources import CompletionsServer, ServedTexts, losses_from_completions
    from inference.runs.imported_models import check_can_import
    from inference.texts.documents import blank_note, read_texts

    check_output_folder(out, "losses", inputs=(*texts, models), replaceable=is_scored_table)
    held = held_table(out)
    server = CompletionsServer(url, style=style, timeout=timeout, retries=retries, concurrency=concurrency)
    corpus = read_texts(texts)
    note(ctx, blank_note(corpus))
    if held is not None and is_scored_table(out):
        check_can_import(out, "document", model, corpus)
    if held is not None:
        check_same_samples(held, corpus.names, "document", out)
    journal = out.absolute().with_name(f"{out.absolute().name}.journal.jsonl")
    losses = losses_from_completions(
        server,
        ServedTexts(corpus.names, corpus.texts, corpus.domains, corpus.clusters),
        names=model,
        models=models,
        journal=journal,
        prefix=_prefixes(prefix or [], model),
        allow_unscored=allow_unscored,
        quiet=is_quiet(ctx),
    )
    _write(losses, out, held)
    journal.unlink(missing_ok=True)
    for name, count in json.loads(losses.attrs["unscored_bytes"]).items():
        say(f"warning: {count:,} bytes have no log-prob by {name}, whose losses are too low")
    note(ctx, _summary(losses, out, held))


def _write(losses: xr.Dataset, out: Path, held: xr.Dataset | None) -> None:
    """Write losses, beside those of the table that is there, and say what is likely wrong in the whole."""
    from bayeslaw.inputs.output_paths import is_scored_table
    from bayeslaw.losses.folders import write_losses
    from bayeslaw.losses.joining import join_models
    from bayeslaw.losses.warned_once import errors_of

    table = losses if held is None else join_models(held, losses, out)
    if is_scored_table(out):
        # What a run needs to go on stays as it is.
        require_scoring_package()
        from inference.runs.imported_models import import_models

        import_models(out, losses)
    else:
        write_losses(table, out)
    say_errors(errors_of(table), strict=False)


def _prefixes(given: list[str], models: list[str]) -> dict[str, str]:
    made = dict.fromkeys(models, "")
    for text in given:
        of = [name for name in models if text.startswith(f"{name}=")]
        for name in of or models:
            made[name] = text.removeprefix(f"{name}=") if of else text
    return made


def _summary(losses: xr.Dataset, out: Path, held: xr.Dataset | None) -> str:
    counts = f"{losses.sizes['sample']:,} samples (unit: {losses.attrs['unit']}), {losses.sizes['lm']} models"
    if held is not None:
        counts += f" put into a table of {held.sizes['lm']}"
    # Answers that are right or wrong have no bytes.
    size = f", {losses['bytes'].to_numpy().sum():,.0f} bytes" if "bytes" in losses else ""
    return f"{out}: {counts}{size}"
