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
from bayeslaw.plotting.palettes import palette, usual_width
from bayeslaw.plotting.plot_style import NARROW, house_style

PAIRED, PAIRED_NARROW = 4, 3
"""How many numbers are paired with each other, on wide pictures and narrow ones."""
MOST_NUMBERS = 24
"""How many panels other pictures may have."""
REPLICATES = 50
POSTERIOR_SHOWN, PRIOR_SHOWN = (0.0005, 0.9995), (0.05, 0.95)
MOST_WIDENED = 1.5


def draw_trace(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the densities of the numbers of a law, and their draws in the order they were drawn."""
    chosen = numbers_of(fit, "posterior")[:MOST_NUMBERS]
    return _draw(fit, "plot_trace_dist", _tree(fit, chosen), interval=interval, backend=backend, compact=False)


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
    return _draw(fit, "plot_pair", _tree(fit, chosen), interval=interval, backend=backend, visuals=visuals)


def draw_prior_posterior(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the densities of the numbers of a law before and after the data."""
    check_kept(fit, "prior")
    rows = numbers_of(fit, "posterior")[:MOST_NUMBERS]
    before = {_name(row): row for row in numbers_of(fit, "prior")}
    tree = _tree(fit, rows)
    tree["prior"] = _dataset(fit, [before[_name(row)] for row in rows], "prior")
    drawn = _draw(fit, "plot_prior_posterior", tree, interval=interval, backend=backend, collection=True)
    if backend == "matplotlib":
        for row in rows:
            drawn.viz["plot"][_name(row)].item().set_xlim(*_window(before[_name(row)].draws, row.draws))
    return drawn.viz["figure"].item()


def draw_replicates(fit: Fit, *, interval: float, backend: str) -> Any:
    """Draw the density of the rows observed and those of replicated tables."""
    fit = fit.with_groups(["posterior_predictive"])
    check_kept(fit, "posterior_predictive")
    drawn = _draw(
        fit, "plot_ppc_dist", fit.tree, interval=interval, backend=backend, num_samples=REPLICATES, collection=True
    )
    figure = drawn.viz["figure"].item()
    if backend == "matplotlib":
        for ax in figure.axes:
            ax.set_title("")
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


def _name(row: ForestRow) -> str:
    return f"{row.parameter}, {row.group}" if row.group else row.parameter


def _dataset(fit: Fit, rows: Sequence[ForestRow], group: str) -> xr.Dataset:
    sizes = fit.tree[group].sizes
    shape = (sizes["chain"], sizes["draw"])
    return xr.Dataset({_name(row): (("chain", "draw"), row.draws.reshape(shape)) for row in rows})


def _tree(fit: Fit, rows: Sequence[ForestRow]) -> xr.DataTree:
    """Make a tree of single numbers, which all pictures of ArviZ take, of a length that can be read."""
    groups: dict[str, xr.Dataset] = {"posterior": _dataset(fit, rows, "posterior")}
    if "sample_stats" in fit.tree.children:
        groups["sample_stats"] = fit.tree["sample_stats"].to_dataset()
    return xr.DataTree.from_dict(groups)


def _draw(
    fit: Fit,
    name: str,
    tree: xr.DataTree,
    *,
    interval: float,
    backend: str,
    collection: bool = False,
    **arguments: Any,
) -> Any:
    """Call a function of arviz_plots."""
    import arviz_base
    import arviz_plots

    settings = {"stats.ci_prob": interval, "stats.ci_kind": "eti", "plot.max_subplots": 200}
    width = usual_width()
    ours: AbstractContextManager[Any] = house_style(width) if backend == "matplotlib" else nullcontext()
    with ours, arviz_base.rc_context(settings):
        drawn = getattr(arviz_plots, name)(tree, backend=backend, **arguments)
        figure = drawn.viz["figure"].item()
        if isinstance(figure, Figure):
            # ArviZ makes panels of one size; ours are as wide as all other pictures.
            high = figure.get_figheight() / figure.get_figwidth()
            figure.set_size_inches(width, max(width * high, 1.6))
            for text in figure.texts:
                text.set_color(palette().ink)
    return drawn if collection else figure


def _window(prior: np.ndarray, posterior: np.ndarray) -> tuple[float, float]:
    """Range that holds the posterior, and so much of the prior as leaves the posterior to be seen."""
    low, high = np.quantile(posterior, POSTERIOR_SHOWN)
    room = MOST_WIDENED * (high - low)
    below, above = np.quantile(prior, PRIOR_SHOWN)
    return min(low, max(below, low - room)), max(high, min(above, high + room))


POSTERIOR_PICTURES: Mapping[str, Callable[..., Any]] = {
    "trace": draw_trace,
    "forest": draw_forest,
    "pair": draw_pairs,
    "prior_posterior": draw_prior_posterior,
    "ppc": draw_replicates,
}
"""ArviZ's pictures by name; all of them have a form for plotly."""
