"""The picture of a law of budgets: small multiples, one regime or family a panel with the others in grey."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.plotting.canvas import (
    Canvas,
    Heading,
    body_below,
    one_panel,
    panel_words,
    panels_beside,
    root_of,
    width_of,
)
from bayeslaw.plotting.floor_strip import draw_floor_strip, floor_digits, floor_text
from bayeslaw.plotting.law_artists import (
    THIN,
    curve_styles,
    draw_curve,
    draw_rows,
    legend_handles,
    prepare_axes,
)
from bayeslaw.plotting.law_scene import LawChoices, Scene, scene_of
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import GROUP_STYLES
from bayeslaw.plotting.size_marks import crowd_words

PANEL_HEIGHT = 0.86
"""Height of a panel as a share of its width, beside what its title takes."""
WIDEST = 3.8


def draw_curves(fit: Fit, choices: LawChoices, *, ax: Axes | None, figure: Canvas | None) -> Figure:
    """Draw a law of budgets; arguments as of `bayeslaw.laws.kinds.LawKind.picture`."""
    scene = scene_of(fit, choices)
    if ax is not None:
        return root_of(_together(ax, figure, scene).get_figure() or Figure())
    width = width_of(figure)
    columns = panels_beside(len(scene.groups), width)
    body = body_below(figure, heading(scene), width=width, height=panels_height(len(scene.groups), columns, width))
    draw_panels(body, scene, columns=columns, width=width)
    return root_of(body)


def heading(scene: Scene, *, together: bool = False) -> Heading:
    """Say what is drawn."""
    rule = scene.fit.observations.facts.get("rule")
    title = f"{scene.fit.law.name.replace('_', ' ').capitalize()} law" + (f" of {rule} pools" if rule else "")
    left_out = len(scene.fit.model.groups) - len(scene.groups) if not together else 0
    of_most = f"; the {len(scene.groups)} largest of {len(scene.fit.model.groups)} families" if left_out > 0 else ""
    line = f"{100 * scene.interval:g} % equal-tailed intervals{of_most}"
    most = max(int(scene.own_rows(group).sum()) for group in scene.groups)
    crowd = crowd_words(most) if scene.tokens is None and not together else ""
    return Heading(title, ("; ".join(filter(None, (line, crowd))),), legend_handles(scene, together=together))


def panels_height(count: int, columns: int, width: float) -> float:
    """Height of panels in inches."""
    panel = min((width - 0.45) / columns, WIDEST)
    return -(-count // columns) * (PANEL_HEIGHT * panel + 0.32) + 0.4


def draw_panels(body: SubFigure, scene: Scene, *, columns: int, width: float) -> None:
    """Draw a panel for each group of a scene."""
    count = len(scene.groups)
    axes = body.subplots(-(-count // columns), columns, sharex=True, sharey=True, squeeze=False).ravel()
    wide = width / columns
    for index, ax in enumerate(axes):
        if index >= count:
            ax.set_axis_off()
            continue
        _draw_panel(ax, scene, scene.groups[index], wide)
        # A panel with none below it keeps its ticks, also where the last row is not full.
        ax.tick_params(labelbottom=index + columns >= count)
    body.supxlabel(f"{scene.fit.parameters_kind} parameters of the {scene.row}", fontsize="medium")
    body.supylabel(f"loss ({scene.fit.unit})", fontsize="medium")


def _draw_panel(ax: Axes, scene: Scene, group: str, width: float) -> None:
    most = (int(np.clip(width / 0.62, 2, 8)), int(np.clip(width / 0.4, 5, 9)))
    prepare_axes(ax, scene, scene.largest_of(group), most=most)
    draw_rows(ax, scene, group)
    for curve, style in zip(scene.curves_of(group), curve_styles(scene, group), strict=True):
        draw_curve(ax, curve, style, width=1.0 + THIN * (width > WIDEST / 3) * 0.5)
    floor = scene.floor(group)
    if floor is not None:
        draw_floor_strip(ax, floor, colour=palette().line)
    count = int(scene.own_rows(group).sum())
    words = f"n = {count:,}"
    words += "" if floor is None else f"; floor {floor_text(floor, floor_digits(scene.floors))}"
    panel_words(ax, scene.label(group), words, width - 0.25)


def _together(ax: Axes, figure: Canvas | None, scene: Scene) -> Axes:
    """Draw all groups into axes of the caller."""
    most = 1 if scene.tokens is not None else len(GROUP_STYLES)
    names = list(scene.groups)
    if len(names) > most:
        raise InputError(
            f"one axes was given for {len(names)} panels",
            f"at most {most} groups in one axes",
            f"leave out ax, or use groups={names[:most]}",
        )
    together = len(names) > 1
    ax = one_panel(ax, figure, heading(scene, together=together), width=width_of(None, ax), height=1.0)
    prepare_axes(ax, scene, float(scene.budgets.max()), most=(6, 8))
    for group in names:
        draw_rows(ax, scene, group, together=together)
        for place, (curve, style) in enumerate(
            zip(scene.curves_of(group), curve_styles(scene, group, together=together), strict=True)
        ):
            draw_curve(ax, curve, style)
            if place == 0 and (floor := scene.floor(group)) is not None:
                draw_floor_strip(ax, floor, colour=style.colour, place=names.index(group))
    ax.set_xlabel(f"{scene.fit.parameters_kind} parameters of the {scene.row}")
    ax.set_ylabel(f"loss ({scene.fit.unit})")
    return ax
