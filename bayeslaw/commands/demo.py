"""``bayeslaw demo``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bayeslaw.commands.common import SeedOption, is_quiet
from bayeslaw.commands.scoring_package import require_scoring_package
from bayeslaw.likelihood.compilation_cache import use_compilation_cache


def demo(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for losses, pools, fit, predictions, pictures and a page.")
    ] = Path("bayeslaw-demo"),
    draws: Annotated[int, typer.Option("--draws", help="Draws kept per chain.")] = 1000,
    seed: SeedOption = 0,
) -> None:
    """Go the whole path on models that come with the package: score, pools, fit, check, predictions, pictures, page."""
    require_scoring_package()
    use_compilation_cache()
    import matplotlib

    from bayeslaw.commands.whole_path import run_demo

    matplotlib.use("agg")
    quiet = is_quiet(ctx)
    say = (lambda sentence: None) if quiet else typer.echo

    def score(checkpoints: dict[Path, str], texts: Path, out: Path) -> None:
        _score(checkpoints, texts, out, say=say, progress=not quiet)

    run_demo(out, say, score=score, draws=draws, seed=seed, progress=not quiet)


def _score(checkpoints: dict[Path, str], texts: Path, out: Path, *, say: Callable[[str], None], progress: bool) -> None:
    """Score as ``bayeslaw score --offline --dtype float32`` does."""
    from inference.runs.model_list import ModelRequest
    from inference.runs.options import ScoreOptions
    from inference.runs.runner import run
    from inference.texts.documents import read_texts

    requests = [ModelRequest(str(folder), folder.name, family) for folder, family in checkpoints.items()]
    options = ScoreOptions(dtype="float32", offline=True)

    def say_results(sentence: str) -> None:
        # That a file of the package is opened is no news.
        if ": opening " not in sentence:
            say(sentence)

    run(requests, read_texts([texts]), out, options, say=say_results, progress=progress)
