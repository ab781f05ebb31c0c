"""The picture of gains against diversity: what pools gain over their best member, by how different members are."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import rankdata

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import accepts, texts
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, body_below, panels_beside, root_of, width_of
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import house_style
from bayeslaw.plotting.size_marks import crowd_words, draw_by_size, size_marks
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS

NUMBERS = ("effective_families", "decorrelation", "win_entropy")
AXIS_WORDS = {
    "families": "families",
    "effective_families": "effective families",
    "decorrelation": "1 − correlation",
    "win_entropy": "win entropy (nats)",
}
AIR = 0.06
WIDEST = 4.2


@accepts(pools=any_table, numbers=texts, figure=a_figure)
def plot_diversity(pools: xr.Dataset, *, numbers: Sequence[str] = NUMBERS, figure: Canvas | None = None) -> Figure:
    """Draw what pools gain over their best member against how different their members are, a panel a number.

    Each panel names the rank correlation (Spearman) over all pools and over those of each size: larger pools are both
    more diverse and gain more, so that the one over all pools says little of diversity by itself.

    Parameters
    ----------
    pools
        Pools as `bayeslaw.make_pools` returns them.
    numbers
        Which of `bayeslaw.pools.diversity_numbers.DIVERSITY_NUMBERS`.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into.

    Raises
    ------
    InputError
        If this is no table of pools, none of its pools has a gain, or a number is not known.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> pools = bl.make_pools(bl.simulate_losses(samples=60, clusters=20, families=2, sizes=2), max_size=3)
    >>> len(bl.plot_diversity(pools, numbers=["decorrelation"]).axes)
    1
    """
    names = [check_choice("diversity number", name, DIVERSITY_NUMBERS) for name in numbers]
    if not names:
        raise InputError("no diversity number is given", f"some of {', '.join(DIVERSITY_NUMBERS)}", "leave numbers out")
    gain, sizes = _gains(pools)
    several = (sizes > 1) & np.isfinite(gain)
    width = width_of(figure)
    with house_style(width):
        marks, columns = size_marks(sizes[several]), panels_beside(len(names), width)
        rows = -(-len(names) // columns)
        rule = str(pools.attrs.get("rule", "")) or "unknown"
        told = Heading(
            f"What {rule} pools gain over their best member, by diversity",
            tuple(
                filter(
                    None,
                    (
                        f"{int(several.sum()):,} pools; r: rank correlation with the gain, over all pools and by size",
                        crowd_words(int(several.sum())),
                    ),
                )
            ),
            tuple(mark.handle for mark in marks.values()),
        )
        height = rows * (0.72 * min(width / columns, WIDEST) + 0.5) + 0.1
        body = body_below(figure, told, width=width, height=height)
        axes = body.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        for ax, name in zip(axes, names, strict=False):
            values = pools[name].to_numpy().astype(float)[several]
            for limits, each in ((ax.set_xlim, values), (ax.set_ylim, gain[several])):
                air = AIR * (np.ptp(each) or 1.0)
                limits(float(each.min() - air), float(each.max() + air))
            ax.axhline(0, color=palette().faint, linewidth=0.8, zorder=1)
            draw_by_size(ax, values, gain[several], sizes[several], marks=marks)
            ax.set_xlabel(AXIS_WORDS.get(name, name.replace("_", " ")))
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            ax.set_title(correlation_words(values, gain[several], sizes[several]), fontsize="small")
        body.supylabel(f"gain ({pools.attrs.get('loss_unit', 'unit unknown')})", fontsize="medium")
    return root_of(body)


def _gains(pools: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Gains and numbers of members, each [pool]."""
    if pools.attrs.get("kind") != "pools" or "gain" not in pools:
        raise InputError(
            f"this is a table of {pools.attrs.get('kind', 'an unknown kind')}",
            "a table of pools",
            "form pools first: bl.make_pools(losses), or bayeslaw pools TABLE --out POOLS",
        )
    gain, sizes = pools["gain"].to_numpy().astype(float), pools["size"].to_numpy()
    if not ((sizes > 1) & np.isfinite(gain)).any():
        raise InputError(
            "no pool of two members or more has a gain",
            "pools of two or more on a table of two clusters or more",
            "make pools with --max-size 2 or more",
        )
    return gain, sizes


def correlation_words(values: np.ndarray, gain: np.ndarray, sizes: np.ndarray) -> str:
    """Write rank correlations over all pools and by size; a number that does not vary has none."""
    parts = [_correlation(values, gain)]
    different = np.unique(sizes)
    if len(different) > 1:
        correlations = [_correlation(values[sizes == size], gain[sizes == size]) for size in different]
        parts.append(f"by size {', '.join(correlations)}")
    return "r = " + "; ".join(parts)


def _correlation(one: np.ndarray, other: np.ndarray) -> str:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return "–"
    return f"{float(np.corrcoef(rankdata(one), rankdata(other))[0, 1]):.2f}".replace("-", "−")
