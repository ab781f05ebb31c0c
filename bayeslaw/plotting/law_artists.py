"""What pictures of laws are made of: axes, points, curves with bands, and the legend's entries."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayeslaw.fitting.fits import Fit
from bayeslaw.losses.sizes import count_label
from bayeslaw.plotting.law_curves import Curve, Floor, rows_of
from bayeslaw.plotting.plot_style import FAINT, GROUP_STYLES, INK, GroupStyle, budget_axis, loss_axis
from bayeslaw.prediction.targets import NEW_FAMILY

TOGETHER = len(GROUP_STYLES)
BAND_OPACITY = {"new": 0.12, "mean": 0.36}
EDGE_OPACITY = 0.55
BAND_WORDS = {"mean": "the law itself", "new": "one new {row}"}
GROUP_WORDS = {
    "single": "single models",
    "homogeneous": "homogeneous pools",
    "heterogeneous": "heterogeneous pools",
    NEW_FAMILY: "a family not seen",
}
CONTEXT = "#c4c4ca"
SHADE = "#f2f2f4"
TOKEN_DASHES = ((0, (1.2, 1.2)), (0, (4, 1.5, 1.2, 1.5, 1.2, 1.5)), (0, (6, 1.5, 1.2, 1.5)), (0, (6, 1.5)), "solid")
TOKEN_COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0.88, 0.0, 256)))
FEW, MANY = 20, 3000
LINE, THIN = 1.9, 1.3


@dataclass(frozen=True)
class Scene:
    """What all panels of one picture of a law share.

    Parameters
    ----------
    fit
        The fit.
    curves
        Its curves, group by group, within a group by training tokens.
    groups
        Groups that are drawn.
    floors
        One a group, in the order of the groups; none where the law has no floor.
    interval
        Level of the intervals.
    beyond
        Where the curves end, in multiples of the largest budget observed.
    """

    fit: Fit
    curves: tuple[Curve, ...]
    groups: tuple[str, ...]
    floors: tuple[Floor, ...]
    interval: float
    beyond: float

    @property
    def budgets(self) -> np.ndarray:
        """Budget of each row, shape ``[row]``."""
        return self.fit.observations.covariates["parameters"]

    @property
    def losses(self) -> np.ndarray:
        """Loss of each row, shape ``[row]``."""
        return self.fit.observations.loss

    @property
    def tokens(self) -> np.ndarray | None:
        """Training tokens of each row, shape ``[row]``, where the law has them."""
        return self.fit.observations.covariates.get("training_tokens")

    @property
    def row(self) -> str:
        """What a row is."""
        return "pool" if self.fit.observations.row_dimension == "pool" else "model"

    @property
    def loss_range(self) -> tuple[float, float]:
        """All that is drawn, with some air; what reaches far below all losses, lines and floors is cut."""
        ends = [end for curve in self.curves for band in curve.bands.values() for end in band]
        lines = np.concatenate(
            [self.losses, *(curve.centre for curve in self.curves), [floor.centre for floor in self.floors]]
        )
        lowest = lines[lines > 0].min()
        drawn = np.concatenate([lines, *ends, [floor.lower for floor in self.floors]])
        low = max(drawn.min(), 0.5 * lowest)
        air = (drawn.max() / low) ** 0.04
        return float(low / air), float(drawn.max() * air)

    def label(self, group: str) -> str:
        """Words for a group."""
        return GROUP_WORDS.get(group, group or f"all {self.row}s")

    def curves_of(self, group: str) -> tuple[Curve, ...]:
        """Curves of one group."""
        return tuple(curve for curve in self.curves if curve.group == group)

    def own_rows(self, group: str) -> np.ndarray:
        """Rows of a group, shape ``[row]``: none for a family not seen."""
        return rows_of(self.fit, group) & (group != NEW_FAMILY)

    @property
    def token_norm(self) -> LogNorm:
        """From numbers of training tokens to [0, 1]."""
        assert self.tokens is not None
        return LogNorm(float(self.tokens.min()), float(self.tokens.max()))

    def styles(self, group: str) -> list[GroupStyle]:
        """Styles of the curves of a group: by training tokens where the law has them, else that of the group."""
        levels = [curve.training_tokens for curve in self.curves_of(group) if curve.training_tokens is not None]
        if levels:
            colours = [to_hex(TOKEN_COLOURS(float(self.token_norm(level)))) for level in levels]
            return [
                GroupStyle(colour, dashes, "o")
                for colour, dashes in zip(colours, TOKEN_DASHES[-len(levels) :], strict=True)
            ]
        return [self.group_style(group)]

    def group_style(self, group: str) -> GroupStyle:
        """Style of a group whatever the training tokens, and of its floor."""
        if self.tokens is not None:
            return GroupStyle(INK, "solid", "o")
        return GROUP_STYLES[self.groups.index(group) if len(self.groups) <= TOGETHER else 0]


def prepare_axes(ax: Axes, scene: Scene, largest: float, *, small: bool) -> None:
    """Set scales, limits and ticks, and shade what lies beyond a budget.

    Parameters
    ----------
    ax
        The axes.
    scene
        The picture.
    largest
        The largest budget observed in this panel.
    small
        Whether the panel is a small one: fewer ticks, no note.
    """
    low, high = float(scene.budgets.min()), float(scene.budgets.max() * scene.beyond)
    air = (high / low) ** 0.02
    budget_axis(ax, low / air, high * air, most=4 if small else 8)
    loss_axis(ax, *scene.loss_range, most=6 if small else 9)
    ax.grid(axis="y", color="#ececef", linewidth=0.6)
    if scene.beyond == 1:
        return
    ax.axvspan(largest, high * air, color=SHADE, linewidth=0, zorder=0)
    ax.axvline(largest, color=FAINT, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0.5)
    if not small:
        where: Any = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
        ax.annotate("extrapolated →", (largest, 0), (4, 5), fontsize=8, color="#5f5f66", **where)


def draw_points(ax: Axes, scene: Scene, group: str) -> None:
    """Draw the rows of a group: the more there are, the smaller and lighter."""
    chosen = scene.own_rows(group)
    count = int(chosen.sum())
    if not count:
        return
    budgets, losses = scene.budgets[chosen], scene.losses[chosen]
    if scene.tokens is not None:
        ax.scatter(
            budgets,
            losses,
            s=14,
            c=scene.tokens[chosen],
            cmap=TOKEN_COLOURS,
            norm=scene.token_norm,
            edgecolors="white",
            linewidths=0.4,
            zorder=2,
            label=f"_points {group}",
        )
        return
    style, crowd = scene.group_style(group), np.log([FEW, MANY])
    size, opacity = (float(np.interp(np.log(count), crowd, ends)) for ends in ((22, 6), (0.95, 0.28)))
    ax.scatter(
        budgets,
        losses,
        s=size,
        marker=style.marker,
        color=style.colour,
        alpha=opacity,
        edgecolors="white" if count <= FEW else "none",
        linewidths=0.5,
        zorder=3.2 if count <= FEW else 2 + 1 / count,
        rasterized=count > 500,
        label=f"_points {group}",
    )


def draw_context(ax: Axes, scene: Scene, group: str) -> None:
    """Draw the rows of all other groups in light grey."""
    others = ~scene.own_rows(group)
    ax.scatter(
        scene.budgets[others],
        scene.losses[others],
        s=6,
        color=CONTEXT,
        linewidths=0,
        zorder=1.9,
        rasterized=bool(others.sum() > 500),
    )


def draw_curve(ax: Axes, curve: Curve, style: GroupStyle, *, width: float = LINE) -> None:
    """Draw a curve with its bands; the line is thinner beyond the group's largest budget."""
    # The wider band goes first, so that the narrower one lies on it.
    for kind in (kind for kind in ("new", "mean") if kind in curve.bands):
        lower, upper = (np.maximum(end, np.finfo(float).tiny) for end in curve.bands[kind])
        name = f"_{kind} {curve.group}"
        ax.fill_between(
            curve.parameters,
            lower,
            upper,
            color=style.colour,
            alpha=BAND_OPACITY[kind],
            linewidth=0,
            zorder=1,
            label=name,
        )
        for end in (lower, upper) if width > THIN else ():
            ax.plot(
                curve.parameters,
                end,
                color=style.colour,
                alpha=EDGE_OPACITY,
                linewidth=0.5,
                linestyle=style.dashes,
                zorder=1.2,
            )
    # White under the line keeps dashes apart from the band and points below.
    ax.plot(curve.parameters, curve.centre, color="white", alpha=0.75, linewidth=width + 1.3, zorder=3)
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


def legend_handles(scene: Scene, *, panels: bool) -> list[Line2D | Patch]:
    """Entries of the legend: groups or training tokens, then bands."""
    handles: list[Line2D | Patch] = []
    first = scene.groups[0]
    if scene.tokens is not None:
        for curve, style in zip(scene.curves_of(first), scene.styles(first), strict=True):
            handles.append(_line(style, f"{count_label(curve.training_tokens or 0)} training tokens"))
    elif not panels:
        for group in scene.groups:
            count = int(scene.own_rows(group).sum())
            handles.append(_line(scene.group_style(group), scene.label(group) + (f" ({count:,})" if count else "")))
    for kind in sorted({kind for curve in scene.curves for kind in curve.bands}):
        words = BAND_WORDS[kind].format(row=scene.row)
        handles.append(
            Patch(facecolor=(INK, BAND_OPACITY[kind] * 1.2), edgecolor=(INK, EDGE_OPACITY), linewidth=0.5, label=words)
        )
    if panels:
        grey: Any = {"linestyle": "none", "marker": "o", "markersize": 3}
        handles.append(Line2D([], [], color=CONTEXT, label=f"{scene.row}s of other families", **grey))
        handles.append(Patch(color=SHADE, label="extrapolated"))
    return handles


def _line(style: GroupStyle, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=style.dashes,
        marker=style.marker,
        markersize=4.5,
        linewidth=LINE,
        label=label,
    )
