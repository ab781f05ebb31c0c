"""``bayeslaw plot``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    UnitOption,
    note,
    read_table,
    warn_if_untrusted,
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import FIT_ENDINGS, check_file_there, check_fit_there
from bayeslaw.pools.rules import describe_rules

What = Literal["law", "claims", "when", "pareto", "attainability", "trace", "forest", "pair", "prior_posterior", "ppc"]
OF_TABLES = ("pareto", "attainability")
"""Pictures of a loss table, or of that which a joint fit was made of."""


def plot(
    ctx: typer.Context,
    fit: Annotated[
        Path,
        typer.Argument(
            metavar="FIT",
            help="A fit that bayeslaw fit wrote; for pareto and attainability also a loss table.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture: a .png, .svg or .pdf file.", show_default=False)],
    what: Annotated[What, typer.Option("--what", help="What to draw.")] = "law",
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
    members: Annotated[
        str | None, typer.Option("--members", help="For attainability: names of the pool's models, NAME,NAME,...")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help=f"For pareto: {describe_rules(on_tokens=False, of_losses=True)}.",
        ),
    ] = None,
    max_size: Annotated[
        int | None, typer.Option("--max-size", help="For pareto: largest number of members (default: 3).")
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
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    missing: MissingOption = "error",
    metric: MetricOption = None,
) -> None:
    """Draw a fit: the law with data and bands, its claims, decisions, or the posterior.

    law: data, law and bands of a new pool or model. claims: prior against posterior. when: from
    which budget on a pool is better than one model, and how sure. pareto: the best pools by what
    they cost, of a table or a joint fit. attainability: what each rule gains for the members of a
    pool, of a table or a joint fit. trace, forest, pair, prior_posterior and ppc are ArviZ's.
    """
    limits: dict[str, Any] = {
        "max_size": max_size,
        "max_parameters": max_parameters,
        "max_price": max_price,
        "max_active": max_active,
        "require": require,
        "exclude": exclude,
        "cost": cost,
    }
    reading: dict[str, Any] = {
        "models": models,
        "unit": unit,
        "cluster": cluster,
        "sample": sample,
        "missing": None if missing == "error" else missing,
        "metric": metric,
    }
    _check_given(what, {"members": members}, ("attainability",))
    _check_given(what, {"rule": rule} | limits, ("pareto",))
    if what == "attainability" and not members:
        raise InputError(
            "a picture of attainability needs the members of a pool", "their names", "add --members NAME,NAME,..."
        )
    of_fit = fit.suffix in FIT_ENDINGS or what not in OF_TABLES
    if of_fit:
        check_fit_there(fit)
        _check_given("a fit", reading, ("tables",))
    else:
        check_file_there(fit)
    import matplotlib

    from bayeslaw.plotting.pictures import check_plot, save_plot

    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    check_plot(out, what=what, interval=interval, inputs=[fit, *([models] if models else [])])
    of: Any
    if of_fit:
        from bayeslaw.fitting.fit_reading import load_fit

        of = load_fit(fit)
        warn_if_untrusted(of, fit)
    else:
        of = read_table(ctx, fit, **(reading | {"missing": missing}))
    if what in OF_TABLES:
        from bayeslaw.plotting.decision_pictures import attainability_figure, pareto_figure
        from bayeslaw.plotting.plot_style import write_figure

        names = [name.strip() for name in (members or "").split(",") if name.strip()]
        given = {name: value for name, value in (limits | {"rule": rule}).items() if value}
        drawn = (
            pareto_figure(of, interval=interval, **given)
            if what == "pareto"
            else attainability_figure(of, names, interval=interval)
        )
        write_figure(drawn, out)
    else:
        save_plot(of, out, what=what, interval=interval)
    note(ctx, f"wrote {out}")


def _check_given(what: str, options: Mapping[str, Any], goes_with: tuple[str, ...]) -> None:
    """Refuse options of other pictures."""
    given = [name for name, value in options.items() if value]
    if given and what not in goes_with:
        option = f"--{given[0].replace('_', '-')}"
        raise InputError(
            f"{option} is given with {what}", f"{option} with {' or '.join(goes_with)}", f"leave out {option}"
        )
