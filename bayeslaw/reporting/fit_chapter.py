"""What a page says of a fit: question, answer, data, law, bands, decision, trust and provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import pandas as pd
from matplotlib.figure import Figure

from bayeslaw.decision.crossovers import Crossovers
from bayeslaw.diagnosis.checks import without_claims
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.laws.results import Claim
from bayeslaw.losses.loss_text import loss_form
from bayeslaw.markup import Html, element, folded, listing
from bayeslaw.plotting.claims_plot import draw_claims
from bayeslaw.plotting.forest_plot import plot_forest
from bayeslaw.plotting.law_plot import plot_law
from bayeslaw.plotting.predicted_plot import plot_predicted
from bayeslaw.plotting.when_plot import draw_when
from bayeslaw.reporting.fewer_draws import fewer_draws
from bayeslaw.reporting.inline_pictures import picture
from bayeslaw.reporting.observed_rows import (
    covariate,
    each_row,
    loss,
    names_by_place,
    rows_by_group,
    samples_words,
)
from bayeslaw.reporting.page_bands import band_sentences, bands, bands_table
from bayeslaw.reporting.page_document import Chapter
from bayeslaw.reporting.page_parts import Section, findings_list, number, page_table, paragraphs, parameter_numbers
from bayeslaw.reporting.page_provenance import fit_facts, page_facts, provenance
from bayeslaw.reporting.picture_hover import Names
from bayeslaw.reporting.quick_crossovers import ON_A_PAGE, quick_crossovers
from bayeslaw.reporting.summaries import Summary, summary
from bayeslaw.reporting.summary_text import ALL, CLAIMS, stated, told_claims, verdict

POOL_QUESTION = (
    "When does a pool of language models lose less than one model of as many parameters, and how sure can we be?"
)
MOST_SENTENCES = 6
DRAWS_OF_ROWS = 500
"""Draws by which rows are predicted, of which there may be thousands."""
ENDS, ADVANTAGE = ("median", "lower", "upper"), ("advantage", "lower", "upper")


@dataclass(frozen=True)
class Asked:
    """How a page is made.

    Parameters
    ----------
    interval
        Level of the equal-tailed intervals.
    seed
        Seed of the draws of predictions and of bootstraps.
    command
        The command line; empty in Python.
    """

    interval: float
    seed: int
    command: str


@dataclass(frozen=True)
class FitReport:
    """A fit with what its part of a page says, each worked out once.

    Parameters
    ----------
    fit
        The fit.
    path
        Its file, if it was read from one.
    name
        What its pictures are named after, a word of this package.
    asked
        How the page is made.
    known
        Its summary, where that was worked out before.
    """

    fit: Fit
    path: str | PathLike[str] | None
    name: str
    asked: Asked
    known: Summary | None = None

    @cached_property
    def found(self) -> Summary:
        """Summary of the fit."""
        return self.known or summary(self.fit, interval=self.asked.interval)

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """Bands."""
        return bands(self.fit, interval=self.asked.interval, seed=self.asked.seed)

    @property
    def title(self) -> str:
        """What was fitted to what."""
        law = self.found.law.replace("_", " ").capitalize()
        source = str(self.fit.tree.attrs.get("source", ""))
        return f"{law} law of {self.found.rows:,} {self.found.rows_are}{f' of {source}' if source else ''}"

    def drawn(self, draw: Callable[[], Figure], what: str, describe: str, names: Names | None = None) -> Html:
        """Draw a picture, or say why there is none."""
        try:
            return picture(draw, name=f"{self.name}-{what}", describe=describe, names=names)
        except InputError as error:
            return element("p", f"No picture here: {str(error).splitlines()[0]}.")

    def chapter(self) -> Chapter:
        """Put the part of the page together."""
        facts = fit_facts(self.fit, self.path), page_facts(self.asked.command, self.asked.interval, self.asked.seed)
        sections = (
            Section("question", "The question", (element("p", self.question()),)),
            Section("answer", "The answer", (element("div", *self.answer(), attributes={"class": "answer"}),)),
            Section("data", "Data", (paragraphs(samples_words(self.fit)), rows_by_group(self.fit), each_row(self.fit))),
            Section("law", "Law", tuple(self.law())),
            Section("bands", "Bands", tuple(self.bands())),
            Section("decision", "Decision", tuple(self.decision())),
            Section("trust", "Trust", tuple(self.trust())),
            provenance(*facts),
        )
        return Chapter(self.title, sections)

    def question(self) -> str:
        """Say what is asked of such a fit."""
        budgets = [name.replace("_", " ") for name in self.fit.law.covariates]
        how = (
            f"How does the loss of {self.found.rows_are} depend on {' and '.join(budgets)}, and how far can it be "
            "predicted?"
        )
        return f"{POOL_QUESTION} {how}" if self._compares else how

    @property
    def _compares(self) -> bool:
        return kind_of(self.fit.law).quick_comparison(self.fit) is not None

    @cached_property
    def crossovers(self) -> Crossovers | None:
        """When a pool pays, where the fit tells that in the time a page may take."""
        return quick_crossovers(self.fit, interval=self.asked.interval, most_losses=ON_A_PAGE)

    def answer(self) -> Iterator[Html]:
        """Say what was found, in sentences."""
        claims, _ = stated(self.found.claims)
        crossover = () if self.crossovers is None else self.crossovers.sentences
        yield paragraphs([element("strong", verdict(self.found)), *crossover])
        if claims:
            yield element("p", f"{CLAIMS}:")
            yield listing(claims)
        else:
            told = without_claims(self.fit)
            yield element("p", f"{told[0].upper()}{told[1:]}.")
        yield listing(list(band_sentences(self.fit, self.predicted))[:MOST_SENTENCES])

    def law(self) -> Iterator[Html]:
        """Tell the law and its parameters."""
        found = self.found
        yield element("p", "loss = ", element("code", found.equation), f", in {found.unit}")
        rows = [
            [each.name, ALL if each.group is None else each.group, *cells, each.unit]
            for each, cells in parameter_numbers(found.parameters)
        ]
        level = f"{100 * found.interval:.6g} % {found.interval_kind} intervals"
        names = ("parameter", found.group_is, "mean", "lower", "upper", "unit")
        yield page_table(names, rows, caption=f"Posterior means and {level}")
        describe = f"Parameters of the law with {level}."
        yield self.drawn(lambda: plot_forest(self.fit, interval=self.asked.interval), "forest", describe)
        yield folded("The law with every prior", element("pre", found.priors))

    def bands(self) -> Iterator[Html]:
        """Show the law with its bands."""
        describe = (
            f"What the law says beside what was observed, with {self._level} intervals; losses in {self.found.unit}. "
            "The table below has predictions at budgets as numbers."
        )
        names = names_by_place(self.fit) if set(self.fit.law.covariates) <= set(BUDGETS) else {}
        yield self.drawn(lambda: plot_law(self.fit, interval=self.asked.interval), "law", describe, names)
        yield bands_table(self.fit, self.predicted)

    @property
    def _level(self) -> str:
        return f"{100 * self.asked.interval:.6g} % {self.found.interval_kind}"

    def decision(self) -> Iterator[Html]:
        """Say when a pool pays, where the law answers that in seconds."""
        found = self.crossovers
        if found is None:
            yield paragraphs(
                (
                    "When a pool pays is not told here: it takes longer than a page may take. Ask bayeslaw when FIT."
                    if self._compares
                    else f"The {self.found.law.replace('_', ' ')} law does not tell when a pool pays.",
                    "Which of the models scored to take, alone or together, bayeslaw choose TABLE says.",
                )
            )
            return
        describe = (
            f"When a pool pays: the probability that it is expected to lose less, and by how much, with {self._level} "
            f"intervals in {found.unit}, along budgets."
        )
        yield self.drawn(lambda: draw_when(found, parameters=self.fit.parameters_kind), "when", describe)
        yield from when_tables(found)

    def trust(self) -> Iterator[Html]:
        """Say how far to trust the fit."""
        found = self.found
        yield paragraphs([element("strong", verdict(found)), *found.trust])
        yield findings_list(found.findings, "No check found anything.")
        describe = (
            f"Observed against predicted losses, with the share of rows inside of their {self._level} intervals, "
            f"from at most about {DRAWS_OF_ROWS} draws. The "
            "rows are those fitted: their coverage shows that bands fit, and nothing of how they extrapolate."
        )
        fewer = fewer_draws(self.fit, DRAWS_OF_ROWS)
        yield self.drawn(lambda: plot_predicted(fewer, interval=self.asked.interval), "predicted", describe)
        if found.claims:
            told = [Claim(**claim) for claim in told_claims(found.claims)]
            describe = "What the claims compare, before the data and after them."
            yield self.drawn(lambda: draw_claims(self.fit, told), "claims", describe)


def when_tables(found: Crossovers) -> Iterator[Html]:
    """Show when pools pay: where they begin to, and by how much at budgets.

    Parameters
    ----------
    found
        What `bayeslaw.when` found.

    Yields
    ------
    Html
        Tables.
    """
    level = f"{100 * found.interval:.6g} % {found.interval_kind} intervals"
    crossings = [
        [row["regime"], number(row["probability_exists"], 2)]
        + [covariate(BUDGETS[0], row[name]) if row[name] == row[name] else number(None) for name in ENDS]
        for row in found.crossover.to_dict(orient="records")
    ]
    yield page_table(
        ("regime", "P(there is a crossover)", *ENDS),
        crossings,
        caption=f"Parameters from which on a pool is expected to lose less than one model of as many, where there is "
        f"such a budget; medians and {level}",
    )
    form = loss_form(found.rows[[*ADVANTAGE]].to_numpy().ravel().tolist())
    rows = [
        [
            row["regime"],
            covariate(BUDGETS[0], row["parameters"]),
            number(row["probability_better"], 2),
            *(loss(row[name], form) for name in ADVANTAGE),
            number(row["extrapolation"], 2),
        ]
        for row in found.rows.to_dict(orient="records")
    ]
    names = ("regime", "parameters", "P(pool better)", "advantage", "lower", "upper", "ranges beyond the data")
    caption = f"Advantage of the pool (rule {found.rule}) over one model in {found.unit}, medians and {level}"
    yield page_table(names, rows, caption=caption)
