"""Panels of what was observed against what was predicted, with the share of intervals that hold it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayeslaw.plotting.canvas import panel_words, width_of
from bayeslaw.plotting.law_scene import GROUP_WORDS
from bayeslaw.plotting.palettes import group_styles, palette

MOST_BARS = 250
"""Up to how many rows of a panel have a bar each for their interval."""


def predicted_handles(groups: Sequence[str]) -> tuple[Any, ...]:
    """Entries of the legend: groups, the interval of a prediction and where observed is predicted."""
    colours, styles = palette(), _styles(groups)
    handles: list[Any] = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=style.marker,
            color=style.colour,
            markersize=4.5,
            label=GROUP_WORDS.get(group, group or "all rows"),
        )
        for group, style in styles.items()
    ]
    bar = Line2D([], [], color=colours.faint, linewidth=1, label="interval of the prediction")
    line = Line2D([], [], color=colours.ink, linewidth=0.9, linestyle=(0, (4, 2)), label="observed as predicted")
    return (*handles, bar, line)


def _styles(groups: Sequence[str]) -> dict[str, Any]:
    styles = group_styles()
    return {group: styles[place % len(styles)] for place, group in enumerate(groups)}


def draw_predicted(
    body: SubFigure, panels: Sequence[tuple[str, pd.DataFrame]], groups: Sequence[str], *, columns: int, unit: str
) -> None:
    """Draw observed against predicted losses.

    Parameters
    ----------
    body
        Where to.
    panels
        Title and rows of each panel: ``group`` or ``regime``, ``observed``, ``median``, ``lower``, ``upper``.
    groups
        Groups in the order of their styles.
    columns
        How many panels stand beside each other.
    unit
        Unit of the losses.
    """
    wide = width_of(body) / columns - 0.4
    axes = body.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
    for index, ax in enumerate(axes):
        if index < len(panels):
            _draw_panel(ax, *panels[index], _styles(groups), wide)
        else:
            ax.set_axis_off()
    words = f"predicted loss ({unit})", f"observed loss ({unit})"
    if len(panels) == 1:
        axes[0].set_anchor("W")
        axes[0].set_xlabel(words[0])
        axes[0].set_ylabel(words[1])
        return
    body.supxlabel(words[0], fontsize="medium")
    body.supylabel(words[1], fontsize="medium")


def coverage(rows: pd.DataFrame) -> tuple[int, int]:
    """Count the rows inside of their intervals, and all rows."""
    observed, lower, upper = (rows[name].to_numpy() for name in ("observed", "lower", "upper"))
    return int(((observed >= lower) & (observed <= upper)).sum()), len(rows)


def _draw_panel(ax: Axes, title: str, rows: pd.DataFrame, styles: dict[str, Any], width: float) -> None:
    colours, column = palette(), "regime" if "regime" in rows else "group"
    ends = rows[["observed", "median"]].to_numpy()
    low, high = float(ends.min()), float(ends.max())
    air = 0.05 * (high - low or abs(high) or 1.0)
    limits = (low - air, high + air)
    bars = len(rows) <= MOST_BARS
    share = float(np.interp(len(rows), (30, 1500), (1.0, 0.3)))
    for group, style in styles.items():
        of_group = rows[rows[column] == group]
        if bars:
            ax.hlines(
                of_group["observed"],
                of_group["lower"],
                of_group["upper"],
                color=style.colour,
                alpha=0.35,
                linewidth=0.7,
                zorder=2,
                label=f"_interval {group}",
            )
        ax.scatter(
            of_group["median"],
            of_group["observed"],
            s=16 * share,
            marker=style.marker,
            color=style.colour,
            linewidths=0,
            alpha=0.5 + 0.5 * share,
            zorder=2.5,
            rasterized=len(rows) > 500,
            label=f"_points {group}",
        )
    if not bars:
        _draw_band(ax, rows)
    ax.plot(limits, limits, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3, label="_identity")
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4 if width > 1.6 else 3, steps=[1, 2, 2.5, 5, 10]))
    inside, all_rows = coverage(rows)
    panel_words(ax, title, f"{inside:,} of {all_rows:,} inside ({inside / all_rows:.0%})", width)


def _draw_band(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the usual interval where there are too many for a bar each: its median width along the predictions."""
    ordered = rows.sort_values("median")
    parts = [part for part in np.array_split(np.arange(len(ordered)), 12) if len(part)]
    middle = [float(ordered["median"].iloc[part].median()) for part in parts]
    below = [float((ordered["lower"] - ordered["median"]).iloc[part].median()) for part in parts]
    above = [float((ordered["upper"] - ordered["median"]).iloc[part].median()) for part in parts]
    # The outer bins reach to the ends.
    middle[0], middle[-1] = float(ordered["median"].iloc[0]), float(ordered["median"].iloc[-1])
    ax.fill_between(
        middle,
        np.array(middle) + below,
        np.array(middle) + above,
        color=palette().context,
        alpha=0.6,
        linewidth=0,
        zorder=1,
        label="_interval",
    )
