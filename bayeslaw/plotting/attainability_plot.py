"""What each rule gains over the best member of a pool, beside what an oracle gains."""

import math
import os

from matplotlib.figure import Figure

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_path, accepts, an_instance
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.plot_style import (
    FAINT,
    GROUP_STYLES,
    INK,
    check_picture_file,
    house_style,
    is_picture,
    write_figure,
)
from bayeslaw.pools.attainabilities import Attainabilities
from bayeslaw.pools.rules import RULES

ROW_HEIGHT, MARGIN, WIDTH = 0.42, 1.5, 8.4
_found = an_instance(
    Attainabilities, accepted="what bayeslaw.attainability returns", fix="call bl.attainability(losses, members) first"
)


@accepts(found=_found)
def plot_attainability(found: Attainabilities) -> Figure:
    """Draw what rules gain over the best member.

    Parameters
    ----------
    found
        What `bayeslaw.attainability` found.

    Returns
    -------
    matplotlib.figure.Figure
        One line a rule, the one that gains most on top: loss of the best member minus that of the rule, with its
        interval, filled where the rule is attainable; the share of the oracle's gain at the right, where there is one.

    Raises
    ------
    InputError
        If nothing could be compared: a single model, or a table of one cluster.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> found = bl.attainability(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], rules=["oracle", "mixture"], draws=100)
    >>> len(bl.plot_attainability(found).axes) > 0
    True
    """
    compared = {name: rule for name, rule in found.of_rules.items() if name != "best"}
    rules = sorted(compared.values(), key=lambda rule: -rule.difference.value)
    if not rules or any(math.isnan(rule.difference.value) for rule in rules):
        raise InputError(
            found.reason or "no rule is compared with the best member", "two members or more", "name more members"
        )
    with house_style():
        figure = Figure(figsize=(WIDTH, MARGIN + ROW_HEIGHT * len(rules)))
        ax = figure.subplots()
        for place, rule in enumerate(rules):
            runs = RULES[rule.rule].attainable
            style = GROUP_STYLES[0 if runs else 1]
            ends = [-rule.difference.upper, -rule.difference.lower]
            ax.plot(ends, [place, place], color=style.colour, linewidth=1.6, solid_capstyle="butt")
            face = style.colour if runs else "white"
            ax.plot(
                [-rule.difference.value], [place], style.marker, color=style.colour, markerfacecolor=face, markersize=6
            )
            share = "" if math.isnan(rule.value) else f"{rule.value:.0%} of the oracle's gain"
            ax.annotate(
                share,
                (1, place),
                (6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=INK,
                annotation_clip=False,
            )
        ax.axvline(0, color=FAINT, linewidth=1)
        ax.set_yticks(range(len(rules)), [_called(rule.rule) for rule in rules])
        ax.set_ylim(-0.6, len(rules) - 0.4)
        ax.grid(visible=False, axis="y")
        ax.set_xlabel(f"loss of the best member minus loss of the rule ({found.unit}); right of 0 the rule is better")
        ax.set_title(
            f"What {', '.join(found.members)} gain together, {found.interval:.0%} intervals",
            fontweight="bold",
            wrap=True,
        )
    return figure


def _called(rule: str) -> str:
    return rule if RULES[rule].attainable else f"{rule}\n(not attainable)"


@accepts(found=_found, path=a_path)
def save_attainability(found: Attainabilities, path: str | os.PathLike[str]) -> None:
    """Draw what rules gain and write it to a file; the same table gives the same bytes.

    Parameters
    ----------
    found
        What `bayeslaw.attainability` found.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.

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
    write_figure(plot_attainability(found), path)


def check_attainability(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be written; arguments as of `bayeslaw.plotting.pictures.check_plot`."""
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)
