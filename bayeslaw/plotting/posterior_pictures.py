"""ArviZ's pictures of a fit: traces, pairs, prior against posterior, and replicated rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.plotting.forest_plot import ForestRow, rows_by_unit
from bayeslaw.plotting.palettes import usual_width
from bayeslaw.plotting.plot_style import NARROW, house_style
from bayeslaw.plotting.prior_panels import plot_prior_posterior

PAIRED, PAIRED_NARROW = 4, 3
"""How many numbers are paired with each other, on wide pictures and narrow ones."""
MOST_NUMBERS, MOST_TRACES = 24, 12
"""How many panels other pictures may have."""
REPLICATES = 50
LOW = 0.45
"""Height of the picture of replicates as a share of its width."""
TRACE = 0.95
"""Height of a number's densities and draws, in inches."""


def draw_trace(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the densities of the numbers of a law, and their draws in the order they were drawn."""
    chosen = numbers_of(fit, "posterior")[:MOST_TRACES]
    figure = _draw("plot_trace_dist", _tree(fit, chosen), interval=interval, backend=backend, compact=False)
    if isinstance(figure, Figure):
        figure.set_size_inches(usual_width(), TRACE * len(chosen) + 0.3)
        for ax in figure.axes:
            # The name stands below the densities already.
            ax.set_ylabel("")
    return figure


def draw_forest(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw intervals of all numbers of a law on one axis."""
    tree = _tree(fit, numbers_of(fit, "posterior"))
    return _draw(
        fit, "plot_forest", tree, interval=interval, backend=backend, combined=True, ci_probs=(interval / 2, interval)
    )


def draw_pairs(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw pairs of the numbers that depend most on each other."""
    rows = numbers_of(fit, "posterior")
    chosen = dependent(rows, PAIRED_NARROW if usual_width() < NARROW else PAIRED)
    visuals = {"scatter": {"alpha": 0.12}} if backend != "matplotlib" else {"scatter": {"alpha": 0.12, "linewidths": 0}}
    figure = _draw("plot_pair", _tree(fit, chosen), interval=interval, backend=backend, visuals=visuals)
    if isinstance(figure, Figure):
        width = usual_width()
        figure.set_size_inches(width, 0.85 * width)
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                axis.label.set_text(axis.label.get_text().replace(", ", "\n"))
    return figure


def draw_prior_posterior(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the densities of the numbers of a law before and after the data."""
    check_kept(fit, "prior")
    rows = numbers_of(fit, "posterior")[:MOST_NUMBERS]
    before = {number_name(row): row for row in numbers_of(fit, "prior")}
    if backend == "matplotlib":
        return plot_prior_posterior(fit, [(before[number_name(row)], row) for row in rows], interval)
    tree = _tree(fit, rows)
    tree["prior"] = _dataset(fit, [before[number_name(row)] for row in rows], "prior")
    return _draw("plot_prior_posterior", tree, interval=interval, backend=backend)


def draw_replicates(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the density of the rows observed and those of replicated tables."""
    fit = fit.with_groups(["posterior_predictive"])
    check_kept(fit, "posterior_predictive")
    figure = _draw("plot_ppc_dist", fit.tree, interval=interval, backend=backend, num_samples=REPLICATES)
    if isinstance(figure, Figure):
        width = usual_width()
        with house_style(width):
            figure.set_size_inches(width, LOW * width)
            for ax in figure.axes:
                ax.set_title("", loc="left")
                # In grey the colours alone would not tell what was observed.
                ax.lines[-1].set_linestyle((0, (5, 1.5)))
                ax.set_xlabel(f"{fit.noise.response.replace('_', ' ')} ({fit.unit})")
                ax.legend(handles=_replicate_handles(ax), loc="upper right")
    return figure


def _replicate_handles(ax: Any) -> list[Line2D]:
    """Entries for what ArviZ drew, in the colours it drew them in: replicates first, what was observed last."""
    replicated, observed = ax.lines[0], ax.lines[-1]
    words = (f"{REPLICATES} replicated tables", "observed rows")
    return [
        Line2D([], [], color=line.get_color(), linestyle=line.get_linestyle(), linewidth=1.5, label=label)
        for line, label in zip((replicated, observed), words, strict=True)
    ]


def numbers_of(fit: Fit, group: str) -> list[ForestRow]:
    """List the numbers of a law with their draws, floors and amplitudes first.

    Parameters
    ----------
    fit
        A fitted law.
    group
        ``"posterior"`` or ``"prior"``.

    Returns
    -------
    list
        A row for each parameter and group.
    """
    return [row for rows in rows_by_unit(fit, group).values() for row in rows]


def dependent(rows: Sequence[ForestRow], count: int) -> list[ForestRow]:
    """Choose the numbers whose draws depend most on each other.

    Parameters
    ----------
    rows
        The numbers, with draws of one length.
    count
        How many.

    Returns
    -------
    list
        The members of the pairs of the largest absolute rank correlations, in their order.
    """
    if len(rows) <= count:
        return list(rows)
    ranks = np.stack([np.argsort(np.argsort(row.draws)) for row in rows])
    strength = np.abs(np.corrcoef(ranks))
    chosen: list[int] = []
    for pair in sorted(combinations(range(len(rows)), 2), key=lambda each: -strength[each]):
        for one in pair:
            if one not in chosen and len(chosen) < count:
                chosen.append(one)
    return [rows[place] for place in sorted(chosen)]


def check_kept(fit: Fit, group: str) -> None:
    """Refuse a fit that was saved without a group of its tree.

    Raises
    ------
    InputError
        If it was.
    """
    if group not in fit.tree.children:
        raise InputError(
            f"this fit was saved without its {group}", "a fit that keeps it", f"fit again with --keep {group}"
        )


def number_name(row: ForestRow) -> str:
    """Name one number of a law."""
    return f"{row.parameter}, {row.group}" if row.group else row.parameter


def _dataset(fit: Fit, rows: Sequence[ForestRow], group: str) -> xr.Dataset:
    sizes = fit.tree[group].sizes
    shape = (sizes["chain"], sizes["draw"])
    return xr.Dataset({number_name(row): (("chain", "draw"), row.draws.reshape(shape)) for row in rows})


def _tree(fit: Fit, rows: Sequence[ForestRow]) -> xr.DataTree:
    """Make a tree of single numbers, which all pictures of ArviZ take, of a length that can be read."""
    groups: dict[str, xr.Dataset] = {"posterior": _dataset(fit, rows, "posterior")}
    if "sample_stats" in fit.tree.children:
        groups["sample_stats"] = fit.tree["sample_stats"].to_dataset()
    return xr.DataTree.from_dict(groups)


def _draw(name: str, tree: xr.DataTree, *, interval: float, backend: str, **arguments: Any) -> Any:
    """Call a function of arviz_plots."""
    import arviz_base
    import arviz_plots

    settings = {"stats.ci_prob": interval, "stats.ci_kind": "eti", "plot.max_subplots": 200}
    ours: AbstractContextManager[Any] = house_style(usual_width()) if backend == "matplotlib" else nullcontext()
    with ours, arviz_base.rc_context(settings):
        return getattr(arviz_plots, name)(tree, backend=backend, **arguments).viz["figure"].item()


POSTERIOR_PICTURES: Mapping[str, Callable[..., Any]] = {
    "trace": draw_trace,
    "forest": draw_forest,
    "pair": draw_pairs,
    "prior_posterior": draw_prior_posterior,
    "ppc": draw_replicates,
}
"""ArviZ's pictures by name; all of them have a form for plotly."""
