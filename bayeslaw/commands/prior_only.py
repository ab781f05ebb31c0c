"""``bayeslaw fit --prior-only``: what priors say of losses, before anything is fitted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import console, note
from bayeslaw.commands.results import Results
from bayeslaw.inputs.output_paths import Inputs

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.diagnosis.prior_checks import PriorCheck

PriorOnlyOption = Annotated[
    bool, typer.Option("--prior-only", help="Fit nothing: tell what the priors say of losses, beside those observed.")
]
PictureOption = Annotated[
    Path | None, typer.Option("--picture", help="With --prior-only, a picture of it: a .png, .svg or .pdf file.")
]
COLUMNS = ("row", "group", "parameters", "training_tokens", "lower", "median", "upper", "observed", "unit", "interval")


def check_picture(picture: Path | None, *, inputs: Inputs) -> None:
    """Refuse early a picture that could not be written."""
    if picture is None:
        return
    import matplotlib

    from bayeslaw.plotting.prior_predictive_plot import check_prior_picture

    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    check_prior_picture(picture, inputs=inputs)


def tell_prior(
    ctx: typer.Context,
    results: Results,
    tree: xr.DataTree,
    *,
    interval: float,
    picture: Path | None,
) -> None:
    """Print what a prior says, and draw it where that is asked for.

    Parameters
    ----------
    ctx
        The context of the command.
    results
        Where it goes.
    tree
        What `bayeslaw.prior_predictive` made.
    interval
        Level of the equal-tailed intervals.
    picture
        The picture's file, or None.
    """
    from bayeslaw.diagnosis.prior_checks import prior_check

    found = prior_check(tree, interval=interval)
    level = {"unit": found.unit, "interval": found.interval, "interval_kind": found.interval_kind}
    results.print(found.to_dict(), [asdict(each) | level for each in found.expected], lambda: _show(found))
    if picture is None:
        return
    from bayeslaw.plotting.prior_predictive_plot import save_prior_predictive

    save_prior_predictive(tree, picture, interval=interval)
    note(ctx, f"wrote {picture}")


def _show(found: PriorCheck) -> None:
    from rich.table import Table

    out, (first, last) = console(), found.sentences
    out.print(f"{found.priors}\n", soft_wrap=True)
    out.print(first, soft_wrap=True)
    table, rows = Table(header_style="bold"), found.table
    for name in rows.columns:
        table.add_column(name, justify="left" if name in ("row", "group") else "right")
    for cells in rows.itertuples(index=False):
        table.add_row(*cells)
    out.print(table)
    out.print(last, soft_wrap=True)
