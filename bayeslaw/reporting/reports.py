"""A fit, several fits or a table as one page that a person reads, with nothing in it from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, a_path, a_seed, a_text, accepts
from bayeslaw.inputs.input_paths import FIT_ENDINGS, check_different
from bayeslaw.losses.dataset_checks import POOLS
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.reporting.fit_chapter import Asked, FitReport
from bayeslaw.reporting.fits_beside import fits_beside
from bayeslaw.reporting.page_document import Chapter, check_page, document, write_document
from bayeslaw.reporting.pools_chapter import pools_chapter
from bayeslaw.reporting.table_chapter import TableReport

MOST_FITS = 4
LEAD = "A report of bayeslaw: the question, the answer, and what it rests on."
Reported = Fit | xr.Dataset
Given = tuple[Reported, Path | None]


def _one(name: str, value: Any) -> Given:
    path = Path(value) if isinstance(value, str | PathLike) else None
    of_fit = isinstance(value, Fit) or (path is not None and path.suffix in FIT_ENDINGS)
    return (a_fit if of_fit else any_table)(name, value), path


def check_count(count: int) -> None:
    """Refuse no fits, and more than a page has room for.

    Raises
    ------
    InputError
        If it is so.
    """
    if not 1 <= count <= MOST_FITS:
        raise InputError(f"{count} fits are given", f"one to {MOST_FITS} fits", "make a page for some of them")


def some_reported(name: str, value: Any) -> list[Given]:
    """Accept a fit or a table, or the path of either; or several fits, or paths of fits."""
    if not isinstance(value, list | tuple):
        return [_one(name, value)]
    check_count(len(value))
    check_different(each for each in value if isinstance(each, str | PathLike))
    given = [_one(f"{name}[{place}]", each) for place, each in enumerate(value)]
    if len({id(each) for each, _ in given}) < len(given):
        raise InputError(f"{name} has a fit twice", "different fits", "name each fit once")
    if len(given) > 1 and not all(isinstance(each, Fit) for each, _ in given):
        raise InputError(
            f"{name} has several entries, and not all are fits", "several fits, or one table", "make a page for each"
        )
    return given


@accepts(of=some_reported, out=a_path, interval=a_level, seed=a_seed, command=a_text)
def report(
    of: Fit | xr.Dataset | str | PathLike[str] | Sequence[Fit | str | PathLike[str]],
    out: str | PathLike[str],
    *,
    interval: float = 0.9,
    seed: int = 0,
    command: str = "",
) -> None:
    """Write a page that a person reads: the question, the answer, data, law, bands, decision, trust and provenance.

    The page is one file. It loads nothing, and its content security policy forbids it to; its pictures are SVG that
    tells values where a pointer rests; its tables sort where scripts run, and stand as they are where none do.

    Parameters
    ----------
    of
        A fit, a loss table, a table of whole models or of pools, or the path of one; or up to four fits in a list,
        which are put beside each other.
    out
        Where to, ending in ``.html``; replaced atomically, and only where it is a page that was written here.
    interval
        Level of the equal-tailed intervals.
    seed
        Seed of the draws of predictions and of bootstraps.
    command
        The command line that made the page, for its provenance; empty in Python.

    Raises
    ------
    InputError
        If a fit or table cannot be read, several entries are not all fits, the ending is another, a file that is no
        page of ours is there, or the page cannot be written.

    Examples
    --------
    With a fit of models of five families:

    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> bl.report(fit, "page.html")
    >>> Path("page.html").exists()
    True
    >>> bl.report(["power.nc", "joint.nc"], "both.html")  # doctest: +SKIP
    """
    given: Any = of
    check_page(out, inputs=[path for _, path in given])
    write_document(page_text(given, Asked(interval, seed, command)), out)


def page_text(given: Sequence[Given], asked: Asked) -> str:
    """Write a page.

    Parameters
    ----------
    given
        Fits, or one table, each with its path where it has one.
    asked
        How the page is made.

    Returns
    -------
    str
        The page.
    """
    if len(given) == 1:
        ((one, path),) = given
        of_fit = isinstance(one, Fit)
        chapter = FitReport(one, path, "fit", asked).chapter() if of_fit else _of_table(one, path, asked)
        return document(chapter.title, LEAD, [chapter])
    reports = [
        FitReport(fit, path, f"fit{place + 1}", asked)
        for place, (fit, path) in enumerate(given)
        if isinstance(fit, Fit)
    ]
    names = [_name(path, place) for place, (_, path) in enumerate(given)]
    chapters = [each.chapter() for each in reports]
    named = [Chapter(f"{name}: {each.title}", each.sections) for name, each in zip(names, chapters, strict=True)]
    return document(f"{len(given)} fits beside each other", LEAD, [fits_beside(reports, names), *named])


def _of_table(table: xr.Dataset, path: Path | None, asked: Asked) -> Chapter:
    if table.attrs.get("kind") == POOLS:
        return pools_chapter(table, path, "pools", asked)
    return TableReport(table, path, "table", asked).chapter()


def _name(path: Path | None, place: int) -> str:
    return f"fit {place + 1}" if path is None else f"{place + 1}. {path.name}"
