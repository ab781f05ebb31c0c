"""The picture of attainability by pool size: what pools lose, from their best member to an oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.inputs.arguments import a_whole_number, accepts, optional, texts
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.plotting.canvas import (
    Canvas,
    Heading,
    a_figure,
    body_below,
    panel_words,
    panels_beside,
    root_of,
    width_of,
)
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import GroupStyle, house_style
from bayeslaw.pools.attained_gains import LEAST_SHARE
from bayeslaw.pools.losses_by_size import USUAL_SIZE, losses_by_size
from bayeslaw.pools.rules import rule_label

SHADE = 0.45
BOUNDS = ("best", "oracle")
WIDEST = 4.2


@accepts(
    losses=loss_table,
    rules=optional(texts),
    max_size=optional(a_whole_number(lowest=2, suggested=USUAL_SIZE, words="max size {value}")),
    figure=a_figure,
)
def plot_pool_sizes(
    losses: xr.Dataset,
    *,
    rules: Sequence[str] | None = None,
    max_size: int | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw what pools lose by their number of members, from the best member to the oracle, a panel a regime.

    Lines are means over pools of a size. What lies between the best member, chosen on other samples, and the oracle is
    shaded; each panel says how much of it a rule attains at the largest size.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    rules, max_size
        As of `bayeslaw.pools.losses_by_size.losses_by_size`.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into.

    Raises
    ------
    InputError
        If the table or a choice cannot be used.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.simulate_losses(samples=60, clusters=20, families=2, sizes=2)
    >>> len(bl.plot_pool_sizes(losses, max_size=2).axes)
    2
    """
    table = losses_by_size(losses, rules=rules, max_size=max_size)
    regimes, names = list(table["regime"].unique()), list(table["rule"].unique())
    width = width_of(figure)
    with house_style(width):
        styles = dict(zip(names, group_styles() * len(names), strict=False))
        handles: list[Any] = [
            Line2D([], [], color=s.colour, linestyle=s.dashes, marker=s.marker, markersize=4.5, label=rule_label(name))
            for name, s in styles.items()
        ]
        if set(BOUNDS) <= set(names):
            handles.append(Patch(facecolor=palette().context, alpha=SHADE, label="what the oracle gains"))
        told = Heading(
            "What pools lose, by their number of members", ("means over the pools of a size",), tuple(handles)
        )
        columns = panels_beside(len(regimes), width)
        rows = -(-len(regimes) // columns)
        height = rows * (0.72 * min(width / columns, WIDEST) + 0.4) + 0.3
        body = body_below(figure, told, width=width, height=height)
        axes = body.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax in axes[len(regimes) :]:
            ax.set_axis_off()
        for ax, regime in zip(axes, regimes, strict=False):
            of_regime = table.query("regime == @regime")
            _draw_regime(ax, of_regime, styles)
            panel_words(ax, f"{regime} pools", attained_words(of_regime), width / columns - 0.5)
        body.supylabel(f"loss ({table['unit'].iloc[0]})", fontsize="medium")
        body.supxlabel("members", fontsize="medium")
    return root_of(body)


def _draw_regime(ax: Axes, table: pd.DataFrame, styles: Mapping[str, GroupStyle]) -> None:
    losses = table.pivot(index="size", columns="rule", values="loss")
    if set(BOUNDS) <= set(losses):
        best, oracle = (losses[name] for name in BOUNDS)
        ax.fill_between(losses.index, oracle, best, color=palette().context, alpha=SHADE, linewidth=0, label="_gain")
    for rule, style in styles.items():
        if rule in losses:
            ax.plot(
                losses.index,
                losses[rule],
                color=style.colour,
                linestyle=style.dashes,
                marker=style.marker,
                markersize=4.5,
                linewidth=1.5,
                zorder=3,
                label=f"_{rule}",
            )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.margins(x=0.05)


def attained_words(table: pd.DataFrame) -> str:
    """Say how much of the oracle's gain over the best member the other rules attain, at the largest size.

    Parameters
    ----------
    table
        Rows of one regime of `bayeslaw.pools.losses_by_size.losses_by_size`.

    Returns
    -------
    str
        The words; no share is told where the oracle gains hardly anything.
    """
    size = int(table["size"].to_numpy().max())
    rows = table.to_dict(orient="records")
    largest = {str(row["rule"]): float(row["loss"]) for row in rows if row["size"] == size}
    if not set(BOUNDS) <= set(largest):
        return ""
    best, gain = largest["best"], largest["best"] - largest["oracle"]
    if gain < LEAST_SHARE * best:
        return f"{size} members: the oracle gains under {LEAST_SHARE:.0%} of the best member's loss"
    words = []
    for name, loss in largest.items():
        if name not in BOUNDS:
            share = (best - loss) / gain
            words.append(f"{name} attains {share:.0%} of the gain" if share > 0 else f"{name} loses more than the best")
    return f"{size} members: {', '.join(words)}" if words else ""
