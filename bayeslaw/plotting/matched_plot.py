"""The picture of matched budgets: how much better heterogeneous pools are, and how much of it is diversity."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayeslaw.inputs.arguments import accepts, an_instance
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, an_axes, axis_words, one_panel, root_of, width_of
from bayeslaw.plotting.palettes import group_styles, palette
from bayeslaw.plotting.plot_style import house_style
from bayeslaw.pools.advantages import Advantage, Parts

WORDS = {"total": "heterogeneous over homogeneous", "better_partners": "better partners", "diversity": "diversity"}
STEP = 0.24
_found = an_instance(
    Advantage, accepted="what bayeslaw.advantage returns", fix="call found = bl.advantage(losses) first"
)


@accepts(found=_found, ax=an_axes, figure=a_figure)
def plot_matched(found: Advantage, *, ax: Axes | None = None, figure: Canvas | None = None) -> Figure:
    """Draw the advantage of heterogeneous pools at matched budgets, and its two parts, by number of members.

    Parameters
    ----------
    found
        What `bayeslaw.advantage` found.
    ax
        Axes to draw into.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into: for each number of members the advantage, then better partners and diversity, which add
        up to it, with their intervals.

    Raises
    ------
    InputError
        If this is not what `bayeslaw.advantage` returns, or both axes and figure are given.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.simulate_losses(samples=60, clusters=20, families=2, sizes=3)
    >>> figure = bl.plot_matched(bl.advantage(losses, max_size=2, tolerance=5, draws=50))
    """
    # Where all pairs are of one size, they are all sizes.
    shown = found.parts if len(found.parts) > 2 else found.parts[1:]
    width = width_of(figure, ax)
    with house_style(width):
        styles = dict(zip(WORDS, group_styles(), strict=False))
        handles = tuple(
            Line2D([], [], color=s.colour, marker=s.marker, markersize=5, linewidth=1.4, label=WORDS[part])
            for part, s in styles.items()
        )
        told = Heading(
            f"Pools of matched budgets: advantage of heterogeneous ones, rule {found.rule}",
            (
                f"natural logs of budgets at most {found.tolerance:g} apart; {100 * found.interval:g} % intervals "
                f"({found.interval_kind})",
            ),
            handles,
        )
        ax = one_panel(ax, figure, told, width=width, height=0.62 * len(shown) + 0.6)
        for place, parts in enumerate(shown):
            for step, (part, style) in enumerate(styles.items()):
                estimate, at = getattr(parts, part), place + STEP * (step - 1)
                ax.plot(
                    [estimate.lower, estimate.upper],
                    [at, at],
                    color=style.colour,
                    linewidth=1.6,
                    solid_capstyle="butt",
                    label=f"_{part} {parts.size}",
                )
                ax.plot([estimate.value], [at], style.marker, color=style.colour, markersize=5, zorder=3)
        ax.axvline(0, color=palette().faint, linewidth=0.9, zorder=0.8)
        ax.set_yticks(range(len(shown)), [_called(parts) for parts in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(axis_words(f"advantage ({found.unit}); right of 0 heterogeneous pools are better", width - 0.8))
    return root_of(ax.get_figure() or Figure())


def _called(parts: Parts) -> str:
    sizes = "all sizes" if parts.size == "all" else f"{parts.size} members"
    return f"{sizes}\n{parts.pairs:,} {'pair' if parts.pairs == 1 else 'pairs'}"
