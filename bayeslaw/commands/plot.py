"""``bayeslaw plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bayeslaw.commands.common import note, warn_if_untrusted
from bayeslaw.inputs.input_paths import check_fit_there

What = Literal["law", "claims", "when", "pareto", "trace", "forest", "pair", "prior_posterior", "ppc"]


def plot(
    ctx: typer.Context,
    fit: Annotated[Path, typer.Argument(metavar="FIT", help="A fit that bayeslaw fit wrote.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The picture: a .png, .svg or .pdf file.", show_default=False)],
    what: Annotated[What, typer.Option("--what", help="What to draw.")] = "law",
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
) -> None:
    """Draw a fit: the law with data and bands, its claims, or the posterior.

    law: data, law and bands of a new pool or model. claims: prior against posterior. when: from
    which budget on a pool is better than one model, and how sure. trace, forest, pair,
    prior_posterior and ppc are ArviZ's.
    """
    check_fit_there(fit)
    import matplotlib

    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.plotting.pictures import check_plot, save_plot

    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    check_plot(out, what=what, interval=interval, inputs=[fit])
    fitted = load_fit(fit)
    warn_if_untrusted(fitted, fit)
    save_plot(fitted, out, what=what, interval=interval)
    note(ctx, f"wrote {out}")
