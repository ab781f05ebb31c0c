"""The picture of the joint law: pools, observed against predicted, and curves of the families that are asked for."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.diagnosis.joint_pool_check import pool_losses
from bayeslaw.fitting.fits import Fit
from bayeslaw.joint.draw_blocks import thinned
from bayeslaw.plotting.canvas import Canvas, Heading, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.curve_picture import draw_curves, draw_panels, heading, panels_height
from bayeslaw.plotting.law_scene import LawChoices, scene_of
from bayeslaw.plotting.predicted_panels import draw_predicted, predicted_handles
from bayeslaw.pools.rules import USUAL_RULE

MAX_SIZE = 4
REPLICATES = 200


def draw_pools(fit: Fit, choices: LawChoices, *, ax: Axes | None, figure: Canvas | None) -> Figure:
    """Draw pools of a joint fit, a panel for each number of members, and curves of the families asked for.

    Parameters
    ----------
    fit, choices, ax, figure
        As of `bayeslaw.laws.kinds.LawKind.picture`; on axes of the caller stand the curves alone.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into.
    """
    if ax is not None:
        return draw_curves(fit, choices, ax=ax, figure=figure)
    scene = None if choices.groups is None else scene_of(fit, choices)
    values = thinned(fit.values(), fit.model.sites, REPLICATES)
    max_size = min(MAX_SIZE, len(fit.model.table.names))
    pools = pool_losses(fit.model, values, rule=USUAL_RULE, max_size=max_size, interval=choices.interval)
    sizes, width = sorted(pools["size"].unique()), width_of(figure)
    columns = panels_beside(len(sizes), width)
    height = panels_height(len(sizes), columns, width)
    regimes = [regime for regime in ("homogeneous", "heterogeneous") if (pools["regime"] == regime).any()]
    lines = [
        f"pools against {len(next(iter(values.values())))} replicated tables that keep each model's mean loss, rule "
        f"{USUAL_RULE}; "
        f"{100 * choices.interval:g} % equal-tailed intervals"
    ]
    handles = predicted_handles(regimes)
    if scene is not None:
        lines.append("below: curves of the families asked for")
        handles += heading(scene).handles
        below = panels_beside(len(scene.groups), width)
        more = panels_height(len(scene.groups), below, width)
    told = Heading("Joint law: losses of pools", tuple(lines), handles)
    body = body_below(figure, told, width=width, height=height + (more if scene is not None else 0.0))
    above = body if scene is None else None
    if scene is not None:
        above, curves = body.subfigures(2, 1, squeeze=False, height_ratios=(height, more)).flat
        draw_panels(curves, scene, columns=below, width=width)
    assert above is not None
    titles = [(f"{size} members", pools[pools["size"] == size]) for size in sizes]
    draw_predicted(above, titles, regimes, columns=columns, unit=fit.unit)
    return root_of(body)
