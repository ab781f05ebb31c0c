"""The forest of a law's parameters: intervals side by side, a panel for each unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, axis_words, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.law_scene import GROUP_WORDS
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import house_style

ROW, BETWEEN = 0.2, 0.45
"""Height of a row in inches, and room between parameters in rows."""
NO_UNIT = "no unit"
OF_EQUATION = "in the terms of the law's equation"
MOST_LABEL = 22


@dataclass(frozen=True)
class ForestRow:
    """One interval of the forest: a parameter, of one group where these differ, and its draws, [draw]."""

    parameter: str
    group: str
    draws: np.ndarray


@accepts(fit=a_fit, interval=a_level, figure=a_figure)
def plot_forest(fit: Fit, *, interval: float = 0.9, figure: Canvas | None = None) -> Figure:
    """Draw the parameters of a law with their intervals, those of one unit in one panel.

    Parameters
    ----------
    fit
        A fitted law.
    interval
        Level of the equal-tailed intervals; the thick part holds half of it.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> bl.plot_forest(fit).savefig("forest.png")
    """
    panels = rows_by_unit(fit)
    groups = list(dict.fromkeys(row.group for row in chain.from_iterable(panels.values()) if row.group))
    width = width_of(figure)
    with house_style(width):
        styles = group_styles()
        style_of = {group: styles[place] for place, group in enumerate(groups)} if len(groups) <= len(styles) else {}
        handles = [
            Line2D([], [], color=s.colour, marker=s.marker, markersize=4.5, label=GROUP_WORDS.get(group, group))
            for group, s in style_of.items()
        ]
        told = Heading(
            f"Parameters of the {fit.law.name.replace('_', ' ')} law",
            (f"medians; {100 * interval:g} % equal-tailed intervals, thick {50 * interval:g} %",),
            tuple(handles),
        )
        columns = min(panels_beside(len(panels), width), 3 if width > 6 else 1)
        lines = [list(panels)[start : start + columns] for start in range(0, len(panels), columns)]
        heights = [max(_height(panels[unit]) for unit in line) + 0.55 for line in lines]
        body = body_below(figure, told, width=width, height=sum(heights))
        axes = body.subplots(len(lines), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
        for row_of_axes, line in zip(axes, lines, strict=True):
            for ax, unit in zip(row_of_axes, line, strict=False):
                named = not style_of
                _draw_panel(ax, panels[unit], style_of, interval, named=named)
                ax.set_xlabel(axis_words(unit, width / columns - 1.0))
            for ax in row_of_axes[len(line) :]:
                ax.set_axis_off()
    return root_of(body)


def rows_by_unit(fit: Fit, group: str = "posterior") -> Mapping[str, list[ForestRow]]:
    """Put the parameters of a law in order by their unit.

    Parameters
    ----------
    fit
        A fitted law.
    group
        Which draws: ``"posterior"`` or ``"prior"``.

    Returns
    -------
    dict
        Rows by unit: floors and amplitudes in the unit of the loss, exponents without one, and what else a law has.
    """
    law, values = fit.law, fit.values(group)
    exponents = set(chain.from_iterable(law.exponents.values()))
    found: dict[str, list[ForestRow]] = {f"loss ({fit.unit})": [], f"exponents ({NO_UNIT})": [], OF_EQUATION: []}
    in_loss, without, others = found
    for parameter in fit.model.parameters:
        unit = in_loss if parameter.name in (law.asymptote, *law.amplitudes) else others
        unit = without if parameter.name in exponents else unit
        draws = values[parameter.name]
        columns = draws.reshape(len(draws), -1).T
        names: Sequence[str] = fit.model.groups if len(columns) == len(fit.model.groups) and draws.ndim > 1 else ()
        for place, column in enumerate(columns):
            label = names[place] if names else f"{place + 1}" if len(columns) > 1 else ""
            found[unit].append(ForestRow(parameter.name, label, column))
    return {unit: rows for unit, rows in found.items() if rows}


def _height(rows: Sequence[ForestRow]) -> float:
    return ROW * (len(rows) + BETWEEN * len({row.parameter for row in rows}))


def _draw_panel(ax: Axes, rows: Sequence[ForestRow], style_of: Mapping, interval: float, *, named: bool) -> None:
    plain, place, ticks, labels = group_styles()[0], 0.0, [], []
    for number, row in enumerate(rows):
        if number and row.parameter != rows[number - 1].parameter:
            place += BETWEEN
        style = style_of.get(row.group, plain)
        tails = [(1 - interval) / 2, (1 - interval / 2) / 2, 0.5, (1 + interval / 2) / 2, (1 + interval) / 2]
        low, inner_low, middle, inner_high, high = np.quantile(row.draws, tails)
        name = f"{row.parameter} {row.group}".strip()
        ax.plot([low, high], [place, place], color=style.colour, linewidth=1, label=f"_{name}")
        ax.plot([inner_low, inner_high], [place, place], color=style.colour, linewidth=2.6, solid_capstyle="butt")
        ax.plot([middle], [place], style.marker, color=style.colour, markersize=4.2, markeredgecolor=palette().ground)
        of_parameter = [each for each, other in enumerate(rows) if other.parameter == row.parameter]
        if named or number == of_parameter[0]:
            # One name for all groups stands in their middle.
            ticks.append(place if named else place + (len(of_parameter) - 1) / 2)
            labels.append(_called(row, named=named))
        place += 1
    ax.set_yticks(ticks, labels)
    ax.set_ylim(place - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=palette().context, alpha=0.4, linewidth=0.6)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def _called(row: ForestRow, *, named: bool) -> str:
    words = row.parameter.replace("_", " ")
    if named and row.group:
        words = f"{words}, {row.group}"
    return words if len(words) <= MOST_LABEL else words[: MOST_LABEL - 1] + "…"
