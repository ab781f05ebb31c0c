"""What pools cost against what they are expected to lose: the front, with its bands and probabilities."""

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from bayeslaw.decision.choice_rows import Choices
from bayeslaw.decision.limits import COSTS
from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts, an_instance
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, an_axes, axis_words, one_panel, root_of, width_of
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.picture_files import a_width, write_picture
from bayeslaw.plotting.plot_style import budget_axis, check_picture_file, house_style, is_picture, loss_axis

FREE = 3.0
"""How many times cheaper than the cheapest that costs something, on the axis, is what costs nothing."""
SURE, BAND = 0.5, 0.14
KINDS = {"single model": 1, "pool": 0}
"""What a point of the front may be, and the place of its style."""
_choices = an_instance(Choices, accepted="what bayeslaw.choose returns", fix="call choices = bl.choose(losses) first")


@accepts(choices=_choices, ax=an_axes, figure=a_figure)
def plot_pareto(choices: Choices, *, ax: Axes | None = None, figure: Canvas | None = None) -> Figure:
    """Draw the Pareto front of cost against expected loss.

    Parameters
    ----------
    choices
        What `bayeslaw.choose` found.
    ax
        Axes to draw into.
    figure
        Figure or SubFigure to draw into; by default a new one, as wide as the settings of Matplotlib say.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into: the best pool for at most each cost, with its interval; filled where the probability that
        it lies on the front is a half or more, the single models among them marked, and the best single model's loss as
        a line.

    Raises
    ------
    InputError
        If the cost of no pool is known, or both axes and a figure are given.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> choices = bl.choose(bl.load_dataset("zoo", unit="document"), max_size=2)
    >>> len(bl.plot_pareto(choices).axes) > 0
    True
    """
    if not choices.front:
        raise InputError(
            f"the {COSTS[choices.cost].words} of no pool is known",
            "a cost that is known",
            f"add a column {choices.cost} to the table of models, or draw the front of parameters",
        )
    width = width_of(figure, ax)
    with house_style(width):
        height = float(np.clip(0.52 * width, 2.3, 4.0))
        ax = one_panel(ax, figure, _heading(choices), width=width, height=height)
        _draw_front(ax, choices, width)
        ax.set_xlabel(f"{COSTS[choices.cost].words} of the pool, at most")
        ax.set_ylabel(axis_words(f"expected loss on new samples ({choices.rows[0].unit})", height - 0.5))
    return root_of(ax.get_figure() or Figure())


def _heading(choices: Choices) -> Heading:
    colours = palette()
    handles: list[Any] = [
        Line2D([], [], color=colours.line, linewidth=1.3, label="best pool for at most this cost"),
        Patch(facecolor=(colours.line, BAND), label="interval"),
    ]
    for name, sure in dict.fromkeys((_kind(pool.members), pool.probability >= SURE) for pool in choices.front):
        handles.append(Line2D([], [], linestyle="none", label=f"{name}, {_sure_words(sure)}", **_marks(name, sure)))
    judged = "; pools are chosen and judged on different clusters" if choices.folds else ""
    return Heading(
        f"Best pools by cost, rule {choices.rows[0].rule}",
        (f"{100 * choices.interval:g} % intervals ({choices.interval_kind}){judged}",),
        tuple(handles),
    )


def _kind(members: tuple[str, ...]) -> str:
    return "single model" if len(members) == 1 else "pool"


def _sure_words(sure: bool) -> str:
    return f"P(on the front) {'≥' if sure else '<'} {SURE:g}"


def _marks(name: str, sure: bool) -> dict[str, Any]:
    style = group_styles()[KINDS[name]]
    face = style.colour if sure else palette().ground
    return {"marker": style.marker, "color": style.colour, "markerfacecolor": face, "markersize": 5}


def _draw_front(ax: Axes, choices: Choices, width: float) -> None:
    front, colours, words = choices.front, palette(), COSTS[choices.cost].words
    costs, losses, lower, upper = np.array([(pool.cost, pool.loss, pool.lower, pool.upper) for pool in front]).T
    free, costs = costs <= 0, _with_free(costs)
    low, high = costs.min() / 1.25, costs.max() * 1.6
    ends = np.append(costs, high)
    ax.stairs(upper, ends, baseline=lower, fill=True, color=colours.line, alpha=BAND, linewidth=0)
    ax.stairs(losses, ends, baseline=None, color=colours.line, linewidth=1.3)
    for cost, pool in zip(costs, front, strict=True):
        marks = _marks(_kind(pool.members), pool.probability >= SURE)
        ax.plot([cost], [pool.loss], linestyle="none", zorder=3, **marks)
    ax.axhline(choices.single_loss, color=colours.faint, linestyle=group_styles()[1].dashes, linewidth=1, zorder=0.9)
    ax.annotate(
        axis_words(f"best single model within the limits: {choices.single}", width - 0.8),
        (0, choices.single_loss),
        (4, -3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="top",
        fontsize="small",
        color=colours.ink,
    )
    budget_axis(ax, low, high, most=int(np.clip(width / 0.8, 3, 8)))
    if free.any():
        ax.set_xticks([tick for tick in ax.get_xticks() if tick > costs[0] * FREE**0.5])
        ax.axvline(costs[0] * FREE**0.5, color=colours.faint, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{words} 0",
            (costs[0], 1),
            (0, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize="small",
            color=colours.ink,
        )
    if choices.cost == "price":
        ax.xaxis.set_major_formatter(FuncFormatter(lambda price, _: f"{price:.4g}"))
    air = 0.04 * (upper.max() - lower.min())
    loss_axis(ax, max(lower.min() - air, lower.min() / 2), upper.max() + air)


def _with_free(costs: np.ndarray) -> np.ndarray:
    """Give what costs nothing a place on a logarithmic axis, left of all that costs something."""
    some = costs[costs > 0]
    return np.where(costs > 0, costs, some.min() / FREE if len(some) else 1.0)


@accepts(choices=_choices, path=a_path, width=a_width)
def save_pareto(choices: Choices, path: str | os.PathLike[str], *, width: float | None = None) -> None:
    """Draw the Pareto front and write it to a file; the same choices give the same bytes.

    Parameters
    ----------
    choices
        What `bayeslaw.choose` found.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.
    width
        Width in inches; by default that of the settings of Matplotlib.

    Raises
    ------
    InputError
        If the ending is not known, the cost of no pool is known, or the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> bl.save_pareto(bl.choose(bl.load_dataset("zoo", unit="document"), max_size=2), "front.png")
    >>> Path("front.png").exists()
    True
    """
    check_pareto(path)
    write_picture(lambda: plot_pareto(choices), path, width=width)


def check_pareto(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be written; arguments as of `bayeslaw.plotting.pictures.check_plot`."""
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)
