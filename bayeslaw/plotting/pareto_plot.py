"""What pools cost against what they are expected to lose: the front, with its bands and probabilities."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayeslaw.decision.choice_rows import Choices
from bayeslaw.decision.limits import COSTS
from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts, an_instance
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.plot_style import (
    FAINT,
    GROUP_STYLES,
    INK,
    budget_axis,
    check_picture_file,
    house_style,
    is_picture,
    loss_axis,
    write_figure,
)

FREE = 3.0
"""How many times cheaper than the cheapest that costs something, on the axis, is what costs nothing."""
SURE = 0.5
_choices = an_instance(Choices, accepted="what bayeslaw.choose returns", fix="call choices = bl.choose(losses) first")


@accepts(choices=_choices)
def plot_pareto(choices: Choices) -> Figure:
    """Draw the Pareto front of cost against expected loss.

    Parameters
    ----------
    choices
        What `bayeslaw.choose` found.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: the best pool for at most each cost, with its interval; filled where the probability that it lies on
        the front is a half or more, the single models among them marked, and the best single model's loss as a line.

    Raises
    ------
    InputError
        If the cost of no pool is known.

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
    with house_style():
        figure = Figure(figsize=(8.4, 4.8))
        ax = figure.subplots()
        _draw_front(ax, choices)
        best = choices.rows[0]
        ax.set_xlabel(f"{COSTS[choices.cost].words} of the pool, at most")
        ax.set_ylabel(f"expected loss on new samples ({best.unit})")
        ax.set_title(f"Best pools by cost, rule {best.rule}, {choices.interval:.0%} intervals", fontweight="bold")
        ax.legend(loc="upper right")
    return figure


def _draw_front(ax: Axes, choices: Choices) -> None:
    front = choices.front
    costs, losses, lower, upper, sure = np.array(
        [(pool.cost, pool.loss, pool.lower, pool.upper, pool.probability) for pool in front]
    ).T
    style, other = GROUP_STYLES[0], GROUP_STYLES[1]
    free, costs = costs <= 0, _with_free(costs)
    low, high = costs.min() / 1.25, costs.max() * 1.6
    ends = np.append(costs, high)
    ax.stairs(upper, ends, baseline=lower, fill=True, color=style.colour, alpha=0.12, linewidth=0)
    ax.stairs(
        losses,
        ends,
        baseline=None,
        color=style.colour,
        linewidth=1.3,
        label="best pool for at most this cost (chosen and judged on different clusters)",
    )
    alone = np.array([len(pool.members) == 1 for pool in front])
    for kind, marker, name in ((alone, other.marker, "single model"), (~alone, style.marker, "pool")):
        for filled, words in ((sure >= SURE, "P(on the front) ≥ 0.5"), (sure < SURE, "P(on the front) < 0.5")):
            which = kind & filled
            if which.any():
                colour = other.colour if name == "single model" else style.colour
                ax.plot(
                    costs[which],
                    losses[which],
                    marker,
                    color=colour,
                    markerfacecolor=colour if words.endswith("≥ 0.5") else "white",
                    markersize=5.5,
                    label=f"{name}, {words}",
                )
    ax.axhline(choices.single_loss, color=FAINT, linestyle=other.dashes, linewidth=1)
    ax.annotate(
        f"best single model within the limits: {choices.single}",
        (0, choices.single_loss),
        (4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        color=INK,
    )
    budget_axis(ax, low, high)
    if free.any():
        ax.set_xticks([tick for tick in ax.get_xticks() if tick > costs[0] * FREE**0.5])
        ax.axvline(costs[0] * FREE**0.5, color=FAINT, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{COSTS[choices.cost].words} 0",
            (costs[0], 1),
            (0, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=INK,
        )
    if choices.cost == "price":
        ax.xaxis.set_major_formatter(FuncFormatter(lambda price, _: f"{price:.4g}"))
    air = 0.04 * (upper.max() - lower.min())
    loss_axis(ax, max(lower.min() - air, lower.min() / 2), upper.max() + air)


def _with_free(costs: np.ndarray) -> np.ndarray:
    """Give what costs nothing a place on a logarithmic axis, left of all that costs something."""
    some = costs[costs > 0]
    return np.where(costs > 0, costs, some.min() / FREE if len(some) else 1.0)


@accepts(choices=_choices, path=a_path)
def save_pareto(choices: Choices, path: str | os.PathLike[str]) -> None:
    """Draw the Pareto front and write it to a file; the same choices give the same bytes.

    Parameters
    ----------
    choices
        What `bayeslaw.choose` found.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.

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
    write_figure(plot_pareto(choices), path)


def check_pareto(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be written; arguments as of `bayeslaw.plotting.pictures.check_plot`."""
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)
