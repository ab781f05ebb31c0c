"""What a page says of a table of pools, before a law is fitted to them."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html, element
from bayeslaw.plotting.diversity_plot import plot_diversity
from bayeslaw.reporting.fit_chapter import POOL_QUESTION, Asked
from bayeslaw.reporting.inline_pictures import picture
from bayeslaw.reporting.observed_rows import loss
from bayeslaw.reporting.page_document import Chapter
from bayeslaw.reporting.page_parts import Cell, Section, page_table, paragraphs
from bayeslaw.reporting.page_provenance import page_facts, provenance, table_facts

UNDECIDED = (
    "No law was fitted to these pools, and their losses by themselves do not tell when a pool pays: larger pools have "
    "more parameters. Fit them: bayeslaw fit POOLS --law collaboration --out f.nc."
)


def pools_chapter(pools: xr.Dataset, path: str | PathLike[str] | None, name: str, asked: Asked) -> Chapter:
    """Put the part of a page together that is of a table of pools.

    Parameters
    ----------
    pools
        The pools.
    path
        Where they were read from, if they were.
    name
        What pictures are named after, a word of this package.
    asked
        How the page is made.

    Returns
    -------
    Chapter
        Question, answer, data, trust and provenance.
    """
    facts = table_facts(pools, path), page_facts(asked.command, asked.interval, asked.seed)
    rule = str(pools.attrs.get("rule", "unknown"))
    sections = (
        Section("question", "The question", (element("p", POOL_QUESTION),)),
        Section("answer", "The answer", (element("div", paragraphs((UNDECIDED,)), attributes={"class": "answer"}),)),
        Section("data", "Data", tuple(_data(pools, name, rule))),
        Section("trust", "Trust", (_trust(pools, rule),)),
        provenance(*facts),
    )
    return Chapter(f"{pools.sizes['pool']:,} pools of {pools.sizes['lm']:,} models, rule {rule}", sections)


def _data(pools: xr.Dataset, name: str, rule: str) -> Iterator[Html]:
    unit = str(pools.attrs["unit"])
    regime, size = pools["regime"].to_numpy().astype(str), pools["size"].to_numpy()
    losses, parameters = pools["loss"].to_numpy(), pools["parameters"].to_numpy()

    def lines() -> Iterator[list[object]]:
        for each in dict.fromkeys(regime.tolist()):
            for members in np.unique(size[regime == each]).tolist():
                in_row = (regime == each) & (size == members)
                ends = [float(end(parameters[in_row])) for end in (np.min, np.max)]
                yield [
                    each,
                    Cell(str(members), float(members)),
                    Cell(f"{in_row.sum():,}", float(in_row.sum())),
                    *(Cell(count_label(end), end) for end in ends),
                    *(loss(part(losses[in_row])) for part in (np.min, np.median, np.max)),
                ]

    names = ("regime", "members", "pools", "fewest parameters", "most parameters")
    caption = f"Pools by regime and number of members; losses by the rule {rule}, in {unit}"
    yield page_table((*names, "lowest loss", "median loss", "highest loss"), lines(), caption=caption)
    describe = "What pools gain over their best member, by how diverse their members are."
    try:
        yield picture(lambda: plot_diversity(pools), name=f"{name}-diversity", describe=describe)
    except InputError as error:
        yield element("p", f"No picture here: {str(error).splitlines()[0]}.")


def _trust(pools: xr.Dataset, rule: str) -> Html:
    return paragraphs(
        (
            f"Losses are those of the rule {rule} on the samples of the table. Pools share models and samples, so that "
            "their errors go together; a law fitted to them allows for it.",
            "" if rule != "oracle" else "An oracle bounds what a pool can do: nobody can run one.",
        )
    )
