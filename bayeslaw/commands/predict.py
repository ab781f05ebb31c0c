"""``bayeslaw predict``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayeslaw.commands.common import (
    FitArgument,
    IntervalOption,
    JsonOption,
    SeedOption,
    console,
    note,
    warn_if_untrusted,
)
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache
from bayeslaw.losses.loss_text import loss_form, loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.rules import RULES, USUAL_RULE, describe_rules
from bayeslaw.pools.rules_by_unit import usual_attainable

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.fitting.fits import Fit

COLUMNS = ("kind", "samples", "interval", "interval_kind", "unit", "mean", "median", "lower", "upper", "extrapolation")


def predict(
    ctx: typer.Context,
    fit: FitArgument,
    at: Annotated[
        Path | None, typer.Option("--at", help="CSV of targets: parameters, regime, family, members, ...")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameters", help="Budgets, such as 7e9 or 7B; may be repeated.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[N...]", help="More budgets after --parameters.")] = None,
    training_tokens: Annotated[
        list[str] | None, typer.Option("--training-tokens", help="Training tokens of each budget.")
    ] = None,
    regime: Annotated[list[str] | None, typer.Option("--regime", help="single, homogeneous or heterogeneous.")] = None,
    family: Annotated[list[str] | None, typer.Option("--family", help="A known family, or new.")] = None,
    members: Annotated[
        list[str] | None,
        typer.Option(
            "--members",
            help='A pool, such as "70e9:llama,7e9:mistral"; a joint or diversity fit also takes names of its models.',
        ),
    ] = None,
    kind: Annotated[
        Literal["new", "mean"], typer.Option("--kind", help="One new pool or model, or the law's mean.")
    ] = "new",
    samples: Annotated[
        Literal["same", "new"] | None,
        typer.Option(
            "--samples",
            help="On the samples fitted (same) or as many new ones (new). Default: new by a joint fit, else same.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help="How pools of a joint fit are combined: "
            f"{describe_rules(on_tokens=False, of_losses=True)} (default: {USUAL_RULE}).",
        ),
    ] = None,
    interval: IntervalOption = 0.9,
    versus: Annotated[
        int | None,
        typer.Option(
            "--versus", help="Put all rows beside this one, from 1: by how much each loses more, and P(less)."
        ),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Predict losses at new budgets, with bands."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(fit, at))
    check_fit_there(fit)
    use_compilation_cache()
    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.prediction.predictions import predict as predict_losses

    budgets = [*(parameters or []), *(more or [])]
    if more and not parameters:
        raise InputError(
            f"{more[0]!r} stands after the fit", "budgets after --parameters", f"write --parameters {' '.join(more)}"
        )
    given = {
        "parameters": _numbers("parameters", budgets),
        "training_tokens": _numbers("training tokens", training_tokens or []),
        "regime": regime,
        "family": family,
        "members": members,
    }
    targets = _read(at, given) if at is not None else _cross({name: values for name, values in given.items() if values})
    fitted = load_fit(fit, keep=())
    beside = None if versus is None else versus - 1
    if beside is not None and beside < 0:
        raise InputError(f"--versus is {versus}", "the number of a row, from 1", "write --versus 1")
    result = predict_losses(
        fitted, targets, kind=kind, samples=samples, rule=rule, interval=interval, seed=seed, versus=beside
    )
    warn_if_untrusted(fitted, fit)
    records = result.to_dict(orient="records")
    results.print(records, records, lambda: _show(result, versus))
    note(ctx, _new_family_note(fitted, result))
    note(ctx, _rule_note(fitted, result) if rule is None else "")
    note(ctx, _negative_note(fitted, result))
    furthest = float(result["extrapolation"].to_numpy().max())
    if furthest > 1:
        note(
            ctx,
            f"warning extrapolation: targets lie up to {furthest:.1f} times the observed range of log budgets away "
            "(a family not seen counts as one range); bands rest on the law's form",
        )


def _new_family_note(fitted: Fit, result: pd.DataFrame) -> str:
    from bayeslaw.laws.kinds import kind_of

    new = kind_of(fitted.law).new_families(fitted, result)
    if not new:
        return ""
    seen = ", ".join(fitted.model.groups)
    return f"note: families that the fit has not seen, predicted as new ones: {', '.join(new)} (seen: {seen})"


def _rule_note(fitted: Fit, result: pd.DataFrame) -> str:
    """Say which rule pools are combined by where none was asked for, and how to ask for another."""
    from bayeslaw.laws.kinds import kind_of

    if not kind_of(fitted.law).takes_rule() or "rule" not in result:
        return ""
    used = RULES[str(result["rule"].iloc[0])]
    bound = "" if used.attainable else ", a bound that nobody can run"
    other = usual_attainable(fitted.model.table.answer_unit)
    return (
        f"note: pools of several are combined by the rule {used.name} ({used.description}){bound}; bayeslaw when and "
        f"choose take {other}, which --rule {other} predicts"
    )


def _negative_note(fitted: Fit, result: pd.DataFrame) -> str:
    below = int((result["lower"].to_numpy() < 0).sum())
    if not below or (fitted.observations.loss <= 0).any():
        return ""
    return f"warning negative-losses: {below} of {len(result)} bands reach below zero, where no loss of the table lies"


def _numbers(name: str, values: list[str]) -> list[float]:
    from bayeslaw.losses.sizes import is_size, read_counts

    # With commas a text is one number such as 70,000,000, or else several.
    given = [part for text in values for part in ([text] if is_size(text) else text.split(","))]
    return read_counts(name, given)


def _cross(given: dict[str, Any]) -> pd.DataFrame:
    """Every budget with every group; token counts go with budgets one by one, or one for all."""
    import pandas as pd

    if not given:
        raise InputError("no target is named", "--parameters, --members or --at", "add --parameters 7e9")
    budget = {name: given[name] for name in ("parameters", "training_tokens") if name in given}
    lengths = {len(values) for values in budget.values()}
    if len(lengths) > 1 and 1 not in lengths:
        raise InputError(
            "budgets and training tokens differ in number",
            "as many of each, or one for all",
            "give one for each budget",
        )
    longest = max(lengths, default=0)
    result = pd.DataFrame({name: values * (longest // len(values)) for name, values in budget.items()})
    for name in ("members", "regime", "family"):
        if name in given:
            column = pd.DataFrame({name: given[name]})
            result = result.merge(column, how="cross") if len(result.columns) else column
    return result


def _read(path: Path, given: dict[str, Any]) -> pd.DataFrame:
    from bayeslaw.prediction.targets import read_target_file

    clash = [name for name, values in given.items() if values]
    if clash:
        raise InputError(f"both --at and {clash[0]} are given", "one of them", "put everything into the file")
    return read_target_file(path)


def _show(result: pd.DataFrame, versus: int | None) -> None:
    from rich.table import Table

    first, kinds = result.iloc[0], ", ".join(dict.fromkeys(result["kind"]))
    of_differences = "" if versus is None else f"; differences to row {versus} of the same draws, median and interval"
    table = Table(
        title=f"{first['unit']}, {kinds}, {first['samples']} samples, "
        f"{first['interval']:.0%} {first['interval_kind']} interval{of_differences}",
        header_style="bold",
    )
    columns = [name for name in result if name not in ("unit", "kind", "samples", "interval", "interval_kind")]
    for name in columns:
        text = result[name].dtype.kind not in "fi"
        # Names are not cut where the terminal is narrow.
        table.add_column(name.replace("_", " "), justify="left" if text else "right", overflow="fold", no_wrap=not text)
    together = [name for name in ("mean", "median", "lower", "upper") if name in columns]
    of_losses = loss_form(result[together].to_numpy().ravel().tolist())
    forms = {**FORMS, **dict.fromkeys(together, of_losses)}
    for _, row in result.iterrows():
        cells = [_cell(row[name], forms.get(name, loss_text)) for name in columns]
        table.add_row(*cells)
    console().print(table)


FORMS: Mapping[str, Callable[[float], str]] = {
    **dict.fromkeys(("parameters", "training_tokens"), count_label),
    "extrapolation": "{:.2f}".format,
    "probability_better": "{:.3f}".format,
}
"""How numbers of a column are written; all others are losses."""


def _cell(value: Any, form: Callable[[float], str]) -> str:
    if not isinstance(value, float):
        return str(value)
    if value != value:
        # No band, or no difference: nothing is uncertain.
        return "-"
    return form(value)
