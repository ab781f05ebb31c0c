"""The picture of when a pool pays: how probable it is along budgets, by how much, and where it begins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayeslaw.decision.crossovers import Crossovers, some_regimes, when
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts, optional
from bayeslaw.laws.pool_advantages import RegimeAdvantage
from bayeslaw.plotting.canvas import (
    Canvas,
    Heading,
    a_figure,
    an_axes,
    axis_words,
    body_below,
    one_given,
    one_panel,
    panels_beside,
    root_of,
    width_of,
)
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import NARROW, house_style
from bayeslaw.plotting.when_panels import (
    BAND,
    advantage_range,
    draw_advantage,
    draw_probability,
    probability_axis,
    regime_name,
    set_budgets,
)

PROBABILITY_HEIGHT, ADVANTAGE_HEIGHT, WORDS_HEIGHT = 0.85, 1.45, 0.65
"""Heights of a block's panels, and of the words around them, in inches."""
WIDE_ENOUGH, LOWEST = 2.6, 0.75
"""Width in inches from which on panels have these heights, and by how much narrow ones are lower at most."""


@accepts(fit=a_fit, interval=a_level, regimes=optional(some_regimes), ax=an_axes, figure=a_figure)
def plot_when(
    fit: Fit,
    *,
    interval: float = 0.9,
    regimes: Sequence[str] | None = None,
    ax: Axes | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw when a pool is better than one model of the same total parameters.

    Two panels for each regime of pools: above, the probability that the pool is expected to lose less; below, by how
    much, with its band, and the crossover with its interval on the line of zero, unless there is hardly one. What lies
    beyond the data is shaded. The best pool of the models scored changes by steps, wherever another pool or model comes
    within the budget: it is told at readable budgets, with the steps behind.

    Parameters
    ----------
    fit
        A fit of the collaboration or the joint law.
    interval
        Level of the equal-tailed intervals.
    regimes
        As of `bayeslaw.when`; by default all.
    ax
        Axes to draw the probabilities of up to four regimes into, a line each.
    figure
        Figure or SubFigure to draw into; by default a new one, as wide as the settings of Matplotlib say.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. A new one belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the law says nothing of pools and single models, a regime is unknown, axes are given for more than four
        regimes, or both axes and a figure are.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> len(bl.plot_when(pools_fit, regimes="heterogeneous").axes)
    2
    """
    one_given(ax, figure)
    found = when(fit, interval=interval, regimes=regimes)
    return draw_when(found, parameters=fit.parameters_kind, ax=ax, figure=figure)


def draw_when(found: Crossovers, *, parameters: str, ax: Axes | None = None, figure: Canvas | None = None) -> Figure:
    """Draw when a pool pays, as `plot_when` does, from what was found.

    Parameters
    ----------
    found
        What `bayeslaw.when` found.
    parameters
        Which count of parameters the budgets are.
    ax, figure
        As in `plot_when`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    width = width_of(figure, ax)
    words = f"{parameters} parameters of the pool, and of the single model"
    with house_style(width):
        if ax is not None:
            return _draw_together(ax, found, words)
        regimes = found.advantages.regimes
        columns = panels_beside(len(regimes), width)
        blocks = [regimes[start : start + columns] for start in range(0, len(regimes), columns)]
        block = higher_by(width / columns) * (PROBABILITY_HEIGHT + ADVANTAGE_HEIGHT) + WORDS_HEIGHT
        body = body_below(figure, heading(found), width=width, height=block * len(blocks) + 0.3)
        parts = body.subfigures(len(blocks), 1, squeeze=False).ravel()
        for part, some in zip(parts, blocks, strict=True):
            _draw_block(part, found, some, columns, width)
        body.supxlabel(axis_words(words, width - 0.4), fontsize="medium")
    return root_of(body)


def heading(found: Crossovers) -> Heading:
    """Say what is drawn, and what marks stand for."""
    colours, regimes = palette(), found.advantages.regimes
    of = "expected loss" if found.kind == "mean" else "loss"
    handles: list[Any] = [
        Line2D([], [], color=colours.line, label="median"),
        Patch(facecolor=(colours.line, BAND), label="interval"),
        Line2D([], [], color=colours.other, linewidth=3, marker="|", markersize=9, label="crossover, if there is one"),
    ]
    if any(each.steps for each in regimes):
        handles.append(
            Line2D(
                [], [], color=colours.context, linewidth=1.2, label="steps, where another pool or model is affordable"
            )
        )
    if any((each.extrapolation > 0).any() for each in regimes):
        handles.append(Patch(color=colours.shade, label="beyond the data"))
    return Heading(
        f"When a pool pays: {found.rule} of its members",
        (f"{of} of the single model minus that of the pool; {100 * found.interval:g} % equal-tailed intervals",),
        tuple(handles),
    )


def higher_by(width: float) -> float:
    """Return by how much panels of a width in inches are as high as wide ones."""
    return float(np.clip(width / WIDE_ENOUGH, LOWEST, 1.0))


def _draw_block(
    part: SubFigure, found: Crossovers, regimes: Sequence[RegimeAdvantage], columns: int, width: float
) -> None:
    axes = part.subplots(
        2, columns, squeeze=False, sharey="row", gridspec_kw={"height_ratios": (PROBABILITY_HEIGHT, ADVANTAGE_HEIGHT)}
    )
    wide, shown = width / columns, found.advantages.shown
    high = ADVANTAGE_HEIGHT * higher_by(wide)
    for place, (above, below) in enumerate(axes.T):
        if place >= len(regimes):
            above.set_axis_off()
            below.set_axis_off()
            continue
        draw_probability(above, regimes[place], shown, width=wide)
        draw_advantage(below, regimes[place], shown, found.interval, width=wide)
    # All blocks share their range, by which they are compared.
    axes[1, 0].set_ylim(*advantage_range(found.advantages.regimes, shown, found.interval))
    axes[0, 0].set_ylabel("P(pool better)" if width > NARROW else "P(pool\nbetter)")
    axes[1, 0].set_ylabel(axis_words(f"advantage of the pool ({found.unit})", 1.1 * high))


def _draw_together(ax: Axes, found: Crossovers, words: str) -> Figure:
    """Draw the probabilities of all regimes into axes of the caller."""
    regimes, styles = found.advantages.regimes, group_styles()
    if len(regimes) > len(styles):
        raise InputError(
            f"one axes was given for {len(regimes)} regimes",
            f"at most {len(styles)} regimes in one axes",
            'leave out ax, or use regimes=["heterogeneous"]',
        )
    handles = tuple(
        Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=1.6, label=regime_name(regime))
        for regime, style in zip(regimes, styles, strict=False)
    )
    told = Heading(f"When a pool pays: {found.rule} of its members", (), handles)
    ax = one_panel(ax, None, told, width=width_of(None, ax), height=1.0)
    set_budgets(ax, regimes, most=6)
    probability_axis(ax)
    for regime, style in zip(regimes, styles, strict=False):
        ax.plot(
            regime.budgets,
            (regime.draws > 0).mean(axis=0),
            color=style.colour,
            linestyle=style.dashes,
            linewidth=1.6,
            drawstyle="steps-post" if regime.steps else "default",
            label=f"_probability {regime.regime}",
        )
    ax.set_xlabel(words)
    ax.set_ylabel("P(pool better)")
    return root_of(ax.get_figure() or Figure())
