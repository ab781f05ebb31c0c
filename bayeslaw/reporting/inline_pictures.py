"""Pictures as part of a page: SVG without style, script or links of its own, with text as text and hover values."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.path import Path

from bayeslaw.inputs.foreign_text import printable
from bayeslaw.markup import Html, element
from bayeslaw.plotting.plot_style import FORCED, house_style
from bayeslaw.reporting.page_parts import scrolled
from bayeslaw.reporting.picture_hover import Hover, Names, Strip, add_strips, name_artists

POINTS_AN_INCH = 72
PIXELS_A_POINT = 96 / 72
TAGS = frozenset(("svg", "g", "path", "use", "defs", "clipPath", "pattern", "rect", "text", "tspan", "image", "circle"))
ATTRIBUTES = frozenset(
    (
        "d",
        "x",
        "y",
        "width",
        "height",
        "transform",
        "clip-path",
        "viewBox",
        "id",
        "href",
        "r",
        "cx",
        "cy",
        "patternUnits",
    )
)
STYLES = frozenset(
    (
        *("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray"),
        *("stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "opacity", "text-anchor"),
        *("font-size", "font-weight", "font-style", "image-rendering", "clip-rule"),
    )
)
"""Properties that matplotlib writes into style, all of which may be attributes: a page allows no style of elements."""
DECIMALS = re.compile(r"-?\d+\.\d{3,}")
CORNERED = re.compile(r"[-\d.\sMLz]*")
"""Paths of straight lines alone."""
MANY = 40
"""Corners from which on those are left out that nobody would miss."""
SIZE = re.compile(r"(?:^|\s)([\d.]+)px(?:\s|$)")
POINTED = re.compile(r"url\(#([^)]*)\)")
DRAWN = ("path", "use")


def picture(draw: Callable[[], Figure], *, name: str, describe: str, names: Names | None = None) -> Html:
    """Draw a picture for a page.

    Parameters
    ----------
    draw
        Draws it.
    name
        By which its parts are named, a word of this package that no other picture of the page has.
    describe
        What it shows, below it and for those who do not see it.
    names
        What its points stand for, by where they lie.

    Returns
    -------
    Html
        A figure with its caption. The same picture gives the same text.
    """
    with matplotlib.rc_context(FORCED | {"svg.fonttype": "none", "svg.hashsalt": name}):
        drawing = inline_svg(draw(), name=name, describe=describe, names=names or {})
    return element("figure", scrolled(drawing, f"Picture: {describe}"), element("figcaption", describe))


def inline_svg(figure: Figure, *, name: str, describe: str, names: Names) -> Html:
    """Write a figure as SVG for a page.

    Parameters
    ----------
    figure, name, describe, names
        As of `picture`; its settings are those at work.

    Returns
    -------
    Html
        The element. Of what was written only known elements and attributes are left.
    """
    figure.set_dpi(POINTS_AN_INCH)
    hover, file = name_artists(figure, names), io.StringIO()
    with house_style(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    add_strips(figure, hover)
    # Names of models may hold what no XML may; it is written out before anything reads it.
    written = file.getvalue().replace("\n", " ")
    root = ElementTree.fromstring(printable(written[written.index("<svg") :]))
    _strip_namespaces(root)
    _tell(root, hover)
    _clean(root)
    _name_parts(root, name)
    _, _, wide, high = root.attrib["viewBox"].split()
    root.attrib.update(
        {"width": f"{float(wide) * PIXELS_A_POINT:.0f}", "height": f"{float(high) * PIXELS_A_POINT:.0f}"},
        **{"role": "img", "aria-label": printable(describe), "class": "picture"},
    )
    return Html(ElementTree.tostring(root, encoding="unicode"))


def _strip_namespaces(root: ElementTree.Element) -> None:
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
        each.attrib = {key.rpartition("}")[2]: value for key, value in each.attrib.items()}
        each.tail = None
        if each.text is not None and not each.text.strip():
            each.text = None


def _tell(root: ElementTree.Element, hover: Hover) -> None:
    """Put titles into points, and strips behind what a panel shows."""
    places = {each.attrib["id"]: each for each in root.iter() if "id" in each.attrib}
    for name, titles in hover.points.items():
        drawn = _drawn_parts(places[name]) if name in places else []
        if len(drawn) != len(titles):
            # Some lie outside of the picture; which ones the file does not say.
            continue
        for part, title in zip(drawn, titles, strict=True):
            _title(part, title)
    for name, strips in hover.strips.items():
        panel = places.get(name)
        for place, strip in enumerate(strips):
            if panel is not None:
                panel.insert(place, _strip(strip))


def _drawn_parts(group: ElementTree.Element) -> list[ElementTree.Element]:
    """Return what a collection draws, without what it defines to draw with."""
    found = []
    for child in group:
        if child.tag in DRAWN:
            found.append(child)
        elif child.tag == "g":
            found += _drawn_parts(child)
    return found


def _title(part: ElementTree.Element, title: str) -> None:
    part.attrib["class"] = "hit"
    told = ElementTree.SubElement(part, "title")
    told.text = printable(title)


def _strip(strip: Strip) -> ElementTree.Element:
    measures = {"x": strip.left, "y": strip.top, "width": strip.width, "height": strip.height}
    part = ElementTree.Element("rect", {name: f"{value:.2f}" for name, value in measures.items()})
    part.attrib["fill"] = "transparent"
    _title(part, strip.title)
    return part


def _clean(root: ElementTree.Element) -> None:
    """Leave known elements and attributes, style as attributes, and numbers with two decimals."""
    for each in root.iter():
        for child in [child for child in each if child.tag not in TAGS and not _is_title(child)]:
            each.remove(child)
        given = _as_attributes(each.attrib.get("style", ""))
        kept = {key: value for key, value in each.attrib.items() if key in ATTRIBUTES or key in STYLES}
        shown = {"class": "hit"} if each.attrib.get("class") == "hit" else {}
        each.attrib = kept | given | shown
        if not each.attrib.get("href", "#").startswith(("#", "data:image/png;base64,")):
            del each.attrib["href"]
        for key in ("d", "transform", "x", "y", "stroke-dasharray", "width", "height"):
            if key in each.attrib:
                each.attrib[key] = DECIMALS.sub(_rounded, " ".join(each.attrib[key].split()))
        if "d" in each.attrib:
            each.attrib["d"] = _thinned(each.attrib["d"])


def _is_title(part: ElementTree.Element) -> bool:
    return part.tag == "title"


def _rounded(found: re.Match[str]) -> str:
    return _short(float(found[0]))


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _thinned(drawn: str) -> str:
    """Leave out corners of long paths that lie within a ninth of a point of the line without them."""
    if not CORNERED.fullmatch(drawn):
        return drawn
    parts = []
    for part in drawn.split("M")[1:]:
        corners = np.array(part.replace("L", " ").replace("z", " ").split(), dtype=float).reshape(-1, 2)
        if len(corners) > MANY:
            # The last vertex only says that the path stops.
            corners = np.asarray(Path(corners).cleaned(simplify=True).vertices)[:-1]
        line = " L ".join(f"{_short(x)} {_short(y)}" for x, y in corners.tolist())
        parts.append(f"M {line}{' z' if part.rstrip().endswith('z') else ''}")
    return " ".join(parts)


def _as_attributes(style: str) -> dict[str, str]:
    given = {}
    for entry in filter(str.strip, style.split(";")):
        name, _, value = (part.strip() for part in entry.partition(":"))
        if name == "font":
            given |= _font(value)
        elif name in STYLES:
            given[name] = value
    return given


def _font(value: str) -> dict[str, str]:
    """Read the parts of a font that pages leave to pictures: size, weight and slant."""
    size = SIZE.search(value)
    before = value[: size.start()].split() if size else []
    given = {"font-size": size[1]} if size else {}
    for part in before:
        if part == "bold" or part.isdigit():
            given["font-weight"] = part
        elif part in ("italic", "oblique"):
            given["font-style"] = part
    return given


def _name_parts(root: ElementTree.Element, name: str) -> None:
    """Name the parts that others point at after the picture, so that no two of a page share a name."""
    wanted: set[str] = set()
    for each in root.iter():
        wanted |= {target for value in each.attrib.values() for target in POINTED.findall(value)}
        if each.attrib.get("href", "").startswith("#"):
            wanted.add(each.attrib["href"][1:])
    numbers = {target: f"{name}-{place}" for place, target in enumerate(sorted(wanted))}
    for each in root.iter():
        if (own := each.attrib.pop("id", None)) in numbers:
            each.attrib["id"] = numbers[own]
        if each.attrib.get("href", "").startswith("#"):
            each.attrib["href"] = f"#{numbers[each.attrib['href'][1:]]}"
        for key, value in each.attrib.items():
            each.attrib[key] = POINTED.sub(lambda found: f"url(#{numbers[found[1]]})", value)
