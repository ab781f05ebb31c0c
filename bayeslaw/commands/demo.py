"""``bayeslaw demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayeslaw.commands.common import SeedOption, is_quiet, use_compilation_cache


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder for losses, pools, fit, predictions and pictures.")] = Path(
        "bayeslaw-demo"
    ),
    draws: Annotated[int, typer.Option("--draws", help="Draws kept per chain.")] = 1000,
    seed: SeedOption = 0,
) -> None:
    """Go the whole path on a simulated table: losses, pools, fit, check, predictions, pictures."""
    use_compilation_cache()
    import matplotlib

    from bayeslaw.demo import run_demo

    matplotlib.use("agg")
    quiet = is_quiet(ctx)
    run_demo(out, (lambda sentence: None) if quiet else typer.echo, draws=draws, seed=seed, progress=not quiet)
