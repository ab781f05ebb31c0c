"""A page as one file: what may run in it, its style and script inside, and the mark by which it is ours."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path

from bayeslaw.errors import InputError
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.markup import Html, element, joined
from bayeslaw.reporting.page_parts import Section, section_html
from bayeslaw.storage import atomic_file

ENDING = ".html"
GENERATOR = "bayeslaw"
MARK = f'<meta name="generator" content="{GENERATOR} '
BEGINNING = 4096
"""Bytes from the start of a page in which its mark stands."""


@dataclass(frozen=True)
class Chapter:
    """What a page says of one fit or table.

    Parameters
    ----------
    title
        What it is about.
    sections
        Its parts.
    """

    title: str
    sections: tuple[Section, ...]


def document(title: str, lead: str, chapters: Sequence[Chapter]) -> str:
    """Write a page.

    Parameters
    ----------
    title
        Its title.
    lead
        What it is, in a sentence.
    chapters
        What it says; of several each has a heading.

    Returns
    -------
    str
        The page, which asks for nothing from elsewhere: its policy forbids all but its own style and script, which it
        names by their hashes, and pictures inside of it.
    """
    style, script = (files("bayeslaw.reporting").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    head = element(
        "head",
        _void("meta", charset="utf-8"),
        _void("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        _void("meta", name="generator", content=f"{GENERATOR} {version('bayeslaw')}"),
        _void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Browsers ask for an icon where a page names none.
        _void("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the answer", attributes={"href": "#content", "class": "skip"}),
        element("header", element("h1", title), element("p", lead)),
        _contents(chapters),
        element("main", _chapters(chapters), attributes={"id": "content"}),
        element(
            "footer",
            element("p", f"Made by bayeslaw {version('bayeslaw')}. Nothing in this page is loaded from elsewhere."),
        ),
        element("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, attributes={'lang': 'en'})}\n"


def policy(style: str, script: str) -> str:
    """Write what a page allows: nothing but this style, this script and pictures inside of it.

    Parameters
    ----------
    style, script
        The texts between their tags.

    Returns
    -------
    str
        A content security policy.
    """
    allowed = {
        "default-src": "'none'",
        "style-src": f"'{_hash(style)}'",
        "script-src": f"'{_hash(script)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _void(tag: str, **attributes: str) -> Html:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return Html(str(element(tag, attributes=named)).removesuffix(f"</{tag}>"))


def _prefix(place: int, chapters: Sequence[Chapter]) -> str:
    return f"part{place + 1}-" if len(chapters) > 1 else ""


def _contents(chapters: Sequence[Chapter]) -> Html:
    lists = []
    for place, chapter in enumerate(chapters):
        prefix = _prefix(place, chapters)
        links = [
            element("li", element("a", section.title, attributes={"href": f"#{prefix}{section.name}"}))
            for section in chapter.sections
        ]
        lists.append(element("p", chapter.title) if prefix else "")
        lists.append(element("ul", *links))
    return element("nav", *lists, attributes={"aria-label": "Contents"})


def _chapters(chapters: Sequence[Chapter]) -> Html:
    told = []
    for place, chapter in enumerate(chapters):
        prefix = _prefix(place, chapters)
        level = 3 if prefix else 2
        sections = [section_html(section, prefix=prefix, level=level) for section in chapter.sections]
        if prefix:
            heading = element("h2", chapter.title, attributes={"id": f"{prefix}title"})
            sections = [
                element("article", heading, *sections, attributes={"aria-labelledby": f"{prefix}title"}),
            ]
        told += sections
    return joined(told)


def is_report(path: Path) -> bool:
    """Say whether a file is a page that was written here."""
    with path.open("rb") as stream:
        return MARK.encode() in stream.read(BEGINNING)


def check_page(path: str | PathLike[str], *, inputs: Inputs = ()) -> Path:
    """Refuse early a page that could not be written; nothing is created.

    Parameters
    ----------
    path
        Where to.
    inputs
        What the page is made of, which it may not replace.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If the path does not end in .html, a file that is no page of ours is there, or it cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() != ENDING:
        problem = f"no page can be written to {str(path)!r}, whose ending is {path.suffix or 'missing'!r}"
        raise InputError(problem, f"a file that ends in {ENDING}", "write --out page.html")
    return check_output_file(path, replaceable=is_report, inputs=inputs)


def write_document(text: str, path: str | PathLike[str]) -> None:
    """Write a page, whole or not at all.

    Parameters
    ----------
    text
        The page.
    path
        Where to.

    Raises
    ------
    InputError
        If it cannot be written, or a file that is no page of ours is there.
    """
    with atomic_file(path, replaceable=is_report) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
