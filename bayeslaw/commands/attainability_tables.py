"""What rules gain, how often all members fail, and what cascades cost, as tables on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bayeslaw.commands.common import console
from bayeslaw.losses.loss_text import loss_form, loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.pools.rules import RULES, rule_label

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.pools.attainabilities import Attainabilities
    from bayeslaw.pools.attained_gains import Attainability


def show_rules(found: Attainabilities) -> None:
    """Print what every rule gains, as a table and in sentences."""
    from rich.table import Table

    table = Table(
        title=f"rules for {', '.join(found.members)}: losses in {found.unit}, {found.interval:.0%} intervals "
        f"({found.interval_kind})",
        header_style="bold",
    )
    priced = ("price a sample",) if found.prices else ()
    for name in ("rule", "loss", "minus best member", "share of the oracle's gain", "parameters run a sample", *priced):
        table.add_column(name, justify="left" if name == "rule" else "right")
    ends = [
        value
        for each in found.of_rules.values()
        for value in (each.difference.value, each.difference.lower, each.difference.upper)
    ]
    apart, of_losses = loss_form(ends), loss_form(each.rule_loss for each in found.of_rules.values())
    for name, each in found.of_rules.items():
        share = "" if found.reason else each.share_text(1)
        runs = count_label(found.parameters[name]) if name in found.parameters else ""
        price = (f"{found.prices[name]:.4g}" if name in found.prices else "",) if found.prices else ()
        table.add_row(rule_label(name), of_losses(each.rule_loss), _words(each, apart), share, runs, *price)
    out = console()
    out.print(table)
    for sentence in _sentences(found):
        out.print(sentence, soft_wrap=True)


def _words(each: Attainability, form: Callable[[float], str]) -> str:
    found = each.difference
    return f"{form(found.value)} ({form(found.lower)} to {form(found.upper)})"


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
        text += f"; share of the oracle's gain: {each.share_text()}"
    if difference.lower < 0 < difference.upper:
        text += ". Which of the two is better these samples do not tell"
    return f"{text}."


def show_cascade_costs(found: pd.DataFrame) -> None:
    """Print what a cascade loses against what it runs."""
    from rich.table import Table

    unit, priced = found["unit"].iloc[0], found["cost"].iloc[0] == "price"
    table = Table(title=f"a cascade whose thresholds count its cost: losses in {unit}", header_style="bold")
    for name in (
        "weight of cost",
        "loss",
        "minus best member",
        "standard error",
        "parameters run a sample",
        "of largest",
        *(("price a sample", "of dearest") if priced else ()),
    ):
        table.add_column(name, justify="right")
    forms = {name: loss_form(found[name]) for name in ("loss", "difference", "standard_error")}
    for row in found.to_dict(orient="records"):
        losses = (form(row[name]) for name, form in forms.items())
        prices = (f"{row['price']:.4g}", f"{row['share_of_dearest']:.0%}") if priced else ()
        runs = count_label(row["parameters"]), f"{row['share_of_largest']:.0%}"
        table.add_row(f"{row['weight']:g}", *losses, *runs, *prices)
    out = console()
    out.print(table)
    out.print(
        f"Weight of cost: what running the {'dearest member, by its price,' if priced else 'largest member'} costs on "
        "a sample, as a share of the best member's loss; others in proportion. Thresholds lose least with it on other "
        "folds of whole clusters; standard errors are over clusters, with choices held. A cascade goes on by a "
        "member's loss on the very text that it is judged by.",
        soft_wrap=True,
    )


def show_co_failure(found: pd.DataFrame, interval: float) -> None:
    """Print how often all members fail together."""
    from rich.table import Table

    from bayeslaw.pools.co_failures import BOUND, CO_FAILURE_KIND

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
