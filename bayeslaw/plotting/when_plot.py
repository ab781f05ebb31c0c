"""The picture of when a pool pays: how probable it is along budgets, by how much, and where it begins."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayeslaw.decision.crossover_words import UNDECIDED, better_everywhere, share_text
from bayeslaw.decision.crossovers import Crossovers, when
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts
from bayeslaw.laws.pool_advantages import RegimeAdvantage
from bayeslaw.plotting.law_artists import SHADE
from bayeslaw.plotting.plot_style import FAINT, GROUP_STYLES, INK, budget_axis, house_style

LINE, BAND = GROUP_STYLES[0].colour, 0.22
CROSSOVER = GROUP_STYLES[1].colour
INSIDE = 0.0
AIR = 0.08


@accepts(fit=a_fit, interval=a_level)
def plot_when(fit: Fit, *, interval: float = 0.9) -> Figure:
    """Draw when a pool is better than one model of the same total parameters.

    A column for each regime of pools: above, the probability that the pool is expected to lose less; below, by how
    much, with its band, and the crossover with its interval on the line of zero, unless there is hardly one. What lies
    beyond the data is shaded.

    Parameters
    ----------
    fit
        A fit of the collaboration or the joint law.
    interval
        Level of the equal-tailed intervals.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the law says nothing of pools and single models.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> len(bl.plot_when(pools_fit).axes) > 0
    True
    """
    return draw_when(when(fit, interval=interval), parameters=fit.parameters_kind)


def draw_when(found: Crossovers, *, parameters: str) -> Figure:
    """Draw when a pool pays, as `plot_when` does, from what was found.

    Parameters
    ----------
    found
        What `bayeslaw.when` found.
    parameters
        Which count of parameters the budgets are.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    regimes, interval = found.advantages.regimes, found.interval
    with house_style():
        figure = Figure(figsize=(max(7.6, 2.75 * len(regimes) + 0.7), 5.3))
        title, body = figure.subfigures(2, 1, squeeze=False, height_ratios=(0.72, 4.58)).flat
        _title(title, found)
        axes = body.subplots(
            2, len(regimes), squeeze=False, sharey="row", sharex="col", gridspec_kw={"height_ratios": (1, 1.7)}
        )
        for column, regime in zip(axes.T, regimes, strict=True):
            _draw_probability(column[0], regime)
            _draw_advantage(column[1], regime, interval)
        low, high = _range(regimes, interval)
        axes[1, 0].set_ylim(low, high)
        axes[0, 0].set_ylabel("P(pool better)")
        axes[1, 0].set_ylabel(f"advantage of the pool ({found.unit})")
        body.supxlabel(f"{parameters} parameters of the pool, and of the single model", fontsize=9)
    return figure


def _title(figure: Any, found: Crossovers) -> None:
    figure.text(0.01, 0.93, f"When a pool pays: {found.rule} of its members", fontsize=11, fontweight="bold", va="top")
    said = "expected loss of the single model minus that of the pool"
    level = f"{100 * found.interval:g} % equal-tailed intervals"
    figure.text(0.01, 0.58, f"{said}\n{level}", fontsize=9, color="#55555c", va="top")
    handles = [
        Line2D([], [], color=LINE, label="median"),
        Patch(facecolor=(LINE, BAND), label="interval"),
        Line2D([], [], color=CROSSOVER, linewidth=3, marker="|", markersize=9, label="crossover, if there is one"),
        Patch(color=SHADE, label="beyond the data"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=2)


def _name(regime: RegimeAdvantage) -> str:
    return regime.regime[0].upper() + regime.regime[1:]


def _prepare(ax: Axes, regime: RegimeAdvantage) -> None:
    """Set the budgets, and shade those beyond the data."""
    low, high = float(regime.budgets[0]), float(regime.budgets[-1])
    air = (high / low) ** 0.02
    budget_axis(ax, low / air, high * air, most=4)
    ax.grid(axis="y", color="#ececef", linewidth=0.6)
    for place, end in ((-1, high * air), (0, low / air)):
        if regime.extrapolation[place] > INSIDE:
            ax.axvspan(_edge(regime, place), end, color=SHADE, linewidth=0, zorder=0)


def _edge(regime: RegimeAdvantage, place: int) -> float:
    """Budget at which the data end on the side of a place, the last or the first."""
    outward = slice(None) if place else slice(None, None, -1)
    logs, distance = np.log(regime.budgets)[outward], regime.extrapolation[outward]
    first = int(np.argmax(np.maximum.accumulate(distance[::-1] <= INSIDE)))
    first = len(distance) - first if (distance <= INSIDE).any() else 0
    before = logs[max(first - 1, 0)]
    if first == 0 or first == len(logs) - 1:
        return float(np.exp(before))
    # The distance from the data grows with the log budget, from zero at their end.
    rise = (distance[first + 1] - distance[first]) / (logs[first + 1] - logs[first])
    start, stop = sorted((before, logs[first]))
    return float(np.exp(np.clip(logs[first] - distance[first] / rise, start, stop)))


def _draw_probability(ax: Axes, regime: RegimeAdvantage) -> None:
    _prepare(ax, regime)
    share = (regime.draws > 0).mean(axis=0)
    for level in (*UNDECIDED, 0.5):
        ax.axhline(level, color=FAINT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0.6)
    ax.plot(regime.budgets, share, color=LINE, linewidth=1.6, zorder=3, label="_probability", **_style(regime))
    ax.set_ylim(-0.03, 1.03)
    ax.set_yticks([UNDECIDED[0], 0.5, UNDECIDED[1]])
    ax.set_title(_name(regime), fontsize=9.5, fontweight="bold", pad=6)
    # Panels of a column share their budgets, whose numbers stand below.
    ax.tick_params(labelbottom=False)


def _style(regime: RegimeAdvantage) -> dict[str, Any]:
    """Few budgets are marked, and steps drawn as such."""
    if regime.steps:
        return {"drawstyle": "steps-post"}
    return {"marker": "o", "markersize": 3} if len(regime.budgets) < 20 else {}


def _draw_advantage(ax: Axes, regime: RegimeAdvantage, interval: float) -> None:
    _prepare(ax, regime)
    lower, upper = np.quantile(regime.draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    step = "post" if regime.steps else None
    ax.fill_between(
        regime.budgets, lower, upper, step=step, color=LINE, alpha=BAND, linewidth=0, zorder=1, label="_advantage"
    )
    middle = np.median(regime.draws, axis=0)
    ax.plot(regime.budgets, middle, color=LINE, linewidth=1.6, zorder=3, label="_median", **_style(regime))
    ax.axhline(0, color=INK, linewidth=0.9, zorder=2)
    crossing = regime.crossing[np.isfinite(regime.crossing)]
    text = f"crossover: P = {share_text(len(crossing) / len(regime.crossing))}".replace("P = over", "P >")
    if (everywhere := float(better_everywhere(regime).mean())) >= UNDECIDED[0]:
        text = f"better at every budget: P = {share_text(everywhere)}".replace("P = over", "P >") + f"\n{text}"
    text = text.replace("P = under", "P <")
    if len(crossing) >= UNDECIDED[0] * len(regime.crossing):
        first, median, last = np.quantile(crossing, [(1 - interval) / 2, 0.5, (1 + interval) / 2])
        ax.plot([first, last], [0, 0], color=CROSSOVER, linewidth=3, solid_capstyle="butt", zorder=4)
        ax.plot([median], [0], color=CROSSOVER, marker="|", markersize=11, markeredgewidth=2.2, zorder=5)
    where: Any = {"xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate(text, (1, 0), (-3, 5), ha="right", fontsize=8.5, color=CROSSOVER, **where)


def _range(regimes: tuple[RegimeAdvantage, ...], interval: float) -> tuple[float, float]:
    """All bands and zero, with some air; what reaches far beyond all medians is cut."""
    middles = np.concatenate([np.median(each.draws, axis=0) for each in regimes])
    ends = np.concatenate(
        [np.quantile(each.draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0).ravel() for each in regimes]
    )
    reach = 3 * np.abs(middles).max()
    low, high = min(0.0, max(ends.min(), -reach)), max(0.0, min(ends.max(), reach))
    air = AIR * (high - low or 1.0)
    return low - air, high + air
