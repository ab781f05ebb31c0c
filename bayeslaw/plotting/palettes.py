"""Colours of pictures, and their width, after the settings of Matplotlib at work."""

from dataclasses import dataclass

import numpy as np
from matplotlib import rcParams
from matplotlib.colors import to_hex, to_rgb

from bayeslaw.plotting.plot_style import GROUP_STYLES, WIDTH, GroupStyle, is_usual


def usual_width() -> float:
    """Width of a new picture in inches: that of the caller's settings, where they say one."""
    return WIDTH if is_usual("figure.figsize") else float(rcParams["figure.figsize"][0])


def group_styles() -> tuple[GroupStyle, ...]:
    """Styles in the order of the groups, in the colours of the caller's style where it has some."""
    if is_usual("axes.prop_cycle"):
        return GROUP_STYLES
    colours = rcParams["axes.prop_cycle"].by_key().get("color", [style.colour for style in GROUP_STYLES])
    return tuple(
        GroupStyle(to_hex(colours[place % len(colours)]), style.dashes, style.marker)
        for place, style in enumerate(GROUP_STYLES)
    )


@dataclass(frozen=True)
class Palette:
    """Colours of a picture that are no group's, mixed of the letters' colour and the ground's.

    Parameters
    ----------
    ink, ground
        Colour of letters, and of the axes.
    muted, faint, context, shade
        From dark to light: smaller words, lines that guide, rows of other groups, what lies beyond the data.
    line, other
        Colours of what the picture is about, and of what it is set against.
    """

    ink: str
    ground: str
    muted: str
    faint: str
    context: str
    shade: str
    line: str
    other: str


def palette() -> Palette:
    """Return the colours of the settings at work."""
    ink, ground = np.array(to_rgb(rcParams["text.color"])), np.array(to_rgb(rcParams["axes.facecolor"]))
    mixed = [to_hex(share * ink + (1 - share) * ground) for share in (1.0, 0.0, 0.78, 0.52, 0.24, 0.055)]
    line, other = (style.colour for style in group_styles()[:2])
    return Palette(*mixed, line, other)
