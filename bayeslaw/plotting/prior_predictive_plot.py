"""The picture of a prior before a fit: losses that it holds likely along budgets, beside those observed."""

import math
import os
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.diagnosis.prior_checks import BUDGET, PriorCheck, prior_check
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.prior_simulation import PREDICTIVE, a_prior_tree, stands_for_fit, with_prior_predictive
from bayeslaw.inputs.arguments import a_level, a_path, accepts
from bayeslaw.inputs.foreign_text import printable
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.plotting.plot_style import (
    FAINT,
    INK,
    budget_axis,
    check_picture_file,
    house_style,
    is_picture,
    loss_axis,
    write_figure,
)

PANELS_A_ROW, MOST_PANELS = 3, 9
FEW, MANY = 200, 2000
"""Up to how many points are large, and from how many on they are drawn as an image in files of lines."""
MOST_BINS = 24
MARGIN = 1.15
NARROWEST, LETTERS_AN_INCH = 5.0, 10.5
HALF = 0.5
MOST_BEYOND = 30.0
"""How many times the largest observed loss, or the smallest divided by it, the axis reaches at most."""
BAND, INNER_BAND = "#dcdce6", "#b4b6cc"
EVERYTHING = "all rows"
LONGEST_NAME = 40


@accepts(tree=a_prior_tree, interval=a_level)
def plot_prior_predictive(tree: xr.DataTree, *, interval: float = 0.9) -> Figure:
    """Draw what a prior says of losses along budgets, beside the observed ones; a panel a family or regime.

    Parameters
    ----------
    tree
        What `bayeslaw.prior_predictive` made.
    interval
        Level of the outer, equal-tailed band of the prior predictive; the inner one holds half.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It belongs to no window: write it with ``savefig``. Of more than nine groups those of most rows are
        shown, and their number is told. Where there are many budgets, rows of near ones share a band. Bands that reach
        beyond thirty times the largest loss observed, or a thirtieth of the smallest, run out of the picture.

    Raises
    ------
    InputError
        If the tree is none of a prior.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> tree = bl.prior_predictive("power", bl.load_dataset("zoo", unit="document"), draws=200)
    >>> figure = bl.plot_prior_predictive(tree)
    >>> len(figure.axes)
    4
    """
    tree = tree if PREDICTIVE in tree.children else with_prior_predictive(tree)
    fit, found = stands_for_fit(tree), prior_check(tree, interval=interval)
    response = RESPONSES[fit.noise.response]
    drawn = tree[PREDICTIVE][fit.noise.response].to_numpy()
    drawn = np.asarray(response.to_loss(drawn.reshape(-1, drawn.shape[-1]).astype(float)))
    panels = _panels(fit)
    columns = min(PANELS_A_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    with house_style():
        width = max(2.5 * columns + 0.9, NARROWEST)
        figure = Figure(figsize=(width, 2.3 * rows + 1.2))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.remove()
        along, named = _along(fit)
        bands = [_bands(along[members], drawn[:, members], interval) for members in panels.values()]
        for ax, (name, members), band in zip(axes.flat, panels.items(), bands, strict=False):
            _draw(ax, along[members], fit.observations.loss[members], band, size=14 if len(along) <= FEW else 3)
            ax.set_title(_short(name), fontsize=9)
        for ax in axes.flat[max(len(panels) - columns, 0) : len(panels)]:
            ax.tick_params(labelbottom=True)
        _scale(axes[0, 0], along, fit.observations.loss, bands, budgets=named == BUDGET)
        title = "\n".join(
            fill(line, int(LETTERS_AN_INCH * width), break_on_hyphens=False) for line in _title(found, fit, len(panels))
        )
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel(named, fontsize=9)
        figure.supylabel(f"loss in {_short(found.unit)}", fontsize=9)
    return figure


@accepts(tree=a_prior_tree, path=a_path, interval=a_level)
def save_prior_predictive(tree: xr.DataTree, path: str | os.PathLike[str], *, interval: float = 0.9) -> None:
    """Write the picture of `bayeslaw.plot_prior_predictive` to a file; the same tree gives the same bytes.

    Parameters
    ----------
    tree, interval
        As in `bayeslaw.plot_prior_predictive`.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.

    Raises
    ------
    InputError
        If the ending is not known, the tree is none of a prior, or the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> tree = bl.prior_predictive("power", bl.load_dataset("zoo", unit="document"), draws=200)
    >>> bl.save_prior_predictive(tree, "prior.png")
    >>> Path("prior.png").exists()
    True
    """
    check_prior_picture(path)
    write_figure(plot_prior_predictive(tree, interval=interval), path)


def check_prior_picture(path: str | os.PathLike[str], *, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be written, or would replace what it is made of; nothing is created."""
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)


def _panels(fit: Fit) -> dict[str, np.ndarray]:
    """Numbers of the rows of each group, those of most rows."""
    groups = fit.model.groups
    if not groups:
        return {EVERYTHING: np.arange(len(fit.observations.loss))}
    members = {name: np.flatnonzero(fit.model.group_index == number) for number, name in enumerate(groups)}
    largest = sorted(members, key=lambda name: -len(members[name]))[:MOST_PANELS]
    return {name: rows for name, rows in members.items() if name in largest}


def _along(fit: Fit) -> tuple[np.ndarray, str]:
    """Choose what rows are drawn along, and name it: budgets, or where the law takes none the rank of the loss."""
    observations = fit.observations
    if BUDGET in observations.covariates:
        return observations.covariates[BUDGET], BUDGET
    return 1.0 + np.argsort(np.argsort(observations.loss)), "rank of the loss"


def _bands(along: np.ndarray, drawn: np.ndarray, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """Budgets, [bin], and quantiles of the losses drawn for the rows there, [lower, quarter, median, ..., bin]."""
    at = np.log(along)
    edges = np.unique(at)
    if len(edges) > MOST_BINS:
        edges = np.linspace(at.min(), at.max(), MOST_BINS)
    nearest = np.abs(at[:, None] - edges).argmin(axis=1)
    held = np.unique(nearest)
    levels = [(1 - interval) / 2, HALF / 2, 0.5, 1 - HALF / 2, (1 + interval) / 2]
    quantiles = np.stack([np.quantile(drawn[:, nearest == number], levels) for number in held], axis=1)
    return np.exp(edges[held]), quantiles


def _draw(ax: Axes, along: np.ndarray, observed: np.ndarray, band: tuple[np.ndarray, np.ndarray], *, size: int) -> None:
    at, (lower, first, median, third, upper) = band
    if len(at) == 1:
        # A band of no width would not be seen.
        at = at * np.array([1 / MARGIN, MARGIN])
        lower, first, median, third, upper = (np.repeat(each, 2) for each in (lower, first, median, third, upper))
    ax.fill_between(at, lower, upper, color=BAND, linewidth=0)
    ax.fill_between(at, first, third, color=INNER_BAND, linewidth=0)
    ax.plot(at, median, color=FAINT, linewidth=1)
    ax.scatter(along, observed, s=size, color=INK, linewidths=0, zorder=3, rasterized=len(along) > MANY)


def _scale(ax: Axes, along: np.ndarray, observed: np.ndarray, bands: list[Any], *, budgets: bool) -> None:
    """Scale the axes that all panels share: losses by logarithms, where those observed are positive."""
    low, high = along.min() / MARGIN, along.max() * MARGIN
    if budgets:
        budget_axis(ax, low, high, most=4)
    quantiles = np.concatenate([each[1].ravel() for each in bands])
    if observed.min() > 0:
        lowest = max(quantiles.min(), observed.min() / MOST_BEYOND)
        highest = min(quantiles.max(), observed.max() * MOST_BEYOND)
        loss_axis(ax, min(lowest, observed.min()) / MARGIN, max(highest, observed.max()) * MARGIN, most=6)


def _title(found: PriorCheck, fit: Fit, panels: int) -> list[str]:
    level, groups = f"{100 * found.interval:g} %", len(fit.model.groups)
    lines = [
        f"Prior of the {found.law} law: {100 * found.inside:.0f} % of {found.rows:,} observed losses "
        f"lie in its {level} interval",
        f"bands: {level} and {100 * HALF:g} % {found.interval_kind}, line: median, points: observed",
    ]
    return lines + ([f"{panels} of {groups} groups are shown, those of most rows"] if groups > panels else [])


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
