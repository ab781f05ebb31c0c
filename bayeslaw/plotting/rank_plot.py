"""The picture of a calibration: ranks of every quantity against their simultaneous envelope."""

import math

import numpy as np
from arviz_stats.ecdf_utils import compute_ecdf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.calibration.calibrations import Calibration
from bayeslaw.plotting.plot_style import FAINT, GROUP_STYLES, INK, house_style

PANELS_A_ROW = 4
ENVELOPE_FILL = "#dedee3"
INSIDE = GROUP_STYLES[0].colour
OUTSIDE = GROUP_STYLES[1].colour


def plot_ranks(calibration: Calibration) -> Figure:
    """Draw how far the ranks of the truth are from uniform, with the envelope that uniform ranks stay in.

    Each panel is a quantity: the empirical distribution function of the ranks' uniform values minus that of the uniform
    distribution (Säilynoja, Bürkner and Vehtari 2022).

    Parameters
    ----------
    calibration
        What `bayeslaw.calibrate` found.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It belongs to no window: write it with ``savefig``.
    """
    table = calibration.rank_table
    columns = min(PANELS_A_ROW, len(table))
    rows = math.ceil(len(table) / columns)
    with house_style():
        figure = Figure(figsize=(2.2 * columns + 0.4, 1.55 * rows + 0.9))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(table) :]:
            ax.remove()
        for ax, row in zip(axes.flat, table.to_dict(orient="records"), strict=False):
            _panel(ax, calibration, row["quantity"], inside=row["inside"])
        figure.suptitle(_title(calibration), x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel("rank of the truth among draws, as a share", fontsize=9)
        figure.supylabel("share of simulations minus uniform", fontsize=9)
    return figure


def _title(calibration: Calibration) -> str:
    inside = np.count_nonzero(calibration.rank_table["inside"])
    quick = ", quick form" if calibration.quick else ""
    return (
        f"Ranks of the {calibration.law} law, {calibration.simulations} simulations{quick}: "
        f"{inside} of {len(calibration.rank_table)} inside their {calibration.envelope.level:.2%} envelope"
    )


def _panel(ax: Axes, calibration: Calibration, quantity: str, *, inside: bool) -> None:
    bounds = calibration.envelope
    points = np.concatenate([[0.0], bounds.points, [1.0]])
    shares = compute_ecdf(calibration.values[quantity].to_numpy(), bounds.points)
    lower, upper, middle = (
        np.concatenate([[0.0], each - bounds.points, [0.0]]) for each in (bounds.lower, bounds.upper, shares)
    )
    ax.fill_between(points, lower, upper, color=ENVELOPE_FILL, linewidth=0, label="_envelope")
    ax.axhline(0, color=FAINT, linewidth=0.7)
    style = "solid" if inside else (0, (5, 1.6))
    ax.plot(points, middle, color=INSIDE if inside else OUTSIDE, linestyle=style, linewidth=1.2, label="_ranks")
    ax.set_title(quantity if inside else f"{quantity}: outside", fontsize=8, color=INK if inside else OUTSIDE, pad=3)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
