"""The picture of a law of gains: what pools gain over their best member, against each diversity number."""

import jax
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.diversity import BEST_MEMBER_LOSS
from bayeslaw.losses.sizes import count_label
from bayeslaw.plotting.canvas import Canvas, Heading, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.law_artists import BAND_OPACITY, LINE
from bayeslaw.plotting.law_curves import shown_groups
from bayeslaw.plotting.law_scene import GROUP_WORDS, LawChoices
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import GROUP_STYLES
from bayeslaw.plotting.size_marks import draw_by_size, draw_others, size_marks
from bayeslaw.pools.gains import RELATIVE
from bayeslaw.prediction.row_prediction import law_draws

POINTS = 61
WIDEST, HEIGHT = 4.2, 0.74


def draw_gains(fit: Fit, choices: LawChoices, *, ax: Axes | None, figure: Canvas | None) -> Figure:
    """Draw gains against diversity, a row of panels a regime and a column a number, with the law for each size.

    Parameters
    ----------
    fit, choices, ax, figure
        As of `bayeslaw.laws.kinds.LawKind.picture`; there are several panels, so that no axes are taken.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into.

    Raises
    ------
    InputError
        If axes are given, or the law has no diversity number.
    """
    numbers = [name for name in fit.law.covariates if name.startswith(RELATIVE)]
    if ax is not None or not numbers:
        raise InputError(
            "one axes was given for several panels" if numbers else "this law was fitted without diversity numbers",
            "a figure" if numbers else "a diversity law with one number or more",
            "leave out ax" if numbers else "draw another picture: predicted, forest or claims",
        )
    # One law for all regimes has one row of panels.
    groups = shown_groups(fit, choices.groups)
    rows, width = fit.observations, width_of(figure)
    sizes = rows.covariates["size"].astype(int)
    marks = size_marks(sizes)
    budget = float(rows.reference["parameters"])
    tails = f"{100 * choices.interval:g} % equal-tailed intervals of the law itself"
    told = Heading(
        "What pools gain over their best member, by diversity",
        (
            f"lines: the law at {count_label(budget)} parameters, other numbers usual, for each size of pool; {tails}",
            "diversity in standard deviations of the pools fitted",
        ),
        (
            *(mark.handle for mark in marks.values()),
            *(_line_handle(size, place) for place, size in enumerate(_drawn_sizes(sizes))),
            Patch(facecolor=(palette().line, BAND_OPACITY["mean"]), label="interval"),
        ),
    )
    panels = [(group, number) for group in groups for number in numbers]
    columns = panels_beside(len(panels), width)
    lines = -(-len(panels) // columns)
    height = lines * (HEIGHT * min(width / columns, WIDEST) + 0.3) + 0.2
    body = body_below(figure, told, width=width, height=height)
    axes = body.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for each, (group, number) in zip(axes, panels, strict=False):
        _draw_panel(each, fit, group, number, choices.interval)
    for each in axes[len(panels) :]:
        each.set_axis_off()
    body.supylabel(f"gain ({fit.unit})", fontsize="medium")
    return root_of(body)


def _drawn_sizes(sizes: np.ndarray) -> list[int]:
    return [int(size) for size in np.unique(sizes)][: len(GROUP_STYLES)]


def _line_handle(size: int, place: int) -> Line2D:
    dashes = GROUP_STYLES[place].dashes
    return Line2D([], [], color=palette().line, linestyle=dashes, linewidth=LINE, label=f"the law, {size} members")


def _draw_panel(ax: Axes, fit: Fit, group: str, number: str, interval: float) -> None:
    rows, groups = fit.observations, fit.model.groups
    gain = rows.covariates[BEST_MEMBER_LOSS] - rows.loss
    scores, sizes = np.log(rows.covariates[number]), rows.covariates["size"].astype(int)
    of_group = np.ones(len(gain), dtype=bool) if group not in groups else fit.model.group_index == groups.index(group)
    low, high = float(scores.min()), float(scores.max())
    air = 0.05 * (high - low or 1.0)
    ax.set_xlim(low - air, high + air)
    air = 0.06 * float(np.ptp(gain) or 1.0)
    ax.set_ylim(float(gain.min() - air), float(gain.max() + air))
    ax.axhline(0, color=palette().faint, linewidth=0.8, zorder=1)
    draw_others(ax, scores[~of_group], gain[~of_group])
    draw_by_size(ax, scores[of_group], gain[of_group], sizes[of_group], marks=size_marks(sizes))
    # Of a number that does not vary in a regime the law is told where it stands.
    reach = 0.04 * (high - low or 1.0) * float(np.ptp(scores[of_group]) == 0)
    grid = np.linspace(scores[of_group].min() - reach, scores[of_group].max() + reach, POINTS)
    for place, size in enumerate(_drawn_sizes(sizes)):
        draws = gain_draws(fit, group, number, grid, size)
        lower, middle, upper = np.quantile(draws, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
        ax.fill_between(
            grid,
            lower,
            upper,
            color=palette().line,
            alpha=BAND_OPACITY["mean"],
            linewidth=0,
            zorder=2.8,
            label=f"_band {size}",
        )
        ax.plot(grid, middle, color=palette().ground, linewidth=LINE + 1.2, alpha=0.7, zorder=3.1)
        ax.plot(
            grid,
            middle,
            color=palette().line,
            linestyle=GROUP_STYLES[place].dashes,
            linewidth=LINE,
            zorder=3.2,
            label=f"_law {size}",
        )
    ax.set_xlabel(number.removeprefix(RELATIVE).replace("_", " "))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if group:
        ax.set_title(GROUP_WORDS.get(group, group), fontweight="bold", fontsize="medium")


def gain_draws(fit: Fit, group: str, number: str, scores: np.ndarray, size: int) -> np.ndarray:
    """Draw the gain of pools of the reference budget along one diversity number, the others at their means.

    Parameters
    ----------
    fit
        A fit of a law of gains.
    group
        A regime of the fit, or an empty text.
    number
        Covariate of the number.
    scores
        Standard scores, [point].
    size
        Number of members.

    Returns
    -------
    np.ndarray
        Gains in the fit's unit, [draw, point].
    """
    law, rows = fit.law, fit.observations
    at = pd.DataFrame({name: np.ones(len(scores)) for name in law.covariates})
    at["parameters"], at["size"], at[number] = rows.reference["parameters"], float(size), np.exp(scores)
    at[BEST_MEMBER_LOSS] = float(rows.covariates[BEST_MEMBER_LOSS].mean())
    if group in fit.model.groups:
        at[law.group] = group
    with jax.enable_x64(True):
        mean, _ = law_draws(fit, at, seed=0)
    return at[BEST_MEMBER_LOSS].to_numpy() - mean
