"""Pictures by name, of fits, pools and tables of losses, and writing them to a file."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from matplotlib.figure import Figure

from bayeslaw.errors import InputError, check_choice
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_choice, a_level, a_path, accepts, optional, texts
from bayeslaw.inputs.output_paths import Inputs, check_output_file
from bayeslaw.plotting.claims_plot import plot_claims
from bayeslaw.plotting.co_failure_plot import plot_co_failure
from bayeslaw.plotting.decision_pictures import attainability_figure, pareto_figure
from bayeslaw.plotting.diversity_plot import plot_diversity
from bayeslaw.plotting.forest_plot import plot_forest
from bayeslaw.plotting.law_plot import plot_law
from bayeslaw.plotting.matched_plot import plot_matched
from bayeslaw.plotting.picture_files import a_width, closing_new_figures, write_picture
from bayeslaw.plotting.plot_style import check_picture_file, is_page, is_picture, write_page
from bayeslaw.plotting.pool_size_plot import plot_pool_sizes
from bayeslaw.plotting.posterior_pictures import POSTERIOR_PICTURES
from bayeslaw.plotting.predicted_plot import plot_predicted
from bayeslaw.plotting.predictive_plot import plot_predictive
from bayeslaw.plotting.when_plot import plot_when
from bayeslaw.pools.advantages import advantage

__all__ = ["BACKENDS", "OF_POOLS", "PLOTS", "TABLE_PLOTS", "Choices", "check_plot", "plot_posterior", "save_plot"]

BACKENDS = ("matplotlib", "plotly")
PLOTLY = ("plotly", "webcolors")


@dataclass(frozen=True)
class Choices:
    """What is asked of a picture beside its name.

    Parameters
    ----------
    interval
        Level of the equal-tailed intervals, where the picture has them.
    groups
        Regimes or families, where the picture has some of them.
    against
        Table to compare predictions with, where the picture has them.
    members
        Names of models, where the picture is of one pool.
    max_size
        Largest number of members, where pools are formed for the picture.
    limits
        Other limits of pools, the rule and the cost, as of `bayeslaw.choose`, where the picture is of a choice.
    """

    interval: float = 0.9
    groups: tuple[str, ...] | None = None
    against: Any = None
    members: tuple[str, ...] | None = None
    max_size: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)


def _pareto(losses: Any, asked: Choices) -> Figure:
    return pareto_figure(losses, interval=asked.interval, max_size=asked.max_size, **asked.limits)


def _attainability(losses: Any, asked: Choices) -> Figure:
    return attainability_figure(losses, asked.members, interval=asked.interval)


def _of_arviz(name: str) -> Callable[[Fit, Choices], Figure]:
    return lambda fit, asked: POSTERIOR_PICTURES[name](fit, interval=asked.interval, backend="matplotlib")


PLOTS: Mapping[str, Callable[[Fit, Choices], Figure]] = {
    "law": lambda fit, asked: plot_law(fit, interval=asked.interval, groups=asked.groups),
    "claims": lambda fit, asked: plot_claims(fit),
    "when": lambda fit, asked: plot_when(fit, interval=asked.interval, regimes=asked.groups),
    "pareto": _pareto,
    "attainability": _attainability,
    "predicted": lambda fit, asked: plot_predicted(fit, asked.against, interval=asked.interval),
    "predictive": lambda fit, asked: plot_predictive(fit, interval=asked.interval),
    "forest": lambda fit, asked: plot_forest(fit, interval=asked.interval),
    **{name: _of_arviz(name) for name in ("trace", "pair", "prior_posterior", "ppc")},
}
"""Pictures of fits by name."""
TABLE_PLOTS: Mapping[str, Callable[[Any, Choices], Figure]] = {
    "pareto": _pareto,
    "attainability": _attainability,
    "pool_sizes": lambda losses, asked: plot_pool_sizes(losses, max_size=asked.max_size),
    "matched": lambda losses, asked: plot_matched(advantage(losses, interval=asked.interval, max_size=asked.max_size)),
    "co_failure": lambda losses, asked: plot_co_failure(losses, members=asked.members, interval=asked.interval),
    "diversity": lambda pools, asked: plot_diversity(pools),
}
"""Pictures of tables by name: of losses, or of pools where they are among `OF_POOLS`."""
OF_POOLS = ("diversity",)


@accepts(
    fit=a_fit,
    path=a_path,
    what=a_choice(lambda: PLOTS, called="plot"),
    interval=a_level,
    groups=optional(texts),
    width=a_width,
    backend=a_choice(BACKENDS),
)
def save_plot(
    fit: Fit,
    path: str | os.PathLike[str],
    *,
    what: str = "law",
    interval: float = 0.9,
    groups: Any = None,
    width: float | None = None,
    backend: str = "matplotlib",
) -> None:
    """Draw a picture of a fit and write it to a file; the same fit gives the same bytes.

    Parameters
    ----------
    fit
        A fitted law.
    path
        Where to, ending in ``.png``, ``.svg`` or ``.pdf``, or in ``.html`` for plotly; replaced atomically.
    what
        A key of `PLOTS`: ``"law"``, ``"claims"``, ``"when"``, ``"pareto"`` (of a joint fit: pools of up to three of its
        models), ``"predicted"``, ``"predictive"``, ``"forest"``, or one of ArviZ's pictures of the posterior.
        ``"attainability"`` is refused: it needs members, which `bayeslaw.save_attainability` takes.
    interval
        Level of the equal-tailed intervals, where the picture has them.
    groups
        Regimes or families of the picture of the law, as of `bayeslaw.plot_law`, or regimes of that of ``"when"``,
        as of `bayeslaw.plot_when`.
    width
        Width in inches, such as 3.3 for a column of a paper; by default that of the settings of Matplotlib.
    backend
        ``"matplotlib"``, or ``"plotly"`` for the pictures that ArviZ draws with it: see `plot_posterior`.

    Raises
    ------
    InputError
        If the ending or the picture is not known, the interval lies outside (0, 1), the fit lacks what the picture
        shows, plotly is asked for and missing or has no such picture, or the file cannot be written. Nothing is written
        then.

    Examples
    --------
    With a fit of models of five families:

    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> bl.save_plot(fit, "law.png", what="law")
    >>> Path("law.png").exists()
    True
    """
    check_backend(what, backend)
    check_output_file(check_picture_file(path, page=backend == "plotly"))
    if backend == "plotly":
        write_page(plot_posterior(fit, what, interval=interval, backend=backend), path)
        return
    asked = Choices(interval=interval, groups=None if groups is None else tuple(groups))
    write_picture(lambda: PLOTS[what](fit, asked), path, width=width)


@accepts(fit=a_fit, what=a_choice(lambda: (*POSTERIOR_PICTURES,)), interval=a_level, backend=a_choice(BACKENDS))
def plot_posterior(fit: Fit, what: str = "forest", *, interval: float = 0.9, backend: str = "matplotlib") -> Any:
    """Draw the posterior by ArviZ.

    Parameters
    ----------
    fit
        A fitted law.
    what
        ``"forest"``, ``"pair"`` (of the few numbers that depend most on each other), ``"trace"``,
        ``"prior_posterior"`` or ``"ppc"``.
    interval
        Level of the equal-tailed intervals.
    backend
        ``"matplotlib"``, or ``"plotly"`` where it is installed.

    Returns
    -------
    matplotlib.figure.Figure or plotly.graph_objects.Figure
        The figure.

    Raises
    ------
    InputError
        If the picture has no such form, plotly is not installed, or the fit lacks what the picture shows.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> bl.plot_posterior(fit, "pair").savefig("pair.png")
    >>> bl.plot_posterior(fit, "pair", backend="plotly").show()  # doctest: +SKIP
    """
    check_backend(what, backend)
    if backend == "plotly":
        return _bare(POSTERIOR_PICTURES[what](fit, interval=interval, backend=backend))
    with closing_new_figures():
        return POSTERIOR_PICTURES[what](fit, interval=interval, backend=backend)


def check_backend(what: str, backend: str) -> None:
    """Refuse a backend that is not installed, or that a picture has no form for.

    Raises
    ------
    InputError
        If it is so.
    """
    check_choice("backend", backend, BACKENDS)
    if backend != "plotly":
        return
    if what not in POSTERIOR_PICTURES:
        raise InputError(
            f"the picture {what} has no form for plotly",
            f"one that ArviZ draws: {', '.join(POSTERIOR_PICTURES)}",
            "leave out the backend",
        )
    if missing := [name for name in PLOTLY if find_spec(name) is None]:
        raise InputError(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed",
            f"an environment with {' and '.join(PLOTLY)}, which ArviZ draws with",
            f"pip install {' '.join(missing)}, or leave out the backend",
        )


def _bare(figure: Any) -> Any:
    """Return the figure of plotly that ArviZ wraps."""
    return getattr(figure, "chart", figure)


def check_plot(
    path: str | os.PathLike[str],
    *,
    what: str = "law",
    interval: float = 0.9,
    backend: str = "matplotlib",
    inputs: Inputs = (),
) -> None:
    """Refuse early a picture that could not be drawn or written; nothing is created.

    Parameters
    ----------
    path, what, interval, backend
        As in `save_plot`, or pictures of `TABLE_PLOTS`.
    inputs
        What the picture is made of, which it may not replace.

    Raises
    ------
    InputError
        If the ending or the picture is not known, the interval lies outside (0, 1), or the file cannot be written.
    """
    check_choice("plot", what, tuple(dict.fromkeys((*PLOTS, *TABLE_PLOTS))))
    check_backend(what, backend)
    page = backend == "plotly"
    check_output_file(check_picture_file(path, page=page), replaceable=is_page if page else is_picture, inputs=inputs)
    a_level("interval", interval)
