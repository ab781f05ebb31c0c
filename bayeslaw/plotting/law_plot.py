"""The picture of a law: what it says, beside what was observed."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, a_number, accepts, optional, texts
from bayeslaw.laws.kinds import kind_of
from bayeslaw.plotting.canvas import Canvas, a_figure, an_axes, one_given, width_of
from bayeslaw.plotting.law_scene import LawChoices
from bayeslaw.plotting.plot_style import house_style
from bayeslaw.prediction.predictions import KINDS


@accepts(
    fit=a_fit,
    interval=a_level,
    kinds=texts,
    beyond=optional(a_number(lowest=1, accepted="a factor of at least 1", suggested=10)),
    groups=optional(texts),
    ax=an_axes,
    figure=a_figure,
)
def plot_law(
    fit: Fit,
    *,
    interval: float = 0.9,
    kinds: Sequence[str] = KINDS,
    beyond: float | None = None,
    groups: Sequence[str] | None = None,
    ax: Axes | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw what a fitted law says beside what was observed.

    A law of budgets has a panel for each regime or family, with the rows of the others in grey, on log axes: the
    posterior median of the law, its bands, rows by the number of their members (hexagons, the larger the more rows,
    where there are many), and the floor beside the axes, where it stretches nothing. A law with training tokens has a
    curve for each of a few numbers of them. The joint law shows pools, observed against predicted, and the curves of
    the families that are asked for. The diversity law shows gains against its diversity numbers.

    Parameters
    ----------
    fit
        A fitted law.
    interval
        Level of the equal-tailed intervals.
    kinds
        Which bands: ``"mean"`` for the law itself, ``"new"`` for one new pool or model; none for the lines alone.
    beyond
        How far to extrapolate, as a multiple of the largest budget observed; 1 for not at all. By default as far as the
        data reach, twofold at least and tenfold at most.
    groups
        Which regimes or families to draw; by default all of the fit, or the twelve with the most rows. ``"new"``, a
        family not seen, is drawn where it is asked for.
    ax
        Axes to draw into, for up to four groups.
    figure
        Figure or SubFigure to draw into; by default a new one, as wide as the settings of Matplotlib say.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. A new one belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the interval lies outside (0, 1), `beyond` is below 1, a kind or group is unknown, or one axes was given for
        several panels.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> fit = bl.load_fit("fit.nc")  # doctest: +SKIP
    >>> bl.plot_law(fit, groups=["heterogeneous"]).savefig("law.pdf")  # doctest: +SKIP
    """
    one_given(ax, figure)
    choices = LawChoices(interval, tuple(kinds), beyond, None if groups is None else tuple(groups))
    with house_style(width_of(figure, ax)):
        return kind_of(fit.law).picture(fit, choices, ax=ax, figure=figure)
