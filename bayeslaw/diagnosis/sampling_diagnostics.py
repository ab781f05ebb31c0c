"""How well the posterior was sampled: figures, and findings that follow from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from arviz_stats.sampling_diagnostics import ess, rhat

from bayeslaw.findings import Finding
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import accepts
from bayeslaw.posterior.retries import rhat_limit

ESS_PER_CHAIN = 100
FEWEST_ESS_PER_CHAIN = 50
BFMI_LIMIT = 0.3
DEPTH_SHARE = 0.01
NORMAL_DENSITY_AT_5_PERCENT = 0.1031
NORMAL_90_PERCENT_WIDTH = 3.2897


@dataclass(frozen=True)
class Diagnostics:
    """The sampler's figures, each the worst over all parameters.

    Parameters
    ----------
    rhat_max
        Largest rank-normalised split R-hat (Vehtari et al. 2021); NaN for a single chain, for which there is none.
    rhat_limit
        Up to which chains count as agreeing: `bayeslaw.posterior.retries.rhat_limit` of their number and length.
    ess_bulk_min, ess_tail_min
        Smallest effective sample sizes.
    divergences
        Number of divergent trajectories.
    bfmi_min
        Smallest energy Bayesian fraction of missing information over chains.
    """

    rhat_max: float
    rhat_limit: float
    ess_bulk_min: float
    ess_tail_min: float
    divergences: int
    bfmi_min: float


@accepts(fit=a_fit)
def diagnostics(fit: Fit) -> Diagnostics:
    """Summarise how well the posterior was sampled.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    Diagnostics
        Worst figures over all sampled parameters; R-hat is NaN for a single chain.

    Examples
    --------
    With a fit of 40 models:

    >>> import bayeslaw as bl
    >>> found = bl.diagnostics(fit)
    >>> found.divergences, found.rhat_max < found.rhat_limit
    (0, True)
    """
    posterior, statistics = fit.tree["posterior"].dataset, fit.tree["sample_stats"].dataset

    def worst(values: Any, pick: Any) -> float:
        return float(pick([pick(array.to_numpy()) for array in values.data_vars.values()]))

    chains = posterior.sizes["chain"]
    return Diagnostics(
        rhat_max=worst(rhat(posterior), np.max) if chains > 1 else math.nan,
        rhat_limit=rhat_limit(posterior.sizes["draw"], chains),
        ess_bulk_min=worst(ess(posterior, method="bulk"), np.min),
        ess_tail_min=worst(ess(posterior, method="tail"), np.min),
        divergences=int(statistics["diverging"].sum()),
        bfmi_min=float(np.min(_bfmi(statistics["energy"].to_numpy()))),
    )


def _bfmi(energy: np.ndarray) -> np.ndarray:
    """Energy fraction of missing information of each chain (Betancourt 2016), shape ``[chain]``."""
    return np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)


def sampling_findings(fit: Fit, figures: Diagnostics) -> Iterator[Finding]:
    """Say where the sampler has not reached all of the posterior.

    Parameters
    ----------
    fit
        The fit.
    figures
        Its `diagnostics`.

    Yields
    ------
    Finding
        What was found.
    """
    chains = fit.tree["posterior"].sizes["chain"]
    again = "fit again with more --draws; if it stays, simplify the law (pooling, fewer groups) or give tighter priors"
    if chains == 1:
        message = "There is one chain, so nothing shows whether it has converged: R-hat needs two."
        yield Finding("one-chain", "error", message, "use --chains 4")
    elif not figures.rhat_max <= figures.rhat_limit:
        most = f"above {figures.rhat_limit:.3f}, which chains of this length that agree hardly reach by chance"
        yield Finding("rhat", "error", f"Chains disagree: R-hat reaches {figures.rhat_max:.3f}, {most}.", again)
    yield from _few_draws(figures, chains)
    if figures.divergences:
        message = f"{figures.divergences} trajectories diverged: part of the posterior may not have been reached."
        yield Finding("divergences", "error", message, again)
    if figures.bfmi_min < BFMI_LIMIT:
        share = f"{figures.bfmi_min:.2f}, below {BFMI_LIMIT}"
        message = f"The energy fraction of missing information is {share}: tails are explored slowly."
        yield Finding("bfmi", "warning", message, again)
    deep = float(fit.tree["sample_stats"].dataset["reached_max_treedepth"].mean())
    if deep > DEPTH_SHARE:
        yield Finding("tree-depth", "warning", f"{deep:.0%} of trajectories reached the maximum tree depth.", again)


def _few_draws(figures: Diagnostics, chains: int) -> Iterator[Finding]:
    """Say how far the ends of bands are off because the draws are worth few independent ones."""
    smallest = min(figures.ess_bulk_min, figures.ess_tail_min)
    if smallest < ESS_PER_CHAIN * chains:
        # The standard error of a normal variable's 5 % quantile, as a share of the 90 % interval's width.
        share = math.sqrt(0.05 * 0.95 / smallest) / NORMAL_DENSITY_AT_5_PERCENT / NORMAL_90_PERCENT_WIDTH
        message = (
            f"The draws are worth only {smallest:.0f} independent ones: the ends of a 90 % band are uncertain by some "
            f"{share:.0%} of its width."
        )
        severity = "error" if smallest < FEWEST_ESS_PER_CHAIN * chains else "warning"
        yield Finding("ess", severity, message, "fit again with more --draws")


def errors(fit: Fit) -> list[Finding]:
    """Look for reasons not to use a fit at all: the errors of `bayeslaw.check`, without the time that the rest takes.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    list of Finding
        Empty where there is none.
    """
    return [finding for finding in sampling_findings(fit, diagnostics(fit)) if finding.is_error]
