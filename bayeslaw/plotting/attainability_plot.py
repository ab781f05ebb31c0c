"""What each rule gains over the best member of a pool, beside what an oracle gains."""

import math
import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts, an_instance
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, an_axes, axis_words, one_panel, root_of, width_of
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.picture_files import a_width, write_picture
from bayeslaw.plotting.plot_style import check_picture_file, house_style, is_picture
from bayeslaw.pools.attainabilities import Attainabilities
from bayeslaw.pools.attained_gains import Attainability
from bayeslaw.pools.rules import RULES, rule_label

ROW_HEIGHT, AXIS_HEIGHT = 0.34, 0.55
_found = an_instance(
    Attainabilities, accepted="what bayeslaw.attainability returns", fix="call bl.attainability(losses, members) first"
)


@accepts(found=_found, ax=an_axes, figure=a_figure)
def plot_attainability(found: Attainabilities, *, ax: Axes | None = None, figure: Canvas | None = None) -> Figure:
    """Draw what rules lose less than the best member.

    Parameters
    ----------
    found
        What `bayeslaw.attainability` found.
    ax
        Axes to draw into.
    figure
        Figure or SubFigure to draw into; by default a new one, as wide as the settings of Matplotlib say.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. One line a rule, the one that loses least on top: loss of the rule minus that of the best
        member, with its interval, as ``bayeslaw attainability`` prints it, filled where the rule is attainable; the
        share of the oracle's gain at the right, where there is one.

    Raises
    ------
    InputError
        If nothing could be compared: a single model, or a table of one cluster; or both axes and a figure are given.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> found = bl.attainability(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], rules=["oracle", "mixture"], draws=100)
    >>> len(bl.plot_attainability(found).axes) > 0
    True
    """
    compared = {name: rule for name, rule in found.of_rules.items() if name != "best"}
    rules = sorted(compared.values(), key=lambda rule: rule.difference.value)
    if not rules or any(math.isnan(rule.difference.value) for rule in rules):
        raise InputError(
            found.reason or "no rule is compared with the best member", "two members or more", "name more members"
        )
    width = width_of(figure, ax)
    with house_style(width):
        ax = one_panel(ax, figure, _heading(found, rules), width=width, height=AXIS_HEIGHT + ROW_HEIGHT * len(rules))
        for place, rule in enumerate(rules):
            _draw_rule(ax, rule, place)
        ax.axvline(0, color=palette().faint, linewidth=0.9, zorder=0.8)
        ax.set_yticks(range(len(rules)), [rule_label(rule.rule).replace(" (", "\n(") for rule in rules])
        ax.set_ylim(len(rules) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color=palette().context, alpha=0.4, linewidth=0.6)
        ax.xaxis.set_major_locator(MaxNLocator(int(np.clip(width / 1.1, 3, 7)), steps=[1, 2, 5, 10]))
        words = f"loss of the rule minus best member ({found.unit}); below 0 the rule is better"
        ax.set_xlabel(axis_words(words, width - 1.2))
    return root_of(ax.get_figure() or Figure())


def _heading(found: Attainabilities, rules: list[Attainability]) -> Heading:
    handles = [
        Line2D([], [], linewidth=1.6, label=words, **_marks(runs))
        for runs, words in ((True, "can be run"), (False, "not attainable"))
        if any(RULES[rule.rule].attainable is runs for rule in rules)
    ]
    shares = f"no shares: {found.reason}" if found.reason else "at the right: share of the oracle's gain"
    return Heading(
        f"What rules gain on {', '.join(found.members)}",
        (f"{100 * found.interval:g} % intervals ({found.interval_kind}); {shares}",),
        tuple(handles),
    )


def _marks(runs: bool) -> dict[str, Any]:
    style = group_styles()[0 if runs else 1]
    face = style.colour if runs else palette().ground
    return {"color": style.colour, "marker": style.marker, "markerfacecolor": face, "markersize": 5.5}


def _draw_rule(ax: Axes, rule: Attainability, place: int) -> None:
    found, marks = rule.difference, _marks(RULES[rule.rule].attainable)
    ax.plot(
        [found.lower, found.upper],
        [place, place],
        color=marks["color"],
        linewidth=1.6,
        solid_capstyle="butt",
        label=f"_{rule.rule}",
    )
    ax.plot([found.value], [place], linestyle="none", zorder=3, **marks)
    if not math.isnan(rule.value):
        ax.annotate(
            rule.share_text(),
            (1, place),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=palette().ink,
            annotation_clip=False,
        )


@accepts(found=_found, path=a_path, width=a_width)
def save_attainability(found: Attainabilities, path: str | os.PathLike[str], *, width: float | None = None) -> None:
    """Draw what rules gain and write it to a file; the same table gives the same bytes.

    Parameters
    ----------
    found
        What `bayeslaw.attainability` found.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.
    width
        Width in inches; by default that of the settings of Matplotlib.

    Raises
    ------
    InputError
        If the ending is not known, nothing could be compared, or the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> found = bl.attainability(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], rules=["oracle", "mixture"], draws=100)
    >>> bl.save_attainability(found, "rules.png")
    >>> Path("rules.png").exists()
    True
    """
    check_attainability(path)
    write_picture(lambda: plot_attainability(found), path, width=width)


def check_attainability(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be written; arguments as of `bayeslaw.plotting.pictures.check_plot`."""
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)
