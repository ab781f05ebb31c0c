"""What the commands share: the group that turns errors into messages, options, printing."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from bayeslaw.errors import InputError
from bayeslaw.findings import Finding, LossTableWarning
from bayeslaw.inputs.foreign_text import printable, replace_unseen
from bayeslaw.inputs.former_names import FormerNameWarning
from bayeslaw.losses.metrics import describe_metrics
from bayeslaw.progress import UNDER_WAY, bars_in_terminals

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console
    from rich.text import Text

    from bayeslaw.fitting.fits import Fit

Missing = Literal["error", "drop-models", "drop-samples"]
TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="A wide CSV (a column sample of names, a column bytes of lengths, and a column of losses for each model), "
        "a folder that bayeslaw wrote, a CSV of whole models, or zoo, which comes with the package.",
        show_default=False,
    ),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", help="CSV with columns model, family, parameters (7e9, 7B); needed for a wide CSV."),
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", help="What a sample is: document, sentence, word, ... (default: sample).")
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", help="Columns COL[,COL] that name the document each sample comes from.")
]
SampleOption = Annotated[
    str | None, typer.Option("--sample", help="Column of sample names (default: sample, item_id, id or row number).")
]
DescribeOption = Annotated[
    list[str] | None, typer.Option("--describe", help="Column of fractions that describes samples; may be repeated.")
]
MissingOption = Annotated[Missing, typer.Option("--missing", help="What to do where losses are missing.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Refuse a table in which something is likely wrong.")]
FitArgument = Annotated[Path, typer.Argument(metavar="FIT", help="A file written by bayeslaw fit.", show_default=False)]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help=f"What the table holds: {describe_metrics()}; default: nll.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
IntervalOption = Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]


class Group(TyperGroup):
    """Commands whose bad input ends in one message on standard error and exit code 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept ``--quiet`` after the command's name too."""
        end = args.index("--") if "--" in args else len(args)
        if "--quiet" in args[:end]:
            args = ["--quiet", *(arg for arg in args[:end] if arg != "--quiet"), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from bayeslaw.losses.sizes import noting_sizes

        # Commands say what is wrong with a table in words of their own.
        warnings.filterwarnings("ignore", category=LossTableWarning)
        with noting_sizes() as sizes, _noting_former_names(ctx), _telling_progress(ctx):
            try:
                return super().invoke(ctx)
            except InputError as error:
                say(f"Error: {error}")
                raise typer.Exit(2) from None
            except Exception as error:
                # What is wrong with the usage is said by typer, in words that hold what was typed or a shell filled in.
                if isinstance(message := getattr(error, "message", None), str):
                    error.__dict__["message"] = printable(message)
                raise
            finally:
                for text, number in sizes.items():
                    note(ctx, f"note: {text} was read as {number:,.0f}")


class _Noting(logging.Handler):
    """Prints what is logged on standard error, unless ``--quiet`` was given."""

    def __init__(self, ctx: Any) -> None:
        super().__init__()
        self._ctx = ctx

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        note(self._ctx, record.getMessage())


@contextmanager
def _telling_progress(ctx: Any) -> Iterator[None]:
    """Show how far long work is: in a bar, or now and then in a line where standard error is no terminal."""
    if sys.stderr.isatty():
        with bars_in_terminals(lambda: not is_quiet(ctx)):
            yield
        return
    handler, level = _Noting(ctx), UNDER_WAY.level
    UNDER_WAY.addHandler(handler)
    UNDER_WAY.setLevel(logging.INFO)
    try:
        yield
    finally:
        UNDER_WAY.removeHandler(handler)
        UNDER_WAY.setLevel(level)


@contextmanager
def _noting_former_names(ctx: Any) -> Iterator[None]:
    """Say once, in the words of a note, what was called by a former name."""
    show, said = warnings.showwarning, set()

    def note_or_show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, FormerNameWarning):
            show(message, category, *place, **more)
        elif str(message) not in said:
            said.add(str(message))
            note(ctx, f"note: {message}")

    warnings.filterwarnings("always", category=FormerNameWarning)
    warnings.showwarning = note_or_show
    try:
        yield
    finally:
        warnings.showwarning = show


def add(app: typer.Typer, function: Any, *, example: str, name: str | None = None) -> None:
    """Add a command to the application.

    Parameters
    ----------
    app
        The application.
    function
        The command; its docstring is its help.
    example
        A command line that works as typed, shown by ``--help``.
    name
        The command's name; the function's by default.
    """
    app.command(name=name, epilog=f"Example: {example}")(function)


def is_quiet(ctx: typer.Context) -> bool:
    """Say whether ``--quiet`` was given: no notes and no progress."""
    return bool((ctx.find_root().obj or {}).get("quiet", False))


def say(message: str) -> None:
    """Print a message on standard error, also where notes are not wanted; nothing in it can steer the terminal."""
    typer.echo(printable(message), err=True)


def note(ctx: typer.Context, message: str) -> None:
    """Print a remark on standard error, unless ``--quiet`` was given or there is nothing to say."""
    if message and not is_quiet(ctx):
        say(message)


def print_json(value: Any) -> None:
    """Print a value as JSON, with null where a number is not finite, and escapes for what could steer a terminal."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False)
    typer.echo(replace_unseen(text, lambda character: json.dumps(character)[1:-1]))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console() -> Console:
    """Return the console for results: as wide as the terminal, or wide enough for any table in a file or a pipe."""
    from rich.console import Console
    from rich.segment import Segment

    class PrintableConsole(Console):
        """A console whose texts, such as names of models, cannot steer the terminal; its own colours can."""

        def render_str(self, text: str, **options: Any) -> Text:
            # Before it is measured, so that columns are as wide as what is shown.
            return super().render_str(printable(text), **options)

        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for text, style, control in super().render(*arguments, **options):
                yield Segment(text if control else printable(text), style, control)

    # Names of models, families and units are shown as they are, with brackets and colons.
    width = None if sys.stdout.isatty() else 160
    return PrintableConsole(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
"""Of findings, by their severity."""


def coloured(text: str, colour: str) -> Text:
    """Return a text in a colour, for a console on which no text is markup."""
    from rich.text import Text

    return Text(text, style=colour)


def read_table(
    ctx: typer.Context,
    table: Path,
    *,
    models: Path | None = None,
    unit: str | None = None,
    cluster: str | None = None,
    sample: str | None = None,
    describe: list[str] | None = None,
    missing: str = "error",
    strict: bool = False,
    metric: str | None = None,
) -> xr.Dataset:
    """Read a loss table as the options say, note what was dropped, and say what is likely wrong.

    Parameters
    ----------
    ctx
        The context of the command.
    table, models, unit, cluster, sample, describe, missing, metric
        As in `bayeslaw.read_losses`.
    strict
        Refuse a table in which something is likely wrong, instead of saying so on standard error.

    Returns
    -------
    xarray.Dataset
        The loss table.

    Raises
    ------
    InputError
        If the table cannot be read, or is refused.
    """
    from bayeslaw.losses.missing import missing_note
    from bayeslaw.losses.near_names import near_names
    from bayeslaw.losses.readers import read_losses
    from bayeslaw.losses.table_arguments import find_table
    from bayeslaw.losses.warned_once import errors_of

    losses = read_losses(
        find_table(table, unit),
        models=models,
        unit=unit,
        cluster=cluster,
        sample=sample,
        describe=describe or (),
        missing=missing,
        metric=metric,
    )
    note(ctx, missing_note(losses))
    for near in near_names(losses) if "nll" in losses else ():
        note(ctx, f"{near.severity} {near}")
    say_errors(errors_of(losses), strict=strict)
    return losses


def say_errors(errors: list[Finding], *, strict: bool) -> None:
    """Say what is likely wrong in a table on standard error, also where notes are not wanted.

    Parameters
    ----------
    errors
        What was found.
    strict
        Refuse the table.

    Raises
    ------
    InputError
        If there are errors and the table is refused.
    """
    if strict and errors:
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        accepted = "a table without errors where --strict is given"
        fix = "correct the table, or leave out --strict and see bayeslaw losses"
        raise InputError(f"{errors[0]}{more}", accepted, fix)
    for error in errors:
        say(f"error {error}")


def read_any_table(ctx: typer.Context, table: Path, **options: Any) -> xr.Dataset:
    """Read a loss table, a table of whole models, or pools, whichever the path holds.

    Parameters
    ----------
    ctx
        The context of the command.
    table
        The path.
    **options
        As in `read_table`; accepted for loss tables only.

    Returns
    -------
    xarray.Dataset
        The table.
    """
    from bayeslaw.losses.table_arguments import holds_pools

    if not holds_pools(table):
        return read_table(ctx, table, **options)
    from bayeslaw.pools.pool_losses import read_pools

    defaults = {"missing": "error"}
    given = [name for name, value in options.items() if value and value != defaults.get(name)]
    if given:
        raise InputError(
            f"--{given[0]} was given for pools", "options of loss tables with loss tables", f"leave out --{given[0]}"
        )
    return read_pools(table)


def warn_if_untrusted(fit: Fit, name: Path) -> None:
    """Say on standard error, also where notes are not wanted, that a fit must not be trusted."""
    from bayeslaw.diagnosis.checks import errors

    codes = [finding.code for finding in errors(fit)]
    if codes:
        say(f"warning: {name} must not be trusted ({', '.join(codes)}); see bayeslaw check {name}")
