"""The picture of a calibration: ranks of every quantity against their simultaneous envelope."""

import math

import numpy as np
from arviz_stats.ecdf_utils import compute_ecdf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.calibration.calibrations import Calibration
from bayeslaw.inputs.arguments import accepts, an_instance
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import house_style

_a_calibration = an_instance(
    Calibration, accepted="what bayeslaw.calibrate returns", fix="call bl.calibrate(law) first"
)


@accepts(calibration=_a_calibration, figure=a_figure)
def plot_ranks(calibration: Calibration, *, figure: Canvas | None = None) -> Figure:
    """Draw how far the ranks of the truth are from uniform, with the envelope that uniform ranks stay in.

    Each panel is a quantity: the empirical distribution function of the ranks' uniform values minus that of the uniform
    distribution (Säilynoja, Bürkner and Vehtari 2022).

    Parameters
    ----------
    calibration
        What `bayeslaw.calibrate` found.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. A new one belongs to no window: write it with ``savefig``.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> found = bl.calibrate(bl.PowerLaw(pooling="complete"), simulations=10)
    >>> bl.plot_ranks(found).savefig("ranks.png")
    """
    table, width = calibration.rank_table, width_of(figure)
    columns = panels_beside(len(table), width)
    rows = math.ceil(len(table) / columns)
    with house_style(width):
        told = Heading(f"Ranks of the {calibration.law} law", (_told(calibration),))
        body = body_below(figure, told, width=width, height=1.55 * rows + 0.4)
        axes = body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(table) :]:
            ax.remove()
        for ax, row in zip(axes.flat, table.to_dict(orient="records"), strict=False):
            _panel(ax, calibration, row["quantity"], inside=row["inside"])
        body.supxlabel("rank of the truth among draws, as a share", fontsize="medium")
        body.supylabel("share of simulations minus uniform", fontsize="medium")
    return root_of(body)


def _told(calibration: Calibration) -> str:
    inside = np.count_nonzero(calibration.rank_table["inside"])
    quick = ", quick form" if calibration.quick else ""
    return (
        f"{calibration.simulations} simulations{quick}: "
        f"{inside} of {len(calibration.rank_table)} inside their {calibration.envelope.level:.2%} envelope"
    )


def _panel(ax: Axes, calibration: Calibration, quantity: str, *, inside: bool) -> None:
    colours = palette()
    bounds = calibration.envelope
    points = np.concatenate([[0.0], bounds.points, [1.0]])
    shares = compute_ecdf(calibration.values[quantity].to_numpy(), bounds.points)
    lower, upper, middle = (
        np.concatenate([[0.0], each - bounds.points, [0.0]]) for each in (bounds.lower, bounds.upper, shares)
    )
    ax.fill_between(points, lower, upper, color=colours.context, alpha=0.6, linewidth=0, label="_envelope")
    ax.axhline(0, color=colours.faint, linewidth=0.7)
    style = "solid" if inside else (0, (5, 1.6))
    ax.plot(
        points, middle, color=colours.line if inside else colours.other, linestyle=style, linewidth=1.2, label="_ranks"
    )
    ax.set_title(
        quantity if inside else f"{quantity}: outside",
        fontsize="small",
        color=colours.ink if inside else colours.other,
        pad=3,
    )
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
