"""What a picture tells where a pointer rests: the values of points, of hexagons of points, and of curves with bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayeslaw.plotting.size_marks import CountedCells

STRIPS = 36
"""Places along the axis of a panel at which its curves are told."""
MOST_POINTS = 600
"""Panels of more points tell none of them: titles would take more room than the picture."""
MOST_NAMES = 3
WORDS = {
    "line": "law",
    "beyond": "law",
    "mean": "interval of the law",
    "new": "interval of one new row",
    "probability": "P(pool better)",
    "median": "median",
    "advantage": "interval",
}
"""Of the curves and bands of our pictures, by the first word of their labels."""
Names = Mapping[tuple[float, float], tuple[str, ...]]


@dataclass(frozen=True)
class Strip:
    """A part of a panel from top to bottom that tells the curves there.

    Parameters
    ----------
    left, width, top, height
        In points of the picture, from its upper left.
    title
        What it tells.
    """

    left: float
    width: float
    top: float
    height: float
    title: str


@dataclass
class Hover:
    """What a picture tells, by the names that its artists have in the file.

    Parameters
    ----------
    points
        Titles of the points or hexagons of each collection.
    strips
        Strips of each panel.
    """

    points: dict[str, list[str]] = field(default_factory=dict)
    strips: dict[str, list[Strip]] = field(default_factory=dict)


def name_artists(figure: Figure, names: Names) -> Hover:
    """Give names to what tells values, before a picture is written.

    Parameters
    ----------
    figure
        The picture.
    names
        What points stand for, by where they are; several points may lie on one place.

    Returns
    -------
    Hover
        Titles of points.
    """
    hover = Hover()
    for place, ax in enumerate(figure.axes):
        ax.set_gid(_panel(place))
        for number, artist in enumerate(ax.collections):
            titles = list(_titles(ax, artist, names))
            if 0 < len(titles) <= MOST_POINTS and not artist.get_rasterized():
                name = f"points-{place}-{number}"
                artist.set_gid(name)
                hover.points[name] = titles
    return hover


def add_strips(figure: Figure, hover: Hover) -> None:
    """Add what curves and bands are, once the picture is laid out at 72 dots an inch.

    Parameters
    ----------
    figure
        The picture, after it was written.
    hover
        What is added to.
    """
    for place, ax in enumerate(figure.axes):
        if strips := list(_strips(ax, figure.bbox.height)):
            hover.strips[_panel(place)] = strips


def _panel(place: int) -> str:
    return f"panel-{place}"


def _titles(ax: Axes, artist: Any, names: Names) -> Iterator[str]:
    if isinstance(artist, CountedCells):
        yield from (f"{count:,} rows" if count > 1 else "1 row" for count in artist.counts.tolist())
    elif isinstance(artist, PathCollection):
        offsets = np.ma.getdata(artist.get_offsets())
        for x, y in offsets.tolist():
            at = f"{ax.format_xdata(x)}: {ax.format_ydata(y)}"
            whose = names.get((x, y), ())
            more = f" and {len(whose) - MOST_NAMES} more" if len(whose) > MOST_NAMES else ""
            yield f"{'; '.join(whose[:MOST_NAMES])}{more}, {at}" if whose else at


def _strips(ax: Axes, height: float) -> Iterator[Strip]:
    curves = list(_curves(ax))
    bands = [each for each in ax.collections if isinstance(each, FillBetweenPolyCollection) and _words(each)]
    if not bands and not curves:
        return
    box = ax.get_window_extent()
    edges = np.linspace(box.x0, box.x1, STRIPS + 1)
    middles = ax.transData.inverted().transform(
        np.column_stack([(edges[1:] + edges[:-1]) / 2, np.full(STRIPS, box.y0)])
    )
    for left, right, x in zip(edges[:-1], edges[1:], middles[:, 0].tolist(), strict=True):
        told = [*_at_curves(ax, curves, x), *_at_bands(ax, bands, x)]
        if told:
            title = f"{ax.format_xdata(x)}: {'; '.join(dict.fromkeys(told))}"
            yield Strip(float(left), float(right - left), float(height - box.y1), float(box.height), title)


def _curves(ax: Axes) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for line in ax.lines:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        if told := _words(line):
            yield told, x, y


def _words(artist: Line2D | FillBetweenPolyCollection) -> str:
    """Say what a curve or band of ours is; nothing for other artists."""
    return WORDS.get(str(artist.get_label()).removeprefix("_").split(" ")[0], "")


def _at_curves(ax: Axes, curves: list[tuple[str, np.ndarray, np.ndarray]], x: float) -> Iterator[str]:
    for words, along, values in curves:
        if len(along) > 1 and along[0] <= x <= along[-1] and not np.isnan(y := float(np.interp(x, along, values))):
            yield f"{words} {ax.format_ydata(y)}"


def _at_bands(ax: Axes, bands: list[FillBetweenPolyCollection], x: float) -> Iterator[str]:
    for band in bands:
        ends = np.concatenate([_crossings(np.asarray(path.vertices), x) for path in band.get_paths()])
        if len(ends) > 1:
            yield f"{_words(band)} {ax.format_ydata(ends.min())} to {ax.format_ydata(ends.max())}"


def _crossings(corners: np.ndarray, x: float) -> np.ndarray:
    """Where the edge of a band passes a place along the axis."""
    (x0, y0), (x1, y1) = corners[:-1].T, corners[1:].T
    passes = ((x0 <= x) & (x < x1)) | ((x1 <= x) & (x < x0))
    x0, x1, y0, y1 = (each[passes] for each in (x0, x1, y0, y1))
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
