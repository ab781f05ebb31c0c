"""``bayeslaw plot``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    UnitOption,
    note,
    read_any_table,
    warn_if_untrusted,
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there, check_fit_there

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from bayeslaw.plotting.pictures import Choices

What = Literal[
    "law",
    "claims",
    "when",
    "pareto",
    "predicted",
    "predictive",
    "forest",
    "trace",
    "pair",
    "prior_posterior",
    "ppc",
    "pool_sizes",
    "matched",
    "co_failure",
    "diversity",
]
Backend = Literal["matplotlib", "plotly"]
ONLY_FOR = {"groups": ("law",), "against": ("predicted",), "members": ("co_failure",)}
FIXED = ("when", "pareto")
SIZED = ("pareto", "pool_sizes", "matched", "diversity")


def plot(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FIT|TABLE|POOLS",
            help="A fit that bayeslaw fit wrote; for pool_sizes, matched and co_failure a table of losses, and for "
            "diversity pools or a table.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture: a .png, .svg or .pdf file.", show_default=False)],
    what: Annotated[What, typer.Option("--what", help="What to draw.")] = "law",
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", help="Regime or family of the law's picture, or new; may be repeated."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Table or pools to compare predictions with; default: the rows fitted."),
    ] = None,
    members: Annotated[
        str | None, typer.Option("--members", help="Models whose co-failure is drawn: NAME,NAME,... (default: all).")
    ] = None,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="Largest number of members, where pools are formed.")
    ] = None,
    width: Annotated[
        float | None, typer.Option("--width", help="Width in inches, such as 3.3 for a column of a paper.")
    ] = None,
    backend: Annotated[
        Backend, typer.Option("--backend", help="plotly writes a page, .html, of what ArviZ draws.")
    ] = "matplotlib",
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    missing: MissingOption = "error",
    metric: MetricOption = None,
) -> None:
    """Draw a fit or a table: the law with data and bands, its claims, the posterior, what pools gain.

    Of a fit: law (data, law and bands of a new pool or model), claims (prior against posterior), when
    (from which budget on a pool is better than one model), pareto, predicted (observed against
    predicted), predictive (prior and posterior predictive), forest, and ArviZ's trace, pair,
    prior_posterior and ppc. Of a table: pool_sizes (from the best member to an oracle), matched
    (heterogeneous pools at matched budgets), co_failure and diversity (against gain).
    """
    options = {
        "models": models,
        "unit": unit,
        "cluster": cluster,
        "sample": sample,
        "missing": missing,
        "metric": metric,
    }
    _check_given(what, groups=groups, against=against, members=members, max_size=max_size, width=width)
    import matplotlib

    from bayeslaw.plotting.pictures import PLOTS, Choices, a_width, check_plot, write_picture

    of_fit = what in PLOTS
    check_fit_there(source) if of_fit else check_file_there(source)
    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    inputs = [path for path in (source, against, models) if path is not None]
    check_plot(out, what=what, interval=interval, backend=backend, inputs=inputs)
    a_width("width", width)
    asked = Choices(
        interval=interval,
        groups=tuple(groups) if groups else None,
        against=None if against is None else read_any_table(ctx, against, **options),
        members=None if members is None else tuple(name.strip() for name in members.split(",") if name.strip()),
        max_size=max_size,
    )
    if not of_fit:
        write_picture(_of_table(ctx, source, what, asked, options), out, width=width)
    else:
        _draw_fit(source, out, what, asked, width=width, backend=backend)
    note(ctx, f"wrote {out}")


def _draw_fit(source: Path, out: Path, what: str, asked: Choices, *, width: float | None, backend: str) -> None:
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.plotting.pictures import PLOTS, save_plot, write_picture

    fitted = load_fit(source)
    warn_if_untrusted(fitted, source)
    if backend == "plotly":
        save_plot(fitted, out, what=what, interval=asked.interval, backend=backend)
    else:
        write_picture(lambda: PLOTS[what](fitted, asked), out, width=width)


def _of_table(
    ctx: typer.Context, source: Path, what: str, asked: Choices, options: dict[str, Any]
) -> Callable[[], Figure]:
    """Read a table, and form pools of it where the picture is of pools."""
    from bayeslaw.plotting.pictures import OF_POOLS, TABLE_PLOTS
    from bayeslaw.pools.pool_losses import make_pools

    table = read_any_table(ctx, source, **options)
    is_pools = table.attrs.get("kind") == "pools"
    if what in OF_POOLS and not is_pools:
        table = make_pools(table, max_size=asked.max_size)
    elif is_pools and what not in OF_POOLS:
        raise InputError(
            f"--what {what} was given pools", "a table of losses on samples", "give the table of the pools"
        )
    return lambda: TABLE_PLOTS[what](table, asked)


def _check_given(what: str, *, max_size: int | None, width: float | None, **given: Any) -> None:
    """Refuse options that the picture asked for does not have."""
    for name, whats in ONLY_FOR.items():
        if given[name] is not None and what not in whats:
            option = "group" if name == "groups" else name
            raise InputError(
                f"--{option} was given with --what {what}",
                f"--{option} with {', '.join(whats)}",
                f"leave out --{option}",
            )
    if max_size is not None and what not in SIZED:
        raise InputError(
            f"--max-size was given with --what {what}", f"--max-size with {', '.join(SIZED)}", "leave out --max-size"
        )
    if width is not None and what in FIXED:
        raise InputError(
            f"--width was given with --what {what}, which has a width of its own",
            "another picture",
            "leave out --width",
        )
