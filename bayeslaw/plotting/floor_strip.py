"""The strip beside a law's picture that shows its floor: the law at an infinite budget."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.plotting.law_curves import Floor
from bayeslaw.plotting.palettes import palette

WIDTH = 0.035
EDGE = 0.012


def draw_floor_strip(ax: Axes, floor: Floor, *, colour: str, place: int = 0) -> None:
    """Draw a floor with its interval to the right of the axes, on the same scale of loss.

    What lies outside the axis is cut; an arrow at its end says that the floor itself does.

    Parameters
    ----------
    ax
        The axes, their y limits set.
    floor
        The floor.
    colour
        Its colour.
    place
        How many strips there are already.
    """
    strip = ax.inset_axes((1.012 + place * (WIDTH + 0.01), 0, WIDTH, 1))
    limits = ax.get_ylim()
    low, high = np.log(limits)
    ends = np.log(np.maximum([floor.lower, floor.centre, floor.upper], np.finfo(float).tiny))
    lower, centre, upper = (ends - low) / (high - low)
    strip.set_xlim(-1, 1)
    strip.set_ylim(0, 1)
    strip.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    strip.grid(visible=False)
    for side in strip.spines.values():
        side.set_visible(False)
    strip.patch.set_facecolor(palette().shade)
    if upper > 0 and lower < 1:
        strip.vlines(0, max(lower, 0), min(upper, 1), color=colour, linewidth=1.4, label="_floor")
    marker = "v" if centre < 0 else "^" if centre > 1 else "_"
    strip.plot(
        [0],
        [float(np.clip(centre, 2 * EDGE, 1 - 2 * EDGE))],
        marker=marker,
        markersize=5,
        markeredgewidth=1.6 if marker == "_" else 0,
        color=colour,
        clip_on=False,
        label="_floor centre",
    )


def floor_digits(floors: Sequence[Floor]) -> int:
    """Decimals that give the narrowest of the intervals two significant digits."""
    narrowest = min(floor.upper - floor.lower for floor in floors)
    return min(max(1 - int(np.floor(np.log10(max(narrowest, 1e-4)))), 0), 4)


def floor_text(floor: Floor, digits: int) -> str:
    """Write a floor with its interval."""
    return f"{floor.centre:.{digits}f} [{floor.lower:.{digits}f}, {floor.upper:.{digits}f}]"
