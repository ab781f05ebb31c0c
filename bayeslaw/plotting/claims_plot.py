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
ROW, NARROWEST_COLUMN = 1.25, 3.7


@accepts(fit=a_fit, figure=a_figure)
def plot_claims(fit: Fit, *, figure: Canvas | None = None) -> Figure:
    """Draw what prior and posterior say of the paper's claims.

    Each panel is a claim, as a difference that is positive where the claim holds, with the probability of that before
    and after the data; those about the same two groups stand in one column. Two lines say what to read from them.

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
    if width / len(pairs) < NARROWEST_COLUMN:
        pairs = [frozenset().union(*pairs)]
    columns = [[claim for claim in stated if _pair(claim) <= pair] for pair in pairs]
    length = max(map(len, columns))
    with house_style(width):
        heading = Heading(f"Claims of the {fit.law.name} law", reading(stated), _handles())
        body = body_below(figure, heading, width=width, height=ROW * length + 0.3)
        axes = body.subplots(length, len(columns), squeeze=False, gridspec_kw={"hspace": 0.12})
        for column, of_pair in zip(axes.T, columns, strict=True):
            for ax, claim in zip(column, of_pair, strict=False):
                _draw_claim(ax, fit, claim, width / len(columns))
            for ax in column[len(of_pair) :]:
                ax.set_axis_off()
    return root_of(body)


def reading(stated: Sequence[Claim]) -> tuple[str, str]:
    """Say in two lines what the claims come to, and how their panels are read."""
    held = sum(claim.probability > SURE for claim in stated)
    failed = sum(claim.probability < 1 - SURE for claim in stated)
    left = len(stated) - held - failed
    return (
        f"Of {len(stated)} claims {held} hold with a probability over {SURE:g} and {failed} fail with one; "
        f"the data leave {left} open.",
        "Right of the line at 0 a claim holds. Each density is drawn to the height of its panel.",
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


def _draw_claim(ax: Axes, fit: Fit, claim: Claim, width: float) -> None:
    window, colours = _window(fit, claim), palette()
    grid = np.union1d(np.linspace(*window, GRID_POINTS), 0.0)
    prior, posterior = (_density(claim_differences(fit, claim, group=group), grid) for group in ("prior", "posterior"))
    ax.fill_between(grid, prior, color=colours.context, linewidth=0, zorder=1, label="_prior")
    ax.plot(grid, prior, color=colours.faint, linestyle=DASHES, linewidth=1, zorder=2)
    holds: Any = {"color": colours.line, "alpha": 0.85, "linewidth": 0}
    ax.fill_between(grid, posterior, where=grid >= 0, zorder=3, label="_posterior", **holds)
    fails: Any = {"facecolor": colours.ground, "edgecolor": colours.other, "hatch": HATCH, "linewidth": 0}
    ax.fill_between(grid, posterior, where=grid <= 0, zorder=3, **fails)
    seen = slice(int((posterior > SEEN).argmax()), len(grid) - int((posterior > SEEN)[::-1].argmax()))
    ax.plot(grid[seen], posterior[seen], color=colours.line, linewidth=1.2, zorder=4)
    ax.axvline(0, color=colours.ink, linewidth=1, zorder=5)
    ax.set_xlim(*window)
    ax.set_ylim(0, 1.12)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(7 if width > NARROWEST_COLUMN else 4, steps=[1, 2, 2.5, 5, 10]))
    ax.set_title(axis_words(claim.claim[0].upper() + claim.claim[1:], width), fontsize="medium", pad=3)
    label = f"{claim.quantity} of {claim.larger} − {claim.smaller} ({claim.unit})"
    ax.set_xlabel(axis_words(label, width), fontsize="small", labelpad=2)
    text: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center", "fontsize": "small"}
    told = f"prior\n{probability_text(claim.prior_probability)}"
    ax.annotate(told, (1, 0.76), (8, 0), color=colours.muted, **text)
    ax.annotate(f"posterior\n{probability_text(claim.probability)}", (1, 0.28), (8, 0), fontweight="bold", **text)


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
