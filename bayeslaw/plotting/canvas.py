"""Where pictures are drawn: into a figure or axes of the caller, or a new figure, below a heading and its legend."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import an_instance, optional
from bayeslaw.plotting.palettes import palette, usual_width

type Canvas = Figure | SubFigure
POINTS_AN_INCH = 72
LETTER = 0.53
"""Usual width of a letter in multiples of its size."""
HANDLE = 3.6
"""Width of a legend's mark with its margins, in letter sizes."""
COLUMN_SPACING = 1.4
"""Room between columns of a legend, in letter sizes."""
NARROWEST_PANEL = 1.42
MOST_COLUMNS = 4

an_axes = optional(an_instance(Axes, accepted="Axes of Matplotlib", fix="leave out ax"))
a_figure = optional(
    an_instance((Figure, SubFigure), accepted="a Figure or SubFigure of Matplotlib", fix="leave out figure")
)


@dataclass(frozen=True)
class Heading:
    """What stands above the panels of a picture.

    Parameters
    ----------
    title
        The title.
    lines
        Lines below it.
    handles
        Entries of the legend.
    """

    title: str
    lines: tuple[str, ...] = ()
    handles: tuple[Any, ...] = ()

    def laid_out(self, width: float) -> tuple[str, str, int, float]:
        """Break lines at a width in inches: the title, the lines, the columns of the legend and the height of all."""
        title, lines = (
            _wrapped(self.title, width, "medium", 1.14),
            [_wrapped(line, width, "small") for line in self.lines],
        )
        columns = _legend_columns([handle.get_label() for handle in self.handles], width)
        rows = -(-len(self.handles) // columns)
        below = "\n".join(lines)
        height = 1.35 * _inches("medium") * (title.count("\n") + 1) + 1.3 * _inches("small") * (
            (below.count("\n") + 1) * bool(below)
        )
        return title, below, columns, height + 1.36 * _inches("small") * rows + 0.08 * bool(rows) + 0.06


def _inches(size: str) -> float:
    return FontProperties(size=size).get_size_in_points() / POINTS_AN_INCH


def _wrapped(text: str, width: float, size: str, stretch: float = 1.0) -> str:
    most = max(12, int(0.97 * width / (LETTER * stretch * _inches(size))))
    return "\n".join(textwrap.wrap(text, most, break_on_hyphens=False) or [""])


def _legend_columns(labels: Sequence[str], width: float) -> int:
    if not labels:
        return 1
    size = _inches("small")
    # Columns are as wide as their longest entries; the longest of all bounds them.
    entry, between = (max(map(len, labels)) * 0.9 * LETTER + HANDLE) * size, COLUMN_SPACING * size
    return int(np.clip((width + between) / (entry + between), 1, min(5, len(labels))))


def width_of(figure: Canvas | None, ax: Axes | None = None) -> float:
    """Width in inches of a figure or axes that was given, or of a new figure."""
    given = ax if ax is not None else figure
    if given is None:
        return usual_width()
    root = given.get_figure(root=True)
    assert root is not None
    return float(given.bbox.width / root.dpi)


def panels_beside(count: int, width: float) -> int:
    """Choose how many panels stand beside each other in a width in inches, so that rows are about equally long."""
    most = int(np.clip((width - 0.45) // NARROWEST_PANEL, 1, MOST_COLUMNS))
    return -(-count // -(-count // min(most, count)))


def body_below(figure: Canvas | None, heading: Heading, *, width: float, height: float) -> SubFigure:
    """Write a heading, and return what is left below it for the panels.

    Parameters
    ----------
    figure
        The figure given, or None for a new one.
    heading
        The heading.
    width
        Width of the figure, as `width_of` gives it, in inches.
    height
        Height of the panels of a new figure, in inches.

    Returns
    -------
    matplotlib.figure.SubFigure
        What lies below the heading.
    """
    title, below, columns, above = heading.laid_out(width)
    if figure is None:
        figure = Figure(figsize=(width, height + above))
    elif isinstance(figure, Figure) and figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")
    total = figure.bbox.height / (root_of(figure).dpi)
    head, body = figure.subfigures(2, 1, squeeze=False, height_ratios=(above, max(total - above, 0.3 * total))).flat
    left, line = 0.04 / width, 1.35 * _inches("medium") * (title.count("\n") + 1) + 0.05
    head.text(left, 1 - 0.05 / above, title, va="top", fontweight="bold")
    head.text(left, 1 - line / above, below, va="top", fontsize="small", color=palette().muted, linespacing=1.15)
    if heading.handles:
        head.legend(
            handles=list(heading.handles),
            loc="lower left",
            ncols=columns,
            bbox_to_anchor=(0, 0),
            borderaxespad=0.1,
            handlelength=2.4,
            columnspacing=COLUMN_SPACING,
            labelspacing=0.3,
        )
    return body


def root_of(figure: Canvas) -> Figure:
    """Return the figure that a part of a figure belongs to."""
    root = figure.get_figure(root=True)
    assert root is not None
    return root


def one_panel(ax: Axes | None, figure: Canvas | None, heading: Heading, *, width: float, height: float) -> Axes:
    """Return the axes of a picture of one panel with its heading: those given, or new ones.

    Parameters
    ----------
    ax, figure
        Axes or figure of the caller; at most one of them.
    heading
        The heading; on axes that were given it is their title and legend.
    width, height
        As of `body_below`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    one_given(ax, figure)
    if ax is None:
        return body_below(figure, heading, width=width, height=height).subplots()
    ax.set_title(
        "\n".join(
            [
                _wrapped(heading.title, width, "medium", 1.14),
                *(_wrapped(line, width, "medium") for line in heading.lines),
            ]
        ),
        loc="left",
    )
    if heading.handles:
        ax.legend(handles=list(heading.handles), fontsize="small")
    return ax


def panel_words(ax: Axes, title: str, words: str, width: float) -> None:
    """Write the title of a panel and, smaller, what else is told of it, broken at the panel's width in inches."""
    below = _wrapped(words, width, "small") if words else ""
    lines = (below.count("\n") + 1) * bool(below)
    small = FontProperties(size="small").get_size_in_points()
    ax.set_title(
        _wrapped(title, width, "medium", 1.14), fontweight="bold", fontsize="medium", pad=4 + 1.25 * small * lines
    )
    if below:
        told = ax.annotate(
            below,
            (0, 1),
            (0, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize="small",
            color=palette().muted,
            linespacing=1.1,
        )
        # The title above it keeps its place free; words wider than their panel narrow no other.
        told.set_in_layout(False)


def axis_words(text: str, width: float) -> str:
    """Break the words of an axis at a width in inches."""
    return _wrapped(text, width, "medium")


def one_given(ax: Axes | None, figure: Canvas | None) -> None:
    """Refuse axes and a figure together.

    Raises
    ------
    InputError
        If both are given.
    """
    if ax is not None and figure is not None:
        raise InputError("both ax and figure are given", "one of them", "leave out one of them")
