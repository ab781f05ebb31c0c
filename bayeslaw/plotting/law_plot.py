"""The picture of a law: data, curves with bands, floors, and what lies beyond the data."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, a_number, accepts, an_instance, optional, texts
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.plotting.floor_strip import draw_floor_lines, draw_floor_strip, floor_digits, floor_text
from bayeslaw.plotting.law_artists import (
    THIN,
    TOGETHER,
    Scene,
    draw_context,
    draw_curve,
    draw_points,
    legend_handles,
    prepare_axes,
)
from bayeslaw.plotting.law_curves import floor_of, law_curve, shown_groups, token_levels
from bayeslaw.plotting.plot_style import house_style
from bayeslaw.prediction.predictions import KINDS


@accepts(
    fit=a_fit,
    interval=a_level,
    kinds=texts,
    beyond=a_number(lowest=1, accepted="a factor of at least 1", suggested=10),
    groups=optional(texts),
    ax=optional(an_instance(Axes, accepted="Axes of Matplotlib", fix="leave out ax")),
)
def plot_law(
    fit: Fit,
    *,
    interval: float = 0.9,
    kinds: Sequence[str] = KINDS,
    beyond: float = 10.0,
    groups: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a fitted law with its data on log axes.

    Groups have a curve each, up to four in one panel and more in a panel each; a law with training tokens has a curve
    for each of a few numbers of them. The line is the posterior mean of the law; on the right stand the floors with
    their intervals, and what lies beyond the largest budget observed is shaded.

    Parameters
    ----------
    fit
        A fitted law.
    interval
        Level of the equal-tailed intervals.
    kinds
        Which bands: ``"mean"`` for the law itself, ``"new"`` for one new pool or model; none for the lines alone.
    beyond
        How far to extrapolate, as a multiple of the largest budget observed; 1 for not at all.
    groups
        Which regimes or families to draw; by default all, and ``"new"``, a family not seen, where families are
        partially pooled.
    ax
        Axes to draw into, in the caller's style; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the interval lies outside (0, 1), `beyond` is below 1, a kind or group is unknown, or one axes was given for
        several panels.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> len(bl.plot_law(fit, kinds=["mean"]).axes) > 0
    True
    """
    scene = _scene(fit, interval, kinds, beyond, groups)
    names = list(scene.groups)
    panels = len(names) > TOGETHER or (len(names) > 1 and scene.tokens is not None)
    if panels and ax is not None:
        most = 1 if scene.tokens is not None else TOGETHER
        raise InputError(
            f"one axes was given for {len(names)} panels",
            f"at most {most} groups in one axes",
            f"leave out ax, or use groups={names[:most]}",
        )
    with house_style() if ax is None else rc_context({"text.parse_math": False}):
        if panels:
            return _draw_panels(scene)
        figure = Figure(figsize=(7.6, 4.6)) if ax is None else ax.get_figure(root=True)
        assert figure is not None
        _draw_together(ax or figure.subplots(), scene)
        return figure


def _scene(fit: Fit, interval: float, kinds: Sequence[str], beyond: float, groups: Sequence[str] | None) -> Scene:
    if set(fit.law.covariates) - set(BUDGETS) or BUDGETS[0] not in fit.law.covariates:
        raise InputError(
            f"the law {fit.law.name} depends on {', '.join(fit.law.covariates)}",
            "a picture of a law of budgets alone",
            "draw another: forest, pair, trace, ppc or prior_posterior",
        )
    kinds = tuple(check_choice("kind", kind, KINDS) for kind in kinds)
    known = shown_groups(fit)
    names = known if groups is None else tuple(check_choice(fit.law.group, name, known) for name in groups)
    if not names:
        raise InputError("there are no groups to draw", f"some of {', '.join(known)}", "leave out groups")
    end = float(fit.observations.covariates["parameters"].max() * beyond)
    tokens = fit.observations.covariates.get("training_tokens")
    levels = [None] if tokens is None else token_levels(tokens).tolist()
    curves = tuple(
        law_curve(fit, name, kinds=kinds, interval=interval, end=end, training_tokens=level)
        for name in names
        for level in levels
    )
    floors = [floor_of(fit, name, interval=interval) for name in names]
    return Scene(fit, curves, names, tuple(floor for floor in floors if floor is not None), interval, beyond)


def _draw_together(ax: Axes, scene: Scene) -> None:
    prepare_axes(ax, scene, float(scene.budgets.max()), small=False)
    styles = {group: scene.group_style(group) for group in scene.groups}
    for group in styles:
        draw_points(ax, scene, group)
        for curve, style in zip(scene.curves_of(group), scene.styles(group), strict=True):
            draw_curve(ax, curve, style)
    if scene.floors:
        draw_floor_lines(ax, scene.floors, styles)
        draw_floor_strip(ax, scene.floors, styles, {group: scene.label(group) for group in styles})
    ax.set_xlabel(_budget_label(scene))
    ax.set_ylabel(f"loss ({scene.fit.unit})")
    ax.set_title(_heading(scene) + "\n", loc="left", fontsize=11, fontweight="bold")
    ax.annotate(
        _subheading(scene),
        (0, 1),
        (0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color="#55555c",
    )
    ax.legend(
        handles=legend_handles(scene, panels=False),
        loc="upper right",
        handlelength=4,
        borderaxespad=0.2,
        labelspacing=0.35,
    )


def _draw_panels(scene: Scene) -> Figure:
    count = len(scene.groups)
    columns = min(4, int(np.ceil(np.sqrt(count))) + (count > 6))
    rows = -(-count // columns)
    figure = Figure(figsize=(2.1 * columns + 0.9, 1.9 * rows + 1.1))
    title, body = figure.subfigures(2, 1, squeeze=False, height_ratios=(0.46, 1.9 * rows + 0.64)).flat
    title.text(0.01, 0.88, _heading(scene), fontsize=11, fontweight="bold", va="top")
    title.text(0.01, 0.3, _subheading(scene), fontsize=9, color="#55555c", va="top")
    handles = legend_handles(scene, panels=True)
    title.legend(handles=handles, loc="upper right", ncols=2 if columns < 4 else 3, handlelength=3)
    axes = body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for index, ax in enumerate(axes):
        if index < count:
            _draw_panel(ax, scene, index)
            # A panel with none below it keeps its ticks, also where the last row is not full.
            ax.tick_params(labelbottom=index + columns >= count)
        else:
            ax.set_axis_off()
    body.supxlabel(_budget_label(scene), fontsize=9)
    body.supylabel(f"loss ({scene.fit.unit})", fontsize=9)
    return figure


def _draw_panel(ax: Axes, scene: Scene, index: int) -> None:
    group = scene.groups[index]
    of_group = scene.own_rows(group)
    prepare_axes(ax, scene, float(scene.budgets[of_group].max() if of_group.any() else scene.budgets.max()), small=True)
    draw_context(ax, scene, group)
    draw_points(ax, scene, group)
    for curve, style in zip(scene.curves_of(group), scene.styles(group), strict=True):
        draw_curve(ax, curve, style, width=THIN)
    ax.set_title(f"{scene.label(group)}\n", fontsize=9, fontweight="bold", pad=5)
    if not scene.floors:
        return
    floor, styles = scene.floors[index], {group: scene.group_style(group)}
    draw_floor_lines(ax, [floor], styles)
    draw_floor_strip(ax, [floor], styles, None)
    ax.annotate(
        f"floor {floor_text(floor, floor_digits(scene.floors))}",
        (0, 1),
        (0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
    )


def _budget_label(scene: Scene) -> str:
    return f"{scene.fit.parameters_kind} parameters of the {scene.row}"


def _heading(scene: Scene) -> str:
    rule = scene.fit.observations.facts.get("rule")
    return f"{scene.fit.law.name.replace('_', ' ').capitalize()} law" + (f" of {rule} pools" if rule else "")


def _subheading(scene: Scene) -> str:
    return f"loss in {scene.fit.unit}; {100 * scene.interval:g} % equal-tailed intervals"
