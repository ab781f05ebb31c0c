"""HTML for notebooks and pages, in which nothing from outside is markup."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bayeslaw.inputs.foreign_text import printable


class Html(str):
    """HTML that was made here; every other text is escaped where it is put into some."""

    __slots__ = ()


BREAK = Html("<br>")


def escaped(text: object) -> Html:
    """Return a text as it is shown in HTML, whatever it holds.

    Parameters
    ----------
    text
        `Html`, which stays as it is, or anything else, of which the text is taken.

    Returns
    -------
    Html
        The text, in which no character is markup and none is unseen.

    Examples
    --------
    >>> escaped("<b>llama & co</b>")
    '&lt;b&gt;llama &amp; co&lt;/b&gt;'
    """
    return text if isinstance(text, Html) else Html(html.escape(printable(str(text)), quote=True))


def element(tag: str, *parts: object, style: str = "", attributes: Mapping[str, object] | None = None) -> Html:
    """Put parts into an element.

    Parameters
    ----------
    tag
        Name of the element, a word of this package.
    *parts
        Texts, which are escaped, and `Html`.
    style
        CSS of this package.
    attributes
        Further attributes: names of this package, and values, which are escaped.

    Returns
    -------
    Html
        The element.

    Examples
    --------
    >>> element("p", "a < b")
    '<p>a &lt; b</p>'
    >>> element("p", "a", attributes={"title": 'say "b"'})
    '<p title="say &quot;b&quot;">a</p>'
    """
    given = ({"style": style} if style else {}) | dict(attributes or {})
    # What is `Html` may hold quotes of its own, which would end the value.
    within = "".join(f' {name}="{html.escape(printable(str(value)), quote=True)}"' for name, value in given.items())
    return Html(f"<{tag}{within}>{''.join(map(escaped, parts))}</{tag}>")


def joined(parts: Iterable[object]) -> Html:
    """Put parts one after the other, texts among them escaped."""
    return Html("".join(map(escaped, parts)))


def listing(items: Iterable[object]) -> Html:
    """List items with bullets; nothing where there are none."""
    each = [element("li", item) for item in items]
    return element("ul", *each) if each else Html()


def table(
    names: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", left: Iterable[str] = ()
) -> Html:
    """Make a table.

    Parameters
    ----------
    names
        Names of the columns.
    rows
        The cells of each row.
    caption
        What the table shows.
    left
        Columns of text, which begin at the left; numbers end at the right.

    Returns
    -------
    Html
        The table.

    Examples
    --------
    >>> "a&lt;b" in table(("model", "loss"), [("a<b", "2.1")], left=("model",))
    True
    """
    sides = ["text-align:left" if name in set(left) else "text-align:right" for name in names]
    head = element("tr", *(element("th", name, style=side) for name, side in zip(names, sides, strict=True)))
    body = [
        element("tr", *(element("td", cell, style=side) for cell, side in zip(row, sides, strict=True))) for row in rows
    ]
    above = [element("caption", caption, style="text-align:left")] if caption else []
    return element("table", *above, element("thead", head), element("tbody", *body))


def folded(title: str, *parts: object) -> Html:
    """Fold parts away under a title that opens them; works without a script."""
    return element("details", element("summary", title), *parts)


def frame_table(
    frame: Any, *, caption: str = "", forms: Mapping[str, Callable[[float], str]] = MappingProxyType({})
) -> Html:
    """Show a table of pandas, numbers to four digits unless a form is given for their column.

    Parameters
    ----------
    frame
        A DataFrame; its index is shown where it has a name or is no count.
    caption
        What the table shows.
    forms
        How numbers are written, by column.

    Returns
    -------
    Html
        The table.
    """
    counted = frame.index.name is None and frame.index.dtype.kind in "iu"
    columns = [frame[name] for name in frame.columns]
    names = [str(name) for name in frame.columns]
    if not counted:
        columns, names = [frame.index, *columns], [str(frame.index.name or ""), *names]
    written = [forms.get(name, cell_text) for name in names]
    rows = [
        [form(cell) if isinstance(cell, float) and cell == cell else cell_text(cell) for form, cell in cells]
        for cells in (zip(written, row, strict=True) for row in zip(*columns, strict=True))
    ]
    left = [name for name, column in zip(names, columns, strict=True) if column.dtype.kind not in "fiu"]
    return table(names, rows, caption=caption, left=left)


def cell_text(value: object) -> str:
    """Write a value for a table: numbers to four digits, nothing for what is missing, lists with commas."""
    if value is None or type(value).__name__ == "NAType" or value != value:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def answer(sentences: Iterable[object], *parts: object) -> Html:
    """Put sentences, a paragraph each, above tables and what else is shown with them."""
    return joined((*(element("p", sentence) for sentence in sentences), *parts))
