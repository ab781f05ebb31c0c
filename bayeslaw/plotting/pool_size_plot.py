"""The picture of attainability by pool size: what pools lose, from their best member to an oracle."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.inputs.arguments import a_level, a_whole_number, accepts, optional, texts
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.plot_style import group_styles, house_style, palette
from bayeslaw.pools.losses_by_size import USUAL_SIZE, losses_by_size
from bayeslaw.pools.rules import RULES

BAND = 0.16
WIDEST = 4.2


@accepts(
    losses=loss_table,
    rules=optional(texts),
    max_size=optional(a_whole_number(lowest=2, suggested=USUAL_SIZE, words="max size {value}")),
    interval=a_level,
    figure=a_figure,
)
def plot_pool_sizes(
    losses: xr.Dataset,
    *,
    rules: Sequence[str] | None = None,
    max_size: int | None = None,
    interval: float = 0.9,
    figure: Canvas | None = None,
) -> Figure:
    """Draw what pools lose by their number of members, from the best member to the oracle, a panel a regime.

    Lines are means over pools of a size; bands hold the middle share `interval` of these pools, and are no intervals
    for the means. Below the panels stands how much of what the oracle gains over the best member each rule attains.

    Parameters
    ----------
    losses
        A loss table with losses on samples.
    rules, max_size
        As of `bayeslaw.pools.losses_by_size.losses_by_size`.
    interval
        Share of the pools of a size that bands hold.
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
    table = losses_by_size(losses, rules=rules, max_size=max_size, interval=interval)
    regimes, names = list(table["regime"].unique()), list(table["rule"].unique())
    width = width_of(figure)
    with house_style(width):
        styles = dict(zip(names, group_styles() * len(names), strict=False))
        handles = [
            Line2D([], [], color=s.colour, linestyle=s.dashes, marker=s.marker, markersize=4.5, label=_called(name))
            for name, s in styles.items()
        ]
        band = Patch(facecolor=(palette().ink, BAND * 1.2), label=f"the middle {interval:.0%} of the pools")
        told = Heading(
            "What pools lose, by their number of members", ("means over pools of a size",), (*handles, band)
        )
        columns = panels_beside(len(regimes), width)
        rows = -(-len(regimes) // columns)
        height = rows * (0.72 * min(width / columns, WIDEST) + 0.4) + 0.3
        body = body_below(figure, told, width=width, height=height)
        axes = body.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax in axes[len(regimes) :]:
            ax.set_axis_off()
        for ax, regime in zip(axes, regimes, strict=False):
            _draw_regime(ax, table[table["regime"] == regime], styles)
            ax.set_title(f"{regime} pools", fontweight="bold", fontsize="medium")
        body.supylabel(f"loss ({table['unit'].iloc[0]})", fontsize="medium")
        body.supxlabel("members", fontsize="medium")
    return root_of(body)


def _called(rule: str) -> str:
    return rule if RULES[rule].attainable else f"{rule} (not attainable)"


def _draw_regime(ax: Axes, table: pd.DataFrame, styles: dict) -> None:
    for rule, style in styles.items():
        rows = table[table["rule"] == rule].sort_values("size")
        ax.fill_between(
            rows["size"], rows["lower"], rows["upper"], color=style.colour, alpha=BAND, linewidth=0, label=f"_band {rule}"
        )
        ax.plot(
            rows["size"],
            rows["loss"],
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
    ax.annotate(
        attained_words(table),
        (1, 1),
        (-2, -2),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize="small",
        color=palette().muted,
        linespacing=1.25,
    )


def attained_words(table: pd.DataFrame) -> str:
    """Say how much of the oracle's gain over the best member the other rules attain, at the largest size.

    Parameters
    ----------
    table
        Rows of one regime of `bayeslaw.pools.losses_by_size.losses_by_size`.

    Returns
    -------
    str
        A line a rule; empty where there is no oracle, no best member, or nothing that the oracle gains.
    """
    largest = table[table["size"] == table["size"].max()].set_index("rule")
    if not {"oracle", "best"} <= set(largest.index):
        return ""
    best = float(largest["loss"]["best"])
    gain = best - float(largest["loss"]["oracle"])
    if not gain > 0:
        return ""
    shares = [
        (name, (best - float(loss)) / gain) for name, loss in largest["loss"].items() if name not in ("best", "oracle")
    ]
    size = int(np.max(table["size"]))
    lines = [f"{name}: {share:.0%} of the oracle's gain at {size} members" for name, share in shares]
    return "\n".join(lines)
