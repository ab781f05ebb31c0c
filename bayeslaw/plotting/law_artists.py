"""What pictures of laws are made of: axes, points, curves with bands, and the legend's entries."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayeslaw.losses.sizes import count_label
from bayeslaw.plotting.law_curves import Curve
from bayeslaw.plotting.law_scene import Scene
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import GroupStyle, budget_axis, loss_axis
from bayeslaw.plotting.size_marks import draw_by_size, draw_others

BAND_OPACITY = {"new": 0.15, "mean": 0.4}
BAND_WORDS = {"mean": "where the law itself lies", "new": "where one new {row} may lie"}
SHADE = "#f2f2f4"
TOKEN_DASHES = ((0, (1.2, 1.2)), (0, (4, 1.5, 1.2, 1.5, 1.2, 1.5)), (0, (6, 1.5, 1.2, 1.5)), (0, (6, 1.5)), "solid")
TOKEN_COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0.88, 0.0, 256)))
LINE, THIN = 1.6, 0.9


def token_norm(scene: Scene) -> LogNorm:
    """From numbers of training tokens to [0, 1]."""
    assert scene.tokens is not None
    return LogNorm(float(scene.tokens.min()), float(scene.tokens.max()))


def curve_styles(scene: Scene, group: str, *, together: bool = False) -> list[GroupStyle]:
    """Styles of the curves of a group: by training tokens where the law has them, else by group on shared axes."""
    levels = [curve.training_tokens for curve in scene.curves_of(group) if curve.training_tokens is not None]
    if levels:
        colours = [to_hex(TOKEN_COLOURS(float(token_norm(scene)(level)))) for level in levels]
        return [
            GroupStyle(colour, dashes, "o")
            for colour, dashes in zip(colours, TOKEN_DASHES[-len(levels) :], strict=True)
        ]
    return [group_styles()[scene.groups.index(group) if together else 0]]


def prepare_axes(ax: Axes, scene: Scene, largest: float, *, most: tuple[int, int]) -> None:
    """Set scales, limits and ticks, and shade what lies beyond a budget.

    Parameters
    ----------
    ax
        The axes.
    scene
        The picture.
    largest
        The largest budget observed in this panel.
    most
        How many ticks the axes of budgets and of losses may have.
    """
    low, high = float(scene.budgets.min()), float(scene.budgets.max() * scene.beyond)
    air = (high / low) ** 0.02
    budget_axis(ax, low / air, high * air, most=most[0])
    loss_axis(ax, *scene.loss_range, most=most[1])
    if scene.beyond > 1:
        ax.axvspan(largest, high * air, color=palette().shade, linewidth=0, zorder=0, label="_beyond the data")


def draw_rows(ax: Axes, scene: Scene, group: str, *, together: bool = False) -> None:
    """Draw the rows of a group, by the size of pools or by training tokens, and all others in grey.

    Where groups share axes, rows are marked by their group instead.
    """
    of_group = scene.own_rows(group)
    if together:
        (style,) = curve_styles(scene, group, together=True)
        ax.scatter(
            scene.budgets[of_group],
            scene.losses[of_group],
            s=float(np.interp(of_group.sum(), (20, 2000), (18, 3))),
            marker=style.marker,
            color=style.colour,
            alpha=float(np.interp(of_group.sum(), (20, 2000), (0.9, 0.3))),
            linewidths=0,
            rasterized=bool(of_group.sum() > 500),
            zorder=1.5,
            label="_points",
        )
        return
    draw_others(ax, scene.budgets[~of_group], scene.losses[~of_group])
    if not of_group.any():
        return
    if scene.tokens is None:
        draw_by_size(ax, scene.budgets[of_group], scene.losses[of_group], scene.sizes[of_group], marks=scene.marks)
        return
    ax.scatter(
        scene.budgets[of_group],
        scene.losses[of_group],
        s=14,
        c=scene.tokens[of_group],
        cmap=TOKEN_COLOURS,
        norm=token_norm(scene),
        edgecolors=palette().ground,
        linewidths=0.4,
        zorder=2,
        label="_points",
    )


def draw_curve(ax: Axes, curve: Curve, style: GroupStyle, *, width: float = LINE) -> None:
    """Draw a curve with its bands; the line is thinner beyond the group's largest budget."""
    # The wider band goes first, so that the narrower one lies on it.
    for kind in (kind for kind in ("new", "mean") if kind in curve.bands):
        lower, upper = (np.maximum(end, np.finfo(float).tiny) for end in curve.bands[kind])
        ax.fill_between(
            curve.parameters,
            lower,
            upper,
            color=style.colour,
            alpha=BAND_OPACITY[kind],
            linewidth=0,
            zorder={"new": 1.6, "mean": 2.8}[kind],
            label=f"_{kind} {curve.group}",
        )
    # The ground's colour under the line keeps it apart from the band and points below.
    ax.plot(curve.parameters, curve.centre, color=palette().ground, alpha=0.75, linewidth=width + 1.2, zorder=3)
    seen = int((curve.parameters <= curve.largest * (1 + 1e-9)).sum())
    for part, name, thickness in ((slice(0, seen), "line", width), (slice(seen - 1, None), "beyond", 0.6 * width)):
        ax.plot(
            curve.parameters[part],
            curve.centre[part],
            color=style.colour,
            linestyle=style.dashes,
            linewidth=thickness,
            zorder=3.1,
            label=f"_{name} {curve.group}",
        )


def legend_handles(scene: Scene, *, together: bool = False) -> tuple[Any, ...]:
    """Entries of the legend: lines, bands in the colour they are drawn in, points, and what is grey."""
    colours, handles = palette(), []
    shown = scene.groups if together else scene.groups[:1]
    for group in shown:
        for curve, style in zip(scene.curves_of(group), curve_styles(scene, group, together=together), strict=True):
            words = "the law"
            if curve.training_tokens is not None:
                words = f"{count_label(curve.training_tokens)} training tokens"
            handles.append(curve_handle(style, scene.label(group) if together else words))
    band = colours.ink if scene.tokens is not None or together else colours.line
    for kind in [kind for kind in BAND_OPACITY if any(kind in curve.bands for curve in scene.curves)][::-1]:
        handles.append(Patch(facecolor=(band, BAND_OPACITY[kind] * 1.15), label=BAND_WORDS[kind].format(row=scene.row)))
    if scene.tokens is None:
        handles += [mark.handle for mark in scene.marks.values() if len(scene.marks) > 1 or scene.row != "pool"]
    if any(not scene.own_rows(group).all() for group in shown) and not together:
        others = Line2D([], [], color=colours.context, linestyle="none", marker="o", markersize=4)
        others.set_label(f"other {scene.row}s")
        handles.append(others)
    if scene.floors and not together:
        handles.append(
            Line2D([], [], color=colours.line, marker="|", markersize=7, linewidth=1.4, label="floor, beside the axes")
        )
    if scene.beyond > 1:
        handles.append(Patch(color=colours.shade, label="beyond the data"))
    return tuple(handles)


def curve_handle(style: GroupStyle, label: str) -> Line2D:
    """Entry of a legend for a curve."""
    return Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=LINE, label=label)
