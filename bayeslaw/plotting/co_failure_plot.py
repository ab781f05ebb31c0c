"""The picture of co-failure: how often all members of a pool fail, which no selection among them can repair."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bayeslaw.inputs.arguments import a_level, accepts, optional, texts
from bayeslaw.losses.statistics import sample_weights
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.weighted_means import loss_scale
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, an_axes, one_panel, root_of, width_of
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import house_style
from bayeslaw.pools.co_failures import CO_FAILURE_KIND, co_failure
from bayeslaw.pools.combinations import combine

THRESHOLDS = 60
SHARES = (0.02, 0.995)
MOST_NAMES = 4


@accepts(losses=loss_table, members=optional(texts), interval=a_level, ax=an_axes, figure=a_figure)
def plot_co_failure(
    losses: xr.Dataset,
    *,
    members: Sequence[str] | None = None,
    interval: float = 0.9,
    ax: Axes | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw how often all members of a pool lose more than a threshold, beside the best of them alone.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models; by default all of the table.
    interval
        Level of the equal-tailed interval.
    ax
        Axes to draw into.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. The lower line is what no selection among the members, and no mixture of whole samples,
        can be below.

    Raises
    ------
    InputError
        If a member is not known, or the table has one cluster.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.simulate_losses(samples=60, clusters=20, families=2, sizes=2)
    >>> figure = bl.plot_co_failure(losses)
    """
    names = [str(name) for name in losses["lm"].to_numpy()] if members is None else list(members)
    table = co_failure(losses, names, thresholds=_thresholds(losses, names), interval=interval)
    width, unit = width_of(figure, ax), str(table["unit"].iloc[0])
    with house_style(width):
        pool, best = group_styles()[:2]
        handles = (
            Line2D([], [], color=pool.colour, linestyle=pool.dashes, linewidth=1.6, label="all members fail"),
            Patch(facecolor=(pool.colour, 0.25), label=f"{interval:.0%} interval ({CO_FAILURE_KIND})"),
            Line2D(
                [], [], color=best.colour, linestyle=best.dashes, linewidth=1.6, label="the best member alone fails"
            ),
        )
        which = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} models"
        told = Heading(
            f"How often all fail: {which}",
            ("to fail is to lose more than the threshold; the best member is chosen anew at every threshold",),
            handles,
        )
        ax = one_panel(ax, figure, told, width=width, height=min(0.5 * width, 3.4))
        at = table["threshold"]
        ax.fill_between(
            at, table["lower"], table["upper"], color=pool.colour, alpha=0.2, linewidth=0, label="_interval"
        )
        ax.plot(at, table["probability"], color=pool.colour, linestyle=pool.dashes, linewidth=1.6, label="_pool")
        ax.plot(at, table["best_member"], color=best.colour, linestyle=best.dashes, linewidth=1.6, label="_best")
        _probability_axis(ax, float(table["probability"][table["probability"] > 0].min()))
        ax.set_xlim(float(at.min()), float(at.max()))
        ax.set_xlabel(f"threshold ({unit})")
        ax.set_ylabel("probability of failing")
    return root_of(ax.get_figure() or Figure())


def _thresholds(losses: xr.Dataset, names: list[str]) -> list[float]:
    """Thresholds evenly spaced over what the oracle loses on single samples, but for the tails."""
    lowest, weights = combine(losses, names, rule="oracle").to_numpy(), sample_weights(losses)
    rates = loss_scale(losses) * lowest / np.where(weights > 0, weights, 1.0)
    low, high = np.quantile(rates, SHARES)
    return np.unique(np.linspace(low, high, THRESHOLDS)).tolist()


def _probability_axis(ax: Axes, lowest: float) -> None:
    ax.set_yscale("log")
    ax.set_ylim(lowest / 1.5, 1.0)
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if lowest > 0.02 else (1.0, 3.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", color=palette().context, alpha=0.4, linewidth=0.6)
