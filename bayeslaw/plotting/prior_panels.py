"""Panels of a law's numbers before and after the data."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.fitting.fits import Fit
from bayeslaw.plotting.canvas import Heading, body_below, panel_words, panels_beside, root_of
from bayeslaw.plotting.forest_plot import ForestRow
from bayeslaw.plotting.kernel_density import kernel_density
from bayeslaw.plotting.law_scene import GROUP_WORDS
from bayeslaw.plotting.palettes import palette, usual_width
from bayeslaw.plotting.plot_style import house_style

POINTS = 240
PRIOR_SHOWN, POSTERIOR_SHOWN = (0.05, 0.95), (0.0005, 0.9995)
MOST_WIDENED = 1.5
DASHES = (0, (4, 2))
PANEL = 1.05
OPACITY = 0.45


def plot_prior_posterior(fit: Fit, pairs: Sequence[tuple[ForestRow, ForestRow]], interval: float) -> Figure:
    """Draw the densities of numbers before and after the data.

    Parameters
    ----------
    fit
        The fit.
    pairs
        Each number with draws of its prior, and with those of its posterior.
    interval
        Level of the equal-tailed interval that is drawn below each density.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a number, on an axis that holds the posterior, and so much of the prior as leaves the posterior seen.
    """
    width = usual_width()
    with house_style(width):
        colours, columns = palette(), panels_beside(len(pairs), width)
        lines = -(-len(pairs) // columns)
        handles = (
            Patch(facecolor=colours.context, edgecolor=colours.faint, linestyle=DASHES, label="prior"),
            Patch(facecolor=(colours.line, OPACITY), edgecolor=colours.line, label="posterior"),
            Line2D([], [], color=colours.ink, linewidth=2, label=f"{100 * interval:g} % equal-tailed interval"),
        )
        told = Heading(
            f"Parameters of the {fit.law.name.replace('_', ' ')} law before and after the data",
            (f"floors and amplitudes in {fit.unit}; far tails of priors are cut",),
            handles,
        )
        body = body_below(None, told, width=width, height=lines * (PANEL + 0.25) + 0.1)
        axes = body.subplots(lines, columns, squeeze=False).ravel()
        for ax, (prior, posterior) in zip(axes, pairs, strict=False):
            _draw_number(ax, prior.draws, posterior.draws, interval)
            words = posterior.parameter.replace("_", " ")
            panel_words(ax, words, GROUP_WORDS.get(posterior.group, posterior.group), width / columns - 0.2)
        for ax in axes[len(pairs) :]:
            ax.set_axis_off()
    return root_of(body)


def _draw_number(ax: Axes, prior: np.ndarray, posterior: np.ndarray, interval: float) -> None:
    colours = palette()
    grid = np.linspace(*number_window(prior, posterior), POINTS)
    before, after = kernel_density(prior, grid), kernel_density(posterior, grid)
    ax.fill_between(grid, before, color=colours.context, alpha=0.7, linewidth=0, label="_prior")
    ax.plot(grid, before, color=colours.faint, linestyle=DASHES, linewidth=0.9)
    ax.fill_between(grid, after, color=colours.line, alpha=OPACITY, linewidth=0, label="_posterior")
    ax.plot(grid, after, color=colours.line, linewidth=1.2)
    ends = np.quantile(posterior, [(1 - interval) / 2, (1 + interval) / 2])
    ax.plot(ends, [0, 0], color=colours.ink, linewidth=2.6, solid_capstyle="butt", clip_on=False, label="_interval")
    ax.set_ylim(0, None)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def number_window(prior: np.ndarray, posterior: np.ndarray) -> tuple[float, float]:
    """Range that holds the posterior, and so much of the prior as leaves the posterior to be seen."""
    low, high = np.quantile(posterior, POSTERIOR_SHOWN)
    room = MOST_WIDENED * (high - low)
    below, above = np.quantile(prior, PRIOR_SHOWN)
    return float(min(low, max(below, low - room))), float(max(high, min(above, high + room)))
