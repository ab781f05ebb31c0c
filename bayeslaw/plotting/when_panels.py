"""Panels of the picture of when a pool pays: of one regime the probability, and the advantage with its crossover."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.decision.crossover_words import UNDECIDED, better_everywhere, share_text
from bayeslaw.laws.pool_advantages import RegimeAdvantage
from bayeslaw.plotting.canvas import panel_words
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import budget_axis

BAND = 0.22
INSIDE = 0.0
NO_BREAK = "\u00a0"
AIR = 0.08
FEW = 20
"""Budgets up to which each is marked."""
BEHIND = 0.9
"""Width of the line of what changes by steps, behind the points that a reader looks at."""


def regime_name(regime: RegimeAdvantage) -> str:
    """Name a regime as a title does."""
    return regime.regime[0].upper() + regime.regime[1:]


def set_budgets(ax: Axes, regimes: Sequence[RegimeAdvantage], *, most: int) -> None:
    """Set the axis of budgets to those of some regimes, and shade what lies beyond the data of all of them."""
    low = min(float(regime.budgets[0]) for regime in regimes)
    high = max(float(regime.budgets[-1]) for regime in regimes)
    air = (high / low) ** 0.02
    budget_axis(ax, low / air, high * air, most=most)
    for place, end, nearest in ((-1, high * air, max), (0, low / air, min)):
        beyond = [regime for regime in regimes if regime.extrapolation[place] > INSIDE]
        if beyond and len(beyond) == len(regimes):
            edge = nearest(data_edge(regime, place) for regime in beyond)
            ax.axvspan(edge, end, color=palette().shade, linewidth=0, zorder=0)


def data_edge(regime: RegimeAdvantage, place: int) -> float:
    """Return the budget at which the data end on the side of a place, the last (-1) or the first (0)."""
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


def probability_axis(ax: Axes) -> None:
    """Make the y axis one of probabilities, with lines between which the data do not decide."""
    for level in (*UNDECIDED, 0.5):
        ax.axhline(level, color=palette().faint, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0.6)
    ax.set_ylim(-0.06, 1.06)
    ax.set_yticks([UNDECIDED[0], 0.5, UNDECIDED[1]])


def draw_probability(ax: Axes, regime: RegimeAdvantage, shown: Sequence[float], *, width: float) -> None:
    """Draw how probable it is along budgets that pools of a regime lose less.

    Parameters
    ----------
    ax
        The axes.
    regime
        Draws of the advantage.
    shown
        Budgets of a table.
    width
        Width of the panel in inches.
    """
    set_budgets(ax, [regime], most=_ticks(width))
    probability_axis(ax)
    share = (regime.draws > 0).mean(axis=0)
    _draw_along(ax, regime, share, shown, "probability")
    panel_words(ax, regime_name(regime), crossover_words(regime), width - 0.35)
    # Panels of a column have the same budgets, whose numbers stand below.
    ax.tick_params(labelbottom=False)


def _ticks(width: float) -> int:
    return int(np.clip(width / 0.62, 2, 5))


def _draw_along(ax: Axes, regime: RegimeAdvantage, values: np.ndarray, shown: Sequence[float], name: str) -> None:
    """Draw values along budgets: as a line, and where they change by steps as points before these."""
    colours: Any = palette()
    if regime.steps:
        ax.plot(
            regime.budgets,
            values,
            color=colours.context,
            linewidth=BEHIND,
            drawstyle="steps-post",
            zorder=1.5,
            label=f"_steps {name}",
        )
        at = np.isin(regime.budgets, shown)
        # Points, which a page tells one by one; between them nothing is in between.
        ax.scatter(
            regime.budgets[at], values[at], s=14, color=colours.line, linewidths=0, zorder=3, label=f"_shown {name}"
        )
        return
    marks: Any = {"marker": "o", "markersize": 3} if len(regime.budgets) < FEW else {}
    ax.plot(regime.budgets, values, color=colours.line, linewidth=1.6, zorder=3, label=f"_{name}", **marks)


def draw_advantage(ax: Axes, regime: RegimeAdvantage, shown: Sequence[float], interval: float, *, width: float) -> None:
    """Draw by how much pools of a regime lose less along budgets, and where they begin to.

    Parameters
    ----------
    ax, regime, shown, width
        As in `draw_probability`.
    interval
        Level of the equal-tailed intervals.
    """
    set_budgets(ax, [regime], most=_ticks(width))
    colours, tails = palette(), [(1 - interval) / 2, (1 + interval) / 2]
    ax.grid(axis="y", color=colours.context, alpha=0.4, linewidth=0.6)
    lower, upper = np.quantile(regime.draws, tails, axis=0)
    if regime.steps:
        at = np.isin(regime.budgets, shown)
        ax.vlines(
            regime.budgets[at], lower[at], upper[at], color=colours.line, linewidth=1.4, zorder=2.9, label="_advantage"
        )
    else:
        ax.fill_between(
            regime.budgets, lower, upper, color=colours.line, alpha=BAND, linewidth=0, zorder=1, label="_advantage"
        )
    _draw_along(ax, regime, np.median(regime.draws, axis=0), shown, "median")
    ax.axhline(0, color=colours.ink, linewidth=0.9, zorder=2)
    crossing = regime.crossing[np.isfinite(regime.crossing)]
    if len(crossing) >= UNDECIDED[0] * len(regime.crossing):
        first, median, last = np.quantile(crossing, [tails[0], 0.5, tails[1]])
        ax.plot([first, last], [0, 0], color=colours.other, linewidth=3, solid_capstyle="butt", zorder=4)
        ax.plot([median], [0], color=colours.other, marker="|", markersize=11, markeredgewidth=2.2, zorder=5)


def crossover_words(regime: RegimeAdvantage) -> str:
    """Say how probable it is that pools are better at every budget, and that there is a crossover."""
    share, everywhere = float(np.isfinite(regime.crossing).mean()), float(better_everywhere(regime).mean())
    # A line ends between the two, not inside.
    told = (f"P(always better) {_probability(everywhere)};", f"P(crossover) {_probability(share)}")
    return " ".join(words.replace(" ", NO_BREAK) for words in told)


def _probability(share: float) -> str:
    text = share_text(share)
    return text.replace("over", ">").replace("under", "<") if " " in text else f"= {text}"


def advantage_range(regimes: Sequence[RegimeAdvantage], shown: Sequence[float], interval: float) -> tuple[float, float]:
    """Return a range of advantages with all bands and zero, and some air; what reaches far beyond all medians is cut.

    Of what changes by steps the budgets of a table count.
    """
    kept = [each.draws[:, np.isin(each.budgets, shown)] if each.steps else each.draws for each in regimes]
    middles = np.concatenate([np.median(draws, axis=0) for draws in kept])
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    ends = np.concatenate([np.quantile(draws, tails, axis=0).ravel() for draws in kept])
    reach = 3 * np.abs(middles).max()
    low, high = min(0.0, max(ends.min(), -reach)), max(0.0, min(ends.max(), reach))
    air = AIR * (high - low or 1.0)
    return low - air, high + air
