"""The picture of the claims: what the prior and what the posterior say of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayeslaw.diagnosis.claim_probabilities import claim_differences, claims
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import accepts
from bayeslaw.laws.results import Claim
from bayeslaw.losses.sizes import count_label
from bayeslaw.plotting.canvas import Canvas, Heading, a_figure, axis_words, body_below, root_of, width_of
from bayeslaw.plotting.kernel_density import kernel_density
from bayeslaw.plotting.palettes import palette
from bayeslaw.plotting.plot_style import house_style

GRID_POINTS = 600
SEEN = 0.01
PRIOR_SHOWN = (0.04, 0.96)
POSTERIOR_SHOWN = (0.001, 0.999)
MOST_WIDENED = 3.0
SURE = 0.95
DASHES = (0, (4, 2))
HATCH = "/////"
ROW, TITLED, NARROWEST_COLUMN = 0.42, 0.75, 3.7
HIGH = 0.9
"""Height of a density in rows."""
BEYOND = " †"
BESIDE = 1.15
"""Room beside a panel for its budgets and probabilities, in inches."""


@accepts(fit=a_fit, figure=a_figure)
def plot_claims(fit: Fit, *, figure: Canvas | None = None) -> Figure:
    """Draw what prior and posterior say of the paper's claims.

    Each panel is what is claimed of two groups, at one budget or several, as differences that are positive where the
    claim holds, with the probability of that before and after the data; those about the same two groups stand in one
    column. Two lines say what to read from them.

    Parameters
    ----------
    fit
        A fit of the collaboration or the diversity law that kept its prior.
    figure
        Figure or SubFigure to draw into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn into. A new one belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the fit makes none of the claims, or was saved without its prior.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.plot_claims(bl.load_fit("fit.nc")).savefig("claims.png")  # doctest: +SKIP
    """
    stated = claims(fit)
    if not stated:
        names = ", ".join(fit.model.groups)
        raise InputError(
            f"this fit of the {fit.law.name} law has groups {names or 'none'}, and says nothing of the claims",
            "a collaboration law whose floor or exponent differs between single, homogeneous and heterogeneous pools",
            "fit --law collaboration to pools, or draw --what law",
        )
    pairs = list(dict.fromkeys(_pair(claim) for claim in stated))
    width = width_of(figure)
    beside = 1 if width / len(pairs) < NARROWEST_COLUMN else len(pairs)
    panels = [
        [_alike(stated, pair, quantity) for pair in pairs] for quantity in dict.fromkeys(c.quantity for c in stated)
    ]
    # Pairs of groups stand side by side, or all panels below each other.
    lines = panels if beside > 1 else [[panel] for line in panels for panel in line]
    heights = [ROW * max(map(len, line)) + TITLED for line in lines]
    with house_style(width):
        heading = Heading(f"Claims of the {fit.law.name} law", reading(stated), _handles())
        body = body_below(figure, heading, width=width, height=sum(heights))
        axes = body.subplots(len(lines), beside, squeeze=False, gridspec_kw={"height_ratios": heights})
        for ax, panel in zip(axes.ravel(), [panel for line in lines for panel in line], strict=True):
            if panel:
                _draw_panel(ax, fit, panel, width / beside)
            else:
                ax.set_axis_off()
    return root_of(body)


def _alike(stated: Sequence[Claim], pair: frozenset[str], quantity: str) -> list[Claim]:
    """Return what is claimed of one quantity of two groups, at whatever budget."""
    return [claim for claim in stated if _pair(claim) == pair and claim.quantity == quantity]


def reading(stated: Sequence[Claim]) -> tuple[str, str]:
    """Say in two lines what the claims come to, and how their panels are read."""
    held = sum(claim.probability > SURE for claim in stated)
    failed = sum(claim.probability < 1 - SURE for claim in stated)
    left = len(stated) - held - failed
    return (
        f"Of {len(stated)} claims {held} hold with a probability over {SURE:g} and {failed} fail with one; "
        f"the data leave {left} open.",
        "Right of the line at 0 a claim holds; its posterior probability stands at the right, and densities have one "
        "height."
        + (f" At budgets with{BEYOND} nothing was seen." if any(claim.extrapolation > 0 for claim in stated) else ""),
    )


def _pair(claim: Claim) -> frozenset[str]:
    """Name the groups that a claim compares, whichever of them it says has the larger value."""
    return frozenset((claim.larger, claim.smaller))


def _handles() -> tuple[Patch, ...]:
    colours = palette()
    return (
        Patch(facecolor=colours.context, edgecolor=colours.faint, linestyle=DASHES, label="prior"),
        Patch(facecolor=colours.line, label="posterior, claim holds"),
        Patch(facecolor=colours.ground, edgecolor=colours.other, hatch=HATCH, label="posterior, claim fails"),
    )


def _draw_panel(ax: Axes, fit: Fit, panel: Sequence[Claim], width: float) -> None:
    windows = [_window(fit, claim) for claim in panel]
    window = min(low for low, _ in windows), max(high for _, high in windows)
    for place, claim in enumerate(panel):
        _draw_claim(ax, fit, claim, window, len(panel) - 1 - place)
    first = panel[0]
    ax.axvline(0, color=palette().ink, linewidth=1, zorder=5)
    ax.set_xlim(*window)
    ax.set_ylim(-0.04, len(panel))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    names = [_budget(claim) for claim in reversed(panel)]
    ax.set_yticks(np.arange(len(panel)) + 0.32 if any(names) else [], names if any(names) else [])
    ax.xaxis.set_major_locator(MaxNLocator(6 if width > NARROWEST_COLUMN else 4, steps=[1, 2, 2.5, 5, 10]))
    ax.set_title(axis_words(claim_words(first), width - BESIDE), fontsize="medium", pad=3)
    label = f"{first.quantity} of {first.larger} − {first.smaller} ({first.unit})"
    ax.set_xlabel(axis_words(label, width - 0.2), fontsize="small", labelpad=2)


def claim_words(claim: Claim) -> str:
    """Write what is claimed, at whatever budget."""
    words = claim.claim[0].upper() + claim.claim[1:]
    return words if claim.budget is None else words.removesuffix(f" at {count_label(claim.budget)} parameters")


def _budget(claim: Claim) -> str:
    if claim.budget is None:
        return ""
    return f"{count_label(claim.budget)}{BEYOND if claim.extrapolation > 0 else ''}"


def _draw_claim(ax: Axes, fit: Fit, claim: Claim, window: tuple[float, float], base: int) -> None:
    colours, grid = palette(), np.union1d(np.linspace(*window, GRID_POINTS), 0.0)
    prior, posterior = (
        base + HIGH * _density(claim_differences(fit, claim, group=group), grid) for group in ("prior", "posterior")
    )
    ax.fill_between(grid, base, prior, color=colours.context, alpha=0.7, linewidth=0, zorder=1, label="_prior")
    ax.plot(grid, prior, color=colours.faint, linestyle=DASHES, linewidth=0.9, zorder=2)
    holds: Any = {"color": colours.line, "alpha": 0.85, "linewidth": 0}
    ax.fill_between(grid, base, posterior, where=grid >= 0, zorder=3, label="_posterior", **holds)
    fails: Any = {"facecolor": colours.ground, "edgecolor": colours.other, "hatch": HATCH, "linewidth": 0}
    ax.fill_between(grid, base, posterior, where=grid <= 0, zorder=3, **fails)
    seen = np.flatnonzero(posterior - base > SEEN)
    shown = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0)
    ax.plot(grid[shown], posterior[shown], color=colours.line, linewidth=1.1, zorder=4)
    ax.axhline(base, color=colours.faint, linewidth=0.5, zorder=1)
    text: Any = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "fontsize": "small"}
    ax.annotate(probability_text(claim.probability), (1, base + 0.42), (6, 0), fontweight="bold", **text)
    told = f"prior {probability_text(claim.prior_probability)}"
    ax.annotate(told, (1, base + 0.04), (6, 0), color=colours.muted, **text)


def _window(fit: Fit, claim: Claim) -> tuple[float, float]:
    """Range of differences that holds zero, all but the tails of the posterior, and so much of the prior as it can."""
    prior, posterior = (
        np.quantile(claim_differences(fit, claim, group=group), shown)
        for group, shown in (("prior", PRIOR_SHOWN), ("posterior", POSTERIOR_SHOWN))
    )
    # A prior of losses may be a hundred times as wide as what the data leave.
    reach = MOST_WIDENED * np.abs(posterior).max()
    ends = [0.0, *posterior, *np.clip(prior, -reach, reach)]
    air = 0.04 * (max(ends) - min(ends))
    return min(ends) - air, max(ends) + air


def _density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Estimate a density, scaled to a peak of one; shape ``[point]``."""
    density = kernel_density(draws, grid)
    return density / max(density.max(), np.finfo(float).tiny)


def probability_text(probability: float) -> str:
    """Write a probability of draws to the digits that some thousands of them support."""
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.{2 if 0.01 <= probability <= 0.99 else 3}f}"
