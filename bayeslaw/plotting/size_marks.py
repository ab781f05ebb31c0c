"""Points by the size of pools: single marks where there are few, hexagons that tell how many where there are many."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import lightness

MARKERS = ("o", "s", "^", "D", "P")
LARGEST = len(MARKERS)
MANY = 300
"""From how many points on a panel shows hexagons."""
ACROSS = 28
"""Hexagons from one side of a panel to the other."""
SMALLEST = 0.6
"""Width of the hexagon of one point, as a share of the largest."""
SHADES, SHADES_ON_DARK = (0.38, 0.95), (0.8, 0.05)
"""Parts of the colour map from few members to many, towards what stands out most from the ground."""
MIDDLE = 50.0
_SHADES = colormaps["YlOrBr"]


@dataclass(frozen=True)
class SizeMark:
    """How pools of a size are marked.

    Parameters
    ----------
    label
        Words for the legend.
    colour, marker
        Colour, the further from the ground's the more members, and marker.
    """

    label: str
    colour: str
    marker: str

    @property
    def handle(self) -> Line2D:
        """Entry of a legend."""
        return Line2D([], [], linestyle="none", marker=self.marker, color=self.colour, markersize=5, label=self.label)


def size_marks(sizes: np.ndarray, *, alone: str = "1 member") -> dict[int, SizeMark]:
    """Choose marks for the sizes of pools that there are.

    Parameters
    ----------
    sizes
        Number of members of each row, [row].
    alone
        Words for rows of one member.

    Returns
    -------
    dict
        Mark by size, ascending; sizes from the fifth on share one.
    """
    found = sorted({int(size) for size in np.unique(sizes)})
    if len(found) == 1:
        return {found[0]: SizeMark(_words(found[0], alone), palette().other, MARKERS[0])}
    last = min(len(found), LARGEST) - 1
    start, end = SHADES if lightness(palette().ground) > MIDDLE else SHADES_ON_DARK
    marks = {}
    for place, size in enumerate(found):
        place = min(place, last)
        label = _words(size, alone) if len(found) <= LARGEST or place < last else f"{found[last]} members or more"
        marks[size] = SizeMark(label, to_hex(_SHADES(start + (end - start) * place / last)), MARKERS[place])
    return marks


def _words(size: int, alone: str) -> str:
    return alone if size == 1 else f"{size} members"


def draw_by_size(
    ax: Axes, x: np.ndarray, y: np.ndarray, sizes: np.ndarray, *, marks: dict[int, SizeMark], label: str = "points"
) -> None:
    """Draw rows by the size of pools on axes whose scales and limits are set.

    Parameters
    ----------
    ax
        The axes.
    x, y, sizes
        Where each row stands, and its number of members, [row].
    marks
        Marks of the sizes, as `size_marks` gives them.
    label
        By which the artists are found: ``_label`` with the size behind it.
    """
    if len(x) > MANY:
        cells = _cells(ax, x, y)
        of_cell = [int(np.median(sizes[cells.which == cell])) for cell in range(len(cells.counts))]
        # Between two sizes the median is none of them: the next lower one is.
        known = sorted(marks)
        colours = [marks[max(size for size in known if size <= max(middle, known[0]))].colour for middle in of_cell]
        _draw_cells(ax, cells, facecolors=colours, label=f"_{label}")
        return
    few = float(np.interp(len(x), (15, MANY), (1.0, 0.45)))
    for size, mark in marks.items():
        chosen = sizes == size
        if chosen.any():
            ax.scatter(
                x[chosen],
                y[chosen],
                s=24 * few,
                marker=mark.marker,
                color=mark.colour,
                edgecolors=palette().ground,
                linewidths=0.35,
                zorder=2.9,
                label=f"_{label} {size}",
            )


def crowd_words(most: int) -> str:
    """Say what hexagons are, where a panel has so many rows that it shows them; empty where none has."""
    if most <= MANY:
        return ""
    return "hexagons: many rows, the larger the more, coloured by their median number of members"


def draw_others(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw rows that a panel is not about, in grey, on axes whose scales and limits are set."""
    if len(x) > MANY:
        _draw_cells(ax, _cells(ax, x, y), facecolors=palette().context, label="_others", zorder=1.4)
    elif len(x):
        ax.scatter(x, y, s=7, color=palette().context, linewidths=0, zorder=1.4, label="_others")


class CountedCells(PolyCollection):
    """Hexagons that know how many rows lie in each, for pictures that tell it.

    Parameters
    ----------
    corners
        Corners of each hexagon, [cell][corner, 2].
    counts
        Number of rows in each, [cell].
    **style
        As of `matplotlib.collections.PolyCollection`.
    """

    def __init__(self, corners: list[np.ndarray], counts: np.ndarray, **style: Any) -> None:
        super().__init__(corners, **style)
        self.counts = counts


@dataclass(frozen=True)
class _Cells:
    """Hexagons: centres [cell, 2] and half widths [2] in shares of the axes, counts [cell], and that of each row."""

    centres: np.ndarray
    half: np.ndarray
    counts: np.ndarray
    which: np.ndarray


def _cells(ax: Axes, x: np.ndarray, y: np.ndarray) -> _Cells:
    """Bin rows into a lattice of hexagons, even in what is seen of the axes, whatever their scales."""
    to_axes = ax.transData + ax.transAxes.inverted()
    points = to_axes.transform(np.column_stack([x, y]))
    # As even as the panel's shape is known before it is laid out; rows are sqrt(3) / 2 of a width apart.
    shape = np.sqrt(ax.bbox.width / ax.bbox.height)
    across = ACROSS * np.array([shape, 1 / shape])
    place = points * across / [1.0, np.sqrt(3)]
    near, between = np.round(place), np.floor(place) + 0.5
    squares = [((place - lattice) ** 2) @ [1.0, 3.0] for lattice in (near, between)]
    cell = np.where((squares[0] <= squares[1])[:, None], near, between)
    centres, which, counts = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    return _Cells(centres / across * [1.0, np.sqrt(3)], 0.5 / across, counts, which.ravel())


def _draw_cells(ax: Axes, cells: _Cells, *, zorder: float = 2.2, **style: Any) -> None:
    radius = np.sqrt(SMALLEST**2 + (1 - SMALLEST**2) * (cells.counts - 1) / max(cells.counts.max() - 1, 1))
    corner = np.deg2rad(30 + 60 * np.arange(6))
    shape = np.column_stack([np.cos(corner), np.sin(corner)]) * 2 / np.sqrt(3)
    corners = cells.centres[:, None, :] + radius[:, None, None] * cells.half * shape
    to_data = ax.transAxes + ax.transData.inverted()
    polygons = to_data.transform(corners.reshape(-1, 2)).reshape(corners.shape)
    # Autoscaling would fit the limits to the corners.
    ax.add_collection(CountedCells(list(polygons), cells.counts, linewidths=0, zorder=zorder, **style), autolim=False)
