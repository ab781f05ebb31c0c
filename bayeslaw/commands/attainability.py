"""``bayeslaw attainability``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
    JsonOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    SeedOption,
    StrictOption,
    TableArgument,
    UnitOption,
    console,
    note,
    print_json,
    read_table,
    say,
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.input_paths import check_file_there
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.pools.rules import RULES, describe_rules, find_rule

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.console import Console

    from bayeslaw.pools.attainabilities import Attainabilities
    from bayeslaw.pools.attained_gains import Attainability

TOKENS = "tokens"


def attainability(
    ctx: typer.Context,
    table: TableArgument,
    members: Annotated[str, typer.Option("--members", help="Names of the pool's models: NAME,NAME,...")],
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules",
            help=f"RULE[,RULE]: {describe_rules()} (default: all that can be computed).",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            help="CSV or Parquet file of what is known of each sample before any model runs: a column sample of names, "
            "columns of numbers, and one called text of texts.",
        ),
    ] = None,
    co_failure: Annotated[
        bool, typer.Option("--co-failure", help="Print only how often all members fail together.")
    ] = False,
    cascade_costs: Annotated[
        bool,
        typer.Option(
            "--cascade-costs", help="Print only what a cascade loses against the parameters that it runs on a sample."
        ),
    ] = False,
    interval: Annotated[float, typer.Option("--interval", help="Level of the equal-tailed intervals.")] = 0.9,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw what rules gain: a .png, .svg or .pdf file.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Say what a pool's members gain together, by every rule, over the best of them, and how often all fail."""
    check_file_there(table)
    if features is not None:
        check_file_there(features)
    if co_failure and (rules, features, picture) != (None, None, None):
        raise InputError(
            "--co-failure is given with --rules, --features or --picture",
            "--co-failure alone: it is a table of its own",
            "leave one of them out",
        )
    if cascade_costs and (rules, features, picture, co_failure) != (None, None, None, False):
        raise InputError(
            "--cascade-costs is given with --rules, --features, --picture or --co-failure",
            "--cascade-costs alone: it is a table of its own",
            "leave one of them out",
        )
    wanted = None if rules is None else [find_rule(name.strip()).name for name in rules.split(",")]
    from bayeslaw.pools.attainabilities import attainability as attainability_of
    from bayeslaw.pools.co_failures import co_failure as co_failure_of
    from bayeslaw.pools.sample_features import a_features_table

    if picture is not None:
        from bayeslaw.plotting.attainability_plot import check_attainability

        check_attainability(picture, inputs=[path for path in (table, models, features) if path is not None])
    losses = read_table(
        ctx,
        table,
        models=models,
        unit=unit,
        cluster=cluster,
        sample=sample,
        describe=describe,
        missing=missing,
        strict=strict,
        metric=metric,
    )
    names = [name.strip() for name in members.split(",") if name.strip()]
    if co_failure:
        _print_co_failure(co_failure_of(losses, names, interval=interval), interval, as_json=as_json)
        return
    if cascade_costs:
        from bayeslaw.pools.costed_cascades import cascade_costs as costs_of

        _print_cascade_costs(costs_of(losses, names, seed=seed), as_json=as_json)
        return
    tokens = _token_losses(table, losses, names, wanted)
    known = None if features is None else a_features_table("features", features)
    choices = {"rules": wanted, "interval": interval, "seed": seed, "token_losses": tokens}
    found = attainability_of(losses, names, features=known, **choices)
    for finding in found.findings:
        say(f"{finding.severity} {finding}")
    _check_defined(found)
    if picture is not None:
        from bayeslaw.plotting.attainability_plot import save_attainability

        save_attainability(found, picture)
        note(ctx, f"wrote {picture}")
    if as_json:
        print_json(found.records)
        return
    _show(found, console())
    _print_co_failure(co_failure_of(losses, names, interval=interval), interval, as_json=False)
    for name, why in found.left_out.items():
        note(ctx, f"note: {name} is left out: {why}")


def _token_losses(table: Path, losses: xr.Dataset, names: list[str], wanted: list[str] | None) -> xr.Dataset | None:
    """Read the losses of tokens where rules ask for them, or where all members have them by one tokenizer."""
    from bayeslaw.losses.token_losses import read_token_losses

    if wanted is not None:
        there = any(RULES[name].on_tokens for name in wanted)
    else:
        known = set(names) <= {str(name) for name in losses["lm"].to_numpy()}
        hashes = losses["tokenizer"].sel(lm=names).to_numpy().tolist() if known and "tokenizer" in losses else []
        there = (table / TOKENS).is_dir() and len(set(hashes)) == 1
    return read_token_losses(table, models=names) if there else None


def _check_defined(found: Attainabilities) -> None:
    """Refuse a pool that has no best member to compare with."""
    if all(each.difference.value != each.difference.value for each in found.of_rules.values()):
        raise InputError(
            found.reason, "two members or more, and a table of two clusters or more", "name more members, or clusters"
        )


def _show(found: Attainabilities, out: Console) -> None:
    from rich.table import Table

    table = Table(
        title=f"rules for {', '.join(found.members)}: losses in {found.unit}, {found.interval:.0%} intervals "
        f"({found.interval_kind})",
        header_style="bold",
    )
    for name in ("rule", "loss", "minus best member", "share of the oracle's gain", "parameters run a sample"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for name, each in found.of_rules.items():
        share = "" if found.reason else f"{each.value:.1%} ({each.lower:.1%} to {each.upper:.1%})"
        runs = f"{found.parameters[name]:,.0f}" if name in found.parameters else ""
        table.add_row(name, loss_text(each.rule_loss), _words(each), share, runs)
    out.print(table)
    for sentence in _sentences(found):
        out.print(sentence, soft_wrap=True)


def _words(each: Attainability) -> str:
    found = each.difference
    return f"{loss_text(found.value)} ({loss_text(found.lower)} to {loss_text(found.upper)})"


def _sentences(found: Attainabilities) -> list[str]:
    first = next(iter(found.of_rules.values()))
    sentences = [
        f"The best member, chosen on other clusters, loses {loss_text(first.best)} {found.unit}. An oracle that "
        f"knew the best member of every sample would lose {loss_text(first.gain.value)} less "
        f"({loss_text(first.gain.lower)} to {loss_text(first.gain.upper)}); nobody can run one."
    ]
    if found.reason:
        sentences.append(f"No shares are given: {found.reason}.")
    run = {name: each for name, each in found.of_rules.items() if RULES[name].attainable and name != "best"}
    if run:
        name = min(run, key=lambda each: run[each].rule_loss)
        sentences.append(_of_lowest(name, run[name], found))
    sentences.append(found.definition)
    if "cascade" in found.of_rules:
        sentences.append(
            "A cascade goes on by a member's loss on the very text that it is judged by: it can be run where the text "
            "is given, not where it is still to be written. To go on by what is known then, give features."
        )
    return sentences


def _of_lowest(name: str, each: Attainability, found: Attainabilities) -> str:
    difference, words = each.difference, "less" if each.difference.value < 0 else "more"
    sign = -1 if difference.value < 0 else 1
    low, high = sorted((sign * difference.lower, sign * difference.upper))
    text = (
        f"Of the rules that can be run {name} loses least: {loss_text(abs(difference.value))} {found.unit} {words} "
        f"than the best member ({found.interval:.0%} interval {loss_text(low)} to {loss_text(high)})"
    )
    if not found.reason:
        text += f", {each.value:.0%} of the oracle's gain ({each.lower:.0%} to {each.upper:.0%})"
    if difference.lower < 0 < difference.upper:
        text += ". Which of the two is better these samples do not tell"
    return f"{text}."


def _print_cascade_costs(found: pd.DataFrame, *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict(orient="records"))
        return
    from rich.table import Table

    from bayeslaw.losses.sizes import count_label

    unit = found["unit"].iloc[0]
    table = Table(title=f"a cascade whose thresholds count its cost: losses in {unit}", header_style="bold")
    for name in (
        "weight of cost",
        "loss",
        "minus best member",
        "standard error",
        "parameters run a sample",
        "of largest",
    ):
        table.add_column(name, justify="right")
    for row in found.to_dict(orient="records"):
        losses = (loss_text(row[name]) for name in ("loss", "difference", "standard_error"))
        table.add_row(f"{row['weight']:g}", *losses, count_label(row["parameters"]), f"{row['share_of_largest']:.0%}")
    out = console()
    out.print(table)
    out.print(
        "Weight of cost: what running as many parameters as the largest member has costs on a sample, as a share of "
        "the best member's loss. Thresholds lose least with it on other folds of whole clusters; standard errors are "
        "over clusters, with choices held. A cascade goes on by a member's loss on the very text that it is judged by.",
        soft_wrap=True,
    )


def _print_co_failure(found: pd.DataFrame, interval: float, *, as_json: bool) -> None:
    from bayeslaw.pools.co_failures import BOUND, CO_FAILURE_KIND

    if as_json:
        print_json(found.to_dict(orient="records"))
        return
    from rich.table import Table

    unit, clusters = found["unit"].iloc[0], int(found["clusters"].iloc[0])
    table = Table(
        title=f"how often all members lose more than a threshold, {interval:.0%} intervals "
        f"({CO_FAILURE_KIND}: {clusters:,})",
        header_style="bold",
    )
    for name in (f"threshold, {unit}", "all members", "the member that does so least"):
        table.add_column(name, justify="right")
    for threshold, probability, lower, upper, best in found[
        ["threshold", "probability", "lower", "upper", "best_member"]
    ].itertuples(index=False):
        words = f"{probability:.1%} ({lower:.1%} to {upper:.1%})"
        table.add_row(f"{threshold:g}", words, f"{best:.1%}")
    out = console()
    out.print(table)
    out.print(BOUND, soft_wrap=True)
