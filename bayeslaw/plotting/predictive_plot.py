"""The picture of prior and posterior predictive by regime or family: what the law expects, beside what was observed."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts
from bayeslaw.likelihood.responses import RESPONSES
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
from bayeslaw.plotting.kernel_density import kernel_density
from bayeslaw.plotting.law_curves import EVERYTHING, MOST_GROUPS, rows_of
from bayeslaw.plotting.law_scene import GROUP_WORDS
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import house_style

POINTS = 160
REPLICATES = 100
PRIOR_NUMBERS = 20_000
POSTERIOR_SHOWN, PRIOR_SHOWN = (0.001, 0.999), (0.1, 0.9)
MOST_WIDENED = 0.35
FEW = 8
"""Rows from which on their density is drawn."""
BAND, PRIOR = 0.35, 0.55
DASHES = (0, (4, 2))
WIDEST, HEIGHT = 4.2, 0.62


@accepts(fit=a_fit, interval=a_level, figure=a_figure)
def plot_predictive(fit: Fit, *, interval: float = 0.9, figure: Canvas | None = None) -> Figure:
    """Draw prior and posterior predictive densities of the rows of each regime or family beside what was observed.

    Parameters
    ----------
    fit
        A fitted law.
    interval
        Level of the band, point by point, that the densities of replicated tables lie in.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. The prior stands in it where the fit keeps it, cut where it is far wider than the data.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> bl.plot_predictive(fit).savefig("predictive.png")
    """
    fit = fit.with_groups(["posterior_predictive", "prior_predictive"])
    groups = fit.model.groups if 0 < len(fit.model.groups) <= MOST_GROUPS else (EVERYTHING,)
    posterior, prior = _losses(fit, "posterior_predictive"), _losses(fit, "prior_predictive")
    assert posterior is not None
    width = width_of(figure)
    with house_style(width):
        told = Heading(
            f"Losses that the {fit.law.name.replace('_', ' ')} law expects, and those observed",
            (
                f"densities of rows; {100 * interval:g} % of the replicated tables lie in the band at each loss; of "
                f"fewer than {FEW} rows the density of all replicates",
            ),
            _handles(prior is not None),
        )
        columns = panels_beside(len(groups), width)
        rows = -(-len(groups) // columns)
        height = rows * (HEIGHT * min(width / columns, WIDEST) + 0.36) + 0.3
        body = body_below(figure, told, width=width, height=height)
        axes = body.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for ax in axes[len(groups) :]:
            ax.set_axis_off()
        grid = _grid(fit.observations.loss, posterior, prior)
        for place, (ax, group) in enumerate(zip(axes, groups, strict=False)):
            of_group = rows_of(fit, group)
            of_prior = None if prior is None else prior[:, of_group]
            _draw_group(ax, fit.observations.loss[of_group], posterior[:, of_group], of_prior, grid, interval)
            panel_words(
                ax, GROUP_WORDS.get(group, group or "all rows"), f"n = {int(of_group.sum()):,}", width / columns - 0.3
            )
            ax.tick_params(labelbottom=place + columns >= len(groups))
        body.supxlabel(f"loss ({fit.unit})", fontsize="medium")
        body.supylabel("density", fontsize="medium")
    return root_of(body)


def _losses(fit: Fit, group: str) -> np.ndarray | None:
    """Replicated losses, [draw, row], of some draws; None where the fit lacks them."""
    if group not in fit.tree.children:
        return None
    drawn = fit.tree[group][fit.noise.response].to_numpy()
    drawn = drawn.reshape(-1, drawn.shape[-1])
    drawn = drawn[:: max(1, len(drawn) // REPLICATES)][:REPLICATES]
    return RESPONSES[fit.noise.response].to_loss(drawn.astype(float))


def _grid(observed: np.ndarray, posterior: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
    low, high = np.quantile(posterior, POSTERIOR_SHOWN)
    low, high = min(low, observed.min()), max(high, observed.max())
    room = MOST_WIDENED * (high - low)
    if prior is not None:
        ends = np.quantile(prior[np.isfinite(prior)], PRIOR_SHOWN)
        low, high = min(low, max(ends[0], low - room, 0.0)), max(high, min(ends[1], high + room))
    air = 0.03 * (high - low)
    return np.linspace(low - air, high + air, POINTS)


def _draw_group(
    ax: Axes, observed: np.ndarray, posterior: np.ndarray, prior: np.ndarray | None, grid: np.ndarray, interval: float
) -> None:
    colours = palette()
    if prior is not None:
        rows = prior[np.isfinite(prior)].ravel()
        density = kernel_density(rows[:: max(1, len(rows) // PRIOR_NUMBERS)], grid)
        ax.fill_between(grid, density, color=colours.context, alpha=PRIOR, linewidth=0, zorder=1, label="_prior")
        ax.plot(grid, density, color=colours.faint, linestyle=DASHES, linewidth=1, zorder=1.5)
    lower, upper = np.zeros(len(grid)), kernel_density(posterior.ravel(), grid)
    if len(observed) >= FEW:
        replicated = kernel_density(posterior, grid)
        lower, upper = np.quantile(replicated, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
        ax.plot(grid, kernel_density(observed, grid), color=colours.other, linewidth=1.5, zorder=3, label="_observed")
    ax.fill_between(grid, lower, upper, color=colours.line, alpha=BAND, linewidth=0, zorder=2, label="_posterior")
    ax.plot(
        observed,
        np.zeros(len(observed)),
        linestyle="none",
        marker="|",
        markersize=5 if len(observed) >= FEW else 14,
        markeredgewidth=0.5 if len(observed) >= FEW else 1.0,
        color=colours.other,
        alpha=float(np.interp(len(observed), (30, 1000), (0.9, 0.15))),
        rasterized=len(observed) > 500,
        clip_on=False,
        zorder=3,
        label="_rows",
    )
    ax.set_ylim(0, None)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(grid[0], grid[-1])
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _handles(with_prior: bool) -> tuple[Any, ...]:
    colours = palette()
    handles: list[Any] = [
        Line2D([], [], color=colours.other, marker="|", markersize=6, linewidth=1.5, label="observed"),
        Patch(facecolor=(colours.line, BAND * 1.1), label="posterior predictive"),
    ]
    if with_prior:
        handles.append(
            Patch(facecolor=colours.context, edgecolor=colours.faint, linestyle=DASHES, label="prior predictive")
        )
    return tuple(handles)
