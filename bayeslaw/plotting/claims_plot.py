"""The picture of the claims: what the prior and what the posterior say of each."""

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
from bayeslaw.plotting.plot_style import FAINT, GROUP_STYLES, INK, house_style

GRID_POINTS = 600
SEEN = 0.01
PRIOR_SHOWN = (0.04, 0.96)
POSTERIOR_SHOWN = (0.001, 0.999)
MOST_WIDENED = 3.0
POSTERIOR = GROUP_STYLES[0].colour
AGAINST = GROUP_STYLES[1].colour
PRIOR_FILL = "#dedee3"
PRIOR_DASHES = (0, (4, 2))


@accepts(fit=a_fit)
def plot_claims(fit: Fit) -> Figure:
    """Draw what prior and posterior say of the paper's claims.

    Each panel is a claim, as a difference that is positive where the claim holds, with the probability of that before
    and after the data; those about the same two groups stand in one column.

    Parameters
    ----------
    fit
        A fit of the collaboration or the diversity law that kept its prior.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It belongs to no window: write it with ``savefig`` or `save_plot`.

    Raises
    ------
    InputError
        If the fit makes none of the claims, or was saved without its prior.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> len(bl.plot_claims(pools_fit).axes) > 0
    True
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
    columns = [[claim for claim in stated if _pair(claim) == pair] for pair in pairs]
    length = max(map(len, columns))
    with house_style():
        figure = Figure(figsize=(7.6 * len(columns), 1.25 * length + 0.9))
        title, body = figure.subfigures(2, 1, squeeze=False, height_ratios=(0.5, 1.25 * length + 0.4)).flat
        _title(title, fit)
        axes = body.subplots(length, len(columns), squeeze=False, gridspec_kw={"hspace": 0.12})
        for column, of_pair in zip(axes.T, columns, strict=True):
            for ax, claim in zip(column, of_pair, strict=False):
                _draw_claim(ax, fit, claim)
            for ax in column[len(of_pair) :]:
                ax.set_axis_off()
    return figure


def _pair(claim: Claim) -> frozenset[str]:
    """Name the groups that a claim compares, whichever of them it says has the larger value."""
    return frozenset((claim.larger, claim.smaller))


def _title(figure: Figure, fit: Fit) -> None:
    figure.text(0.01, 0.88, f"Claims of the {fit.law.name} law", fontsize=11, fontweight="bold", va="top")
    figure.text(0.01, 0.36, "densities drawn to one height", fontsize=9, color="#55555c", va="top")
    handles = [
        Patch(facecolor=PRIOR_FILL, edgecolor=FAINT, linestyle=PRIOR_DASHES, label="prior"),
        Patch(facecolor=POSTERIOR, label="posterior, claim holds"),
        Patch(facecolor="white", edgecolor=AGAINST, hatch="/////", label="posterior, claim fails"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=3)


def _draw_claim(ax: Axes, fit: Fit, claim: Claim) -> None:
    window = _window(fit, claim)
    grid = np.union1d(np.linspace(*window, GRID_POINTS), 0.0)
    prior, posterior = (_density(claim_differences(fit, claim, group=group), grid) for group in ("prior", "posterior"))
    ax.fill_between(grid, prior, color=PRIOR_FILL, linewidth=0, zorder=1, label="_prior")
    ax.plot(grid, prior, color=FAINT, linestyle=PRIOR_DASHES, linewidth=1, zorder=2)
    ax.fill_between(
        grid, posterior, where=grid >= 0, color=POSTERIOR, alpha=0.85, linewidth=0, zorder=3, label="_posterior"
    )
    ax.fill_between(
        grid, posterior, where=grid <= 0, facecolor="white", edgecolor=AGAINST, hatch="/////", linewidth=0, zorder=3
    )
    seen = slice(int((posterior > SEEN).argmax()), len(grid) - int((posterior > SEEN)[::-1].argmax()))
    ax.plot(grid[seen], posterior[seen], color=POSTERIOR, linewidth=1.2, zorder=4)
    ax.axvline(0, color=INK, linewidth=1, zorder=5)
    ax.set_xlim(*window)
    ax.set_ylim(0, 1.12)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    ax.set_title(claim.claim[0].upper() + claim.claim[1:], fontsize=9, pad=3)
    ax.set_xlabel(f"{claim.quantity} of {claim.larger} − {claim.smaller} ({claim.unit})", fontsize=8, labelpad=2)
    text: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
    ax.annotate(
        f"prior  {probability_text(claim.prior_probability)}", (1, 0.72), (8, 0), fontsize=8.5, color="#5f5f66", **text
    )
    ax.annotate(
        f"posterior  {probability_text(claim.probability)}", (1, 0.4), (8, 0), fontsize=9, fontweight="bold", **text
    )


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
    """Estimate a density by Gaussian kernels of Silverman's width, scaled to a peak of one; shape ``[point]``."""
    quartiles = np.quantile(draws, [0.25, 0.75])
    spread = min(draws.std(), float(np.ptp(quartiles)) / 1.34) or draws.std()
    width = max(0.9 * spread * len(draws) ** -0.2, np.ptp(grid) / len(grid) / 2)
    density = np.exp(-0.5 * ((grid[:, None] - draws) / width) ** 2).sum(axis=1)
    return density / max(density.max(), np.finfo(float).tiny)


def probability_text(probability: float) -> str:
    """Write a probability of draws to the digits that some thousands of them support."""
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.{2 if 0.01 <= probability <= 0.99 else 3}f}"
