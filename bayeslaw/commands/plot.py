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
from bayeslaw.inputs.input_paths import FIT_ENDINGS, check_file_there, check_fit_there
from bayeslaw.pools.rules import describe_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from bayeslaw.plotting.pictures import Choices

What = Literal[
    "law",
    "claims",
    "when",
    "pareto",
    "attainability",
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
ONLY_FOR = {
    "group": ("law", "when"),
    "against": ("predicted",),
    "members": ("attainability", "co_failure"),
    "max_size": ("pareto", "pool_sizes", "matched", "diversity"),
    **dict.fromkeys(("rule", "max_parameters", "max_price", "max_active", "require", "exclude", "cost"), ("pareto",)),
}
"""Options that some pictures alone have."""
OF_TABLES, OF_EITHER = ("pool_sizes", "matched", "co_failure", "diversity"), ("pareto", "attainability")
"""Pictures of tables, and of tables or fits."""
USUAL_MISSING = "error"


def plot(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FIT|TABLE|POOLS",
            help="A fit that bayeslaw fit wrote; for pool_sizes, matched and co_failure a table of losses, for "
            "pareto and attainability either, and for diversity pools or a table.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture: a .png, .svg or .pdf file.", show_default=False)],
    what: Annotated[What, typer.Option("--what", help="What to draw.")] = "law",
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", help="Regime or family of the law's picture, or new; regime of when; may be repeated."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Table or pools to compare predictions with; default: the rows fitted."),
    ] = None,
    members: Annotated[
        str | None,
        typer.Option(
            "--members",
            help="Models of the pool whose attainability or co-failure (default: of all) is drawn: NAME,...",
        ),
    ] = None,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="Largest number of members, where pools are formed.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help=f"For pareto: {describe_rules(on_tokens=False, of_losses=True)}."),
    ] = None,
    max_parameters: Annotated[
        str | None, typer.Option("--max-parameters", help="For pareto: most total parameters, such as 20B.")
    ] = None,
    max_price: Annotated[
        float | None, typer.Option("--max-price", help="For pareto: most that a pool may cost.")
    ] = None,
    max_active: Annotated[
        str | None, typer.Option("--max-active", help="For pareto: most active parameters, such as 8B.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option("--require", help="For pareto: a model that a pool must have; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="For pareto: one that it must not have; may be repeated.")
    ] = None,
    cost: Annotated[
        Literal["parameters", "active_parameters", "price"] | None,
        typer.Option("--cost", help="For pareto: what the front is of (default: parameters)."),
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

    Of a fit: law (data, law and bands of a new pool or model; of a joint fit its pools, observed against predicted,
    and with --group the curves of families; of a diversity fit gains against diversity), claims (prior against
    posterior), when
    (from which budget on a pool is better than one model), predicted (observed against predicted),
    predictive (prior and posterior predictive), forest, and ArviZ's trace, pair, prior_posterior and
    ppc. Of a table: pool_sizes (from the best member to an oracle), matched (heterogeneous pools at
    matched budgets), co_failure and diversity (against gain). Of a table or a joint fit: pareto (the
    best pools by what they cost) and attainability (what each rule gains for the members of a pool).
    """
    options: dict[str, Any] = {
        "models": models,
        "unit": unit,
        "cluster": cluster,
        "sample": sample,
        "missing": missing,
        "metric": metric,
    }
    limits: dict[str, Any] = {
        "rule": rule,
        "max_parameters": max_parameters,
        "max_price": max_price,
        "max_active": max_active,
        "require": require,
        "exclude": exclude,
        "cost": cost,
    }
    _check_given(what, group=groups, against=against, members=members, max_size=max_size, **limits)
    names = [name.strip() for name in (members or "").split(",") if name.strip()]
    if what == "attainability" and not names:
        raise InputError(
            "a picture of attainability needs the members of a pool", "their names", "add --members NAME,NAME,..."
        )
    of_fit = what not in OF_TABLES and (what not in OF_EITHER or source.suffix in FIT_ENDINGS)
    if of_fit:
        check_fit_there(source)
        _check_fitted({} if against else options)
    else:
        check_file_there(source)
    import matplotlib

    from bayeslaw.plotting.picture_files import a_width, write_picture
    from bayeslaw.plotting.pictures import Choices, check_plot

    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    inputs = [path for path in (source, against, models) if path is not None]
    check_plot(out, what=what, interval=interval, backend=backend, inputs=inputs)
    a_width("width", width)
    asked = Choices(
        interval=interval,
        groups=tuple(groups) if groups else None,
        against=None if against is None else read_any_table(ctx, against, **options),
        members=tuple(names) or None,
        max_size=max_size,
        limits={name: value for name, value in limits.items() if value},
    )
    if not of_fit:
        write_picture(_of_table(ctx, source, what, asked, options), out, width=width)
    else:
        _draw_fit(source, out, what, asked, width=width, backend=backend)
    note(ctx, f"wrote {out}")


def _draw_fit(source: Path, out: Path, what: str, asked: Choices, *, width: float | None, backend: str) -> None:
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.plotting.picture_files import write_picture
    from bayeslaw.plotting.pictures import PLOTS, save_plot

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


def _check_given(what: str, **given: Any) -> None:
    """Refuse options that the picture asked for does not have."""
    for name, whats in ONLY_FOR.items():
        if given[name] and what not in whats:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} was given with --what {what}", f"{option} with {', '.join(whats)}", f"leave out {option}"
            )


def _check_fitted(options: dict[str, Any]) -> None:
    """Refuse options of reading a table where a fit is drawn."""
    given = [name for name, value in options.items() if value and value != USUAL_MISSING]
    if given:
        option = f"--{given[0]}"
        raise InputError(f"{option} is given with a fit", f"{option} with tables", f"leave out {option}")
