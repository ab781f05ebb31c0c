"""Pictures of a fit, by name, and writing them to a file."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from matplotlib.figure import Figure

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_choice, a_level, a_path, accepts
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.claims_plot import plot_claims
from bayeslaw.plotting.decision_pictures import no_members, pareto_figure
from bayeslaw.plotting.law_plot import plot_law
from bayeslaw.plotting.plot_style import check_picture_file, house_style, is_picture, write_figure
from bayeslaw.plotting.when_plot import plot_when

__all__ = ["PLOTS", "check_plot", "plot_claims", "plot_law", "plot_when", "save_plot"]

LARGEST_PAIR = 9


@accepts(fit=a_fit, path=a_path, what=a_choice(lambda: PLOTS, called="plot"), interval=a_level)
def save_plot(fit: Fit, path: str | os.PathLike[str], *, what: str = "law", interval: float = 0.9) -> None:
    """Draw a picture of a fit and write it to a file; the same fit gives the same bytes.

    Parameters
    ----------
    fit
        A fitted law.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``; replaced atomically.
    what
        A key of `PLOTS`: ``"law"``, ``"claims"``, ``"when"``, ``"pareto"`` (of a joint fit: pools of up to three of its
        models), or one of ArviZ's pictures of the posterior. ``"attainability"`` is refused: it needs members, which
        `bayeslaw.save_attainability` takes.
    interval
        Level of the equal-tailed intervals, where the picture has them.

    Raises
    ------
    InputError
        If the ending or the picture is not known, the interval lies outside (0, 1), the fit lacks what the picture
        shows, or the file cannot be written. Nothing is written then.
    """
    check_output_file(check_picture_file(path))
    with _closing_new_figures():
        write_figure(PLOTS[what](fit, interval), path)


def check_plot(path: str | os.PathLike[str], *, what: str = "law", interval: float = 0.9, inputs: Inputs = ()) -> None:
    """Refuse early a picture that could not be drawn or written; nothing is created.

    Parameters
    ----------
    path, what, interval
        As in `save_plot`.
    inputs
        What the picture is made of, which it may not replace.

    Raises
    ------
    InputError
        If the ending or the picture is not known, the interval lies outside (0, 1), or the file cannot be written.
    """
    check_output_file(check_picture_file(path), replaceable=is_picture, inputs=inputs)
    check_choice("plot", what, PLOTS)
    a_level("interval", interval)


@contextmanager
def _closing_new_figures() -> Iterator[None]:
    """Close the figures that ArviZ opens: it draws through pyplot, which keeps them, and notebooks show them."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def _draw(fit: Fit, name: str, *, needs: str, interval: float, **arguments: Any) -> Figure:
    """Call a function of arviz_plots on the tree of a fit."""
    import arviz_base
    import arviz_plots

    fit = fit.with_groups([needs])
    _check_kept(fit, needs)
    settings = {"stats.ci_prob": interval, "stats.ci_kind": "eti", "plot.max_subplots": 200}
    with house_style(), arviz_base.rc_context(settings):
        collection = getattr(arviz_plots, name)(fit.tree, backend="matplotlib", **arguments)
    return collection.viz["figure"].item()


def _check_kept(fit: Fit, group: str) -> None:
    if group not in fit.tree.children:
        raise InputError(
            f"this fit was saved without its {group}", "a fit that keeps it", f"fit again with --keep {group}"
        )


def _parameters(fit: Fit) -> list[str]:
    return [parameter.name for parameter in fit.model.parameters]


def _few_parameters(fit: Fit) -> list[str]:
    """As many parameters, with all their groups, as a square of panels can hold, floors and exponents first."""
    sizes, law = {name: array[0].size for name, array in fit.values().items()}, fit.law
    roles = [law.asymptote, *chain.from_iterable(law.exponents.values()), *law.amplitudes]
    # A law need not have any of these.
    first, *others = dict.fromkeys([*(name for name in roles if name), *_parameters(fit)])
    chosen = [first]
    for name in others:
        if sum(sizes[each] for each in [*chosen, name]) <= LARGEST_PAIR:
            chosen.append(name)
    return chosen


def _trace(fit: Fit, interval: float) -> Figure:
    return _draw(
        fit, "plot_trace_dist", needs="posterior", interval=interval, var_names=_parameters(fit), compact=False
    )


def _forest(fit: Fit, interval: float) -> Figure:
    return _draw(
        fit,
        "plot_forest",
        needs="posterior",
        interval=interval,
        var_names=_parameters(fit),
        combined=True,
        ci_probs=(interval / 2, interval),
    )


def _pair(fit: Fit, interval: float) -> Figure:
    return _draw(
        fit,
        "plot_pair",
        needs="posterior",
        interval=interval,
        var_names=_few_parameters(fit),
        visuals={"scatter": {"alpha": 0.1, "linewidths": 0}},
    )


def _prior_posterior(fit: Fit, interval: float) -> Figure:
    return _draw(fit, "plot_prior_posterior", needs="prior", interval=interval, var_names=_parameters(fit))


def _predictive(fit: Fit, interval: float) -> Figure:
    return _draw(fit, "plot_ppc_dist", needs="posterior_predictive", interval=interval)


PLOTS: Mapping[str, Callable[[Fit, float], Figure]] = {
    "law": lambda fit, interval: plot_law(fit, interval=interval),
    "claims": lambda fit, _: plot_claims(fit),
    "when": lambda fit, interval: plot_when(fit, interval=interval),
    "pareto": lambda fit, interval: pareto_figure(fit, interval=interval),
    "attainability": no_members,
    "trace": _trace,
    "forest": _forest,
    "pair": _pair,
    "prior_posterior": _prior_posterior,
    "ppc": _predictive,
}
"""Pictures by name: functions of a fit and the level of its intervals."""
