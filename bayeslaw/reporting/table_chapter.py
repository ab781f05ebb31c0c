"""What a page says of a table: what is in it, which pool to choose, what rules attain, and what is likely wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import comb
from os import PathLike

import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.decision.choice_rows import Choices
from bayeslaw.decision.choices import choose
from bayeslaw.errors import InputError
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label
from bayeslaw.losses.table_report import LossReport, loss_report
from bayeslaw.markup import Html, element, listing
from bayeslaw.plotting.attainability_plot import plot_attainability
from bayeslaw.plotting.pareto_plot import plot_pareto
from bayeslaw.plotting.pool_size_plot import plot_pool_sizes
from bayeslaw.pools.attainabilities import Attainabilities, attainability
from bayeslaw.pools.rules import rule_label
from bayeslaw.reporting.fit_chapter import POOL_QUESTION, Asked
from bayeslaw.reporting.inline_pictures import picture
from bayeslaw.reporting.observed_rows import loss
from bayeslaw.reporting.page_document import Chapter
from bayeslaw.reporting.page_parts import Cell, Section, findings_list, number, page_table, paragraphs
from bayeslaw.reporting.page_provenance import page_facts, provenance, table_facts

MAX_SIZE = 3
MOST_WORK = 2e9
"""Pools times samples that are gone through for a page, which is to be made in seconds."""
OF_ANSWER = 2
"""Sentences of a choice that say what to take and how sure that is; the others say how it was found."""
QUESTION = "Which of these models, or which pool of them, loses least on new samples, and how sure can we be?"


@dataclass(frozen=True)
class TableReport:
    """A loss table with what its part of a page says, each worked out once.

    Parameters
    ----------
    table
        Losses on samples, or a table of whole models.
    path
        Where it was read from, if it was.
    name
        What its pictures are named after, a word of this package.
    asked
        How the page is made.
    """

    table: xr.Dataset
    path: str | PathLike[str] | None
    name: str
    asked: Asked

    @cached_property
    def report(self) -> LossReport:
        """What is in the table."""
        return loss_report(self.table)

    @cached_property
    def choices(self) -> Choices | str:
        """Which pool to choose, or why that is not told."""
        if self.report.samples is None:
            return "the table has no losses on samples, so that pools cannot be formed"
        models = len(self.report.models)
        pools = sum(comb(models, size) for size in range(1, MAX_SIZE + 1))
        if pools * self.report.samples > MOST_WORK:
            return f"{pools:,} pools of up to {MAX_SIZE} models are too many for a page; ask bayeslaw choose TABLE"
        try:
            return choose(self.table, max_size=MAX_SIZE, interval=self.asked.interval, seed=self.asked.seed)
        except InputError as error:
            return first_line(error)

    @cached_property
    def attained(self) -> Attainabilities | str:
        """What rules attain on the best pool, or why that is not told."""
        if isinstance(self.choices, str):
            return self.choices
        pools = [row.members for row in self.choices.rows if len(row.members) > 1]
        if not pools:
            return "no pool of two models or more is among the best"
        try:
            return attainability(self.table, list(pools[0]), interval=self.asked.interval, seed=self.asked.seed)
        except InputError as error:
            return first_line(error)

    @property
    def title(self) -> str:
        """What the table is."""
        source = f" of {self.report.source}" if self.report.source else ""
        return f"Losses{source} under {len(self.report.models):,} models"

    def drawn(self, draw: Callable[[], Figure], what: str, describe: str) -> Html:
        """Draw a picture, or say why there is none."""
        try:
            return picture(draw, name=f"{self.name}-{what}", describe=describe)
        except InputError as error:
            return element("p", f"No picture here: {first_line(error)}.")

    def chapter(self) -> Chapter:
        """Put the part of the page together."""
        facts = table_facts(self.table, self.path), page_facts(self.asked.command, self.asked.interval, self.asked.seed)
        sections = (
            Section("question", "The question", (element("p", QUESTION if self.report.samples else POOL_QUESTION),)),
            Section("answer", "The answer", (element("div", *self.answer(), attributes={"class": "answer"}),)),
            Section("data", "Data", tuple(self.data())),
            Section("decision", "Decision", tuple(self.decision())),
            Section("trust", "Trust", tuple(self.trust())),
            provenance(*facts),
        )
        return Chapter(self.title, sections)

    def answer(self) -> Iterator[Html]:
        """Say which model or pool is best."""
        if isinstance(self.choices, str):
            best = min(self.report.models, key=lambda each: each.loss)
            yield paragraphs(
                (
                    f"Of these models {best.model} has the lowest mean loss: {loss_text(best.loss)} "
                    f"{self.report.loss_unit}. It is that of these samples, not of new ones.",
                    f"No pool is chosen here: {self.choices}.",
                )
            )
            return
        yield paragraphs(self.choices.sentences[:OF_ANSWER])
        if isinstance(self.attained, Attainabilities):
            yield paragraphs((_oracle(self.attained),))

    def data(self) -> Iterator[Html]:
        """Show the models."""
        found = self.report
        counts = [f"{len(found.models):,} models of {len(found.families):,} families"]
        counts += [f"{found.samples:,} samples (unit: {found.unit})"] if found.samples is not None else []
        counts += [f"{found.clusters:,} clusters"] if found.clusters is not None else []
        yield element("p", f"{', '.join(counts)}.")
        names = ("model", "family", "parameters", "mean loss", "standard error", "wins")
        rows = [
            [
                each.model,
                each.family,
                Cell(count_label(each.parameters), each.parameters),
                loss(each.loss),
                number(each.standard_error),
                number(None) if each.wins is None else Cell(f"{each.wins:.1%}", each.wins),
            ]
            for each in found.models
        ]
        caption = (
            f"Mean losses in {found.loss_unit}, with standard errors over clusters; wins: on which share of the "
            "samples a model loses least of all"
        )
        yield page_table(names, rows, caption=caption)

    def decision(self) -> Iterator[Html]:
        """Show the best pools, what rules attain on the first, and losses by the size of pools."""
        chosen = self.choices
        if isinstance(chosen, str):
            yield paragraphs((f"No pool is chosen here: {chosen}.",))
            return
        yield paragraphs(chosen.sentences[OF_ANSWER:])
        level = f"{100 * chosen.interval:.6g} % intervals, {chosen.interval_kind}"
        yield choice_table(chosen, level)
        describe = f"Which loss the best pools reach for how many {chosen.cost.replace('_', ' ')}, with {level}."
        yield self.drawn(lambda: plot_pareto(chosen), "pareto", describe)
        describe = "Losses of pools by their number of members."
        yield self.drawn(lambda: plot_pool_sizes(self.table, max_size=MAX_SIZE), "sizes", describe)
        yield from self._attained()

    def _attained(self) -> Iterator[Html]:
        found = self.attained
        if isinstance(found, str):
            yield paragraphs((f"What rules attain is not told: {found}.",))
            return
        whose = " + ".join(found.members)
        yield paragraphs((f"What rules of combination attain on {whose}:", found.definition))
        yield attained_table(found)
        describe = f"Loss of each rule minus that of the best member of {whose}, in {found.unit}."
        yield self.drawn(lambda: plot_attainability(found), "attained", describe)
        if found.left_out:
            yield element("p", "Rules left out:")
            yield listing(f"{name}: {why}" for name, why in found.left_out.items())

    def trust(self) -> Iterator[Html]:
        """Say what is likely wrong, and what the numbers hold for."""
        yield findings_list(self.report.warnings, "Nothing in this table looks wrong.")
        yield paragraphs(
            (
                "Nothing here extrapolates: numbers are of these models, and intervals of new samples of this kind. A "
                "law fitted to the table (bayeslaw fit TABLE) says what other models may lose.",
            )
        )


def first_line(error: InputError) -> str:
    """Return what is wrong, without what is accepted."""
    return str(error).splitlines()[0]


def _oracle(found: Attainabilities) -> str:
    first = next(iter(found.of_rules.values()))
    if found.reason:
        return f"What an oracle could gain on {' + '.join(found.members)} is not told: {found.reason}."
    return (
        f"An oracle that knew the best member of {' + '.join(found.members)} for every sample would lose "
        f"{loss_text(first.gain.value)} {found.unit} less than the best of them ({100 * found.interval:.6g} % interval "
        f"{loss_text(first.gain.lower)} to {loss_text(first.gain.upper)}); nobody can run one."
    )


def choice_table(chosen: Choices, level: str) -> Html:
    """Show the best pools.

    Parameters
    ----------
    chosen
        What `bayeslaw.choose` found.
    level
        Level and kind of the intervals, in words.

    Returns
    -------
    Html
        The table.
    """
    first = chosen.rows[0]
    promised = ("promised of this rank", "lower", "upper", "promise minus best single", "lower ", "upper ")
    names = ("pool", "parameters", "expected loss", *promised, "P(best)")
    rows = [
        [
            " + ".join(row.members),
            Cell(count_label(row.parameters), row.parameters),
            *(loss(value) for value in (row.expected_loss, row.loss, row.lower, row.upper)),
            *(loss(value) for value in (row.difference, row.difference_lower, row.difference_upper)),
            number(row.probability_best, 2),
            number(row.probability_better_than_single, 2),
            loss(row.regret),
        ]
        for row in chosen.rows
    ]
    caption = (
        f"The best pools of {chosen.limits}, rule {first.rule}; losses in {first.unit}, {level}; "
        "differences below zero: the pool is better"
    )
    return page_table((*names, "P(better than single)", "regret"), rows, caption=caption)


def attained_table(found: Attainabilities) -> Html:
    """Show what rules attain.

    Parameters
    ----------
    found
        What `bayeslaw.attainability` found.

    Returns
    -------
    Html
        The table.
    """
    names = ("rule", "loss", "minus best member", "lower", "upper", "share of the oracle's gain", "lower ", "upper ")
    rows = [
        [
            rule_label(name),
            loss(each.rule_loss),
            *(loss(value) for value in (each.difference.value, each.difference.lower, each.difference.upper)),
            *(number(value, 3) for value in (each.value, each.lower, each.upper)),
        ]
        for name, each in found.of_rules.items()
    ]
    level = f"{100 * found.interval:.6g} % intervals, {found.interval_kind}"
    caption = f"Losses of rules in {found.unit}, {level}{f'; no shares: {found.reason}' if found.reason else ''}"
    return page_table(names, rows, caption=caption)
