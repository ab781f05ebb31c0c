"""The strip beside a law's picture that shows its floors: the law at an infinite budget."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.plotting.law_curves import Floor
from bayeslaw.plotting.plot_style import FAINT, INK, GroupStyle, spread_labels

WIDTH_PER_FLOOR = 0.022
LABEL_GAP = 0.085


def draw_floor_lines(ax: Axes, floors: Sequence[Floor], styles: Mapping[str, GroupStyle]) -> None:
    """Mark each floor by a thin line across the axes at its posterior median."""
    for floor in floors:
        ax.axhline(
            floor.centre,
            color=styles[floor.group].colour,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            zorder=1.8,
            label=f"_floor {floor.group}",
        )


def draw_floor_strip(
    ax: Axes, floors: Sequence[Floor], styles: Mapping[str, GroupStyle], labels: Mapping[str, str] | None
) -> None:
    """Draw floors with their intervals to the right of the axes, on the same scale of loss.

    Parameters
    ----------
    ax
        The axes, its y limits set.
    floors
        The floors.
    styles
        Style of each by group.
    labels
        Words for each by group, written beside; None for no words.
    """
    strip = ax.inset_axes((1.012, 0, WIDTH_PER_FLOOR * (len(floors) + 1), 1), sharey=ax)
    strip.set_xlim(-1, len(floors))
    strip.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    for side in strip.spines.values():
        side.set_visible(False)
    strip.patch.set_facecolor("#f3f3f5")
    for position, floor in enumerate(floors):
        style = styles[floor.group]
        strip.vlines(position, floor.lower, floor.upper, color=style.colour, linewidth=1.8)
        strip.plot(
            position,
            floor.centre,
            marker=style.marker,
            markersize=4.5,
            color=style.colour,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
    if labels is None:
        return
    strip.set_xlabel("floor", fontsize=8)
    digits, height = floor_digits(floors), ax.get_ylim()
    places = np.log(np.array([floor.centre for floor in floors]) / height[0]) / np.log(height[1] / height[0])
    for floor, at, place in zip(floors, places, spread_labels(places, gap=LABEL_GAP, low=0.04, high=0.96), strict=True):
        strip.annotate(
            f"{labels[floor.group]}\n{floor_text(floor, digits)}",
            (1.0, at),
            (1.35, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=INK,
            linespacing=1.15,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0},
        )


def floor_digits(floors: Sequence[Floor]) -> int:
    """Decimals that give the narrowest of the intervals two significant digits."""
    narrowest = min(floor.upper - floor.lower for floor in floors)
    return min(max(1 - int(np.floor(np.log10(max(narrowest, 1e-4)))), 0), 4)


def floor_text(floor: Floor, digits: int) -> str:
    """Write a floor with its interval."""
    return f"{floor.centre:.{digits}f} [{floor.lower:.{digits}f}, {floor.upper:.{digits}f}]"
