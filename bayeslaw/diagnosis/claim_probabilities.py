"""What a fit says of the paper's claims, as probabilities before and after the data."""

import numpy as np

from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import accepts
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.results import Claim

CLAIMS = (
    (
        "exponent",
        "heterogeneous",
        "single",
        "loss falls faster with parameters in heterogeneous pools than in single models",
    ),
    (
        "exponent",
        "heterogeneous",
        "homogeneous",
        "loss falls faster with parameters in heterogeneous than in homogeneous pools",
    ),
    ("floor", "single", "heterogeneous", "the floor of heterogeneous pools is below that of single models"),
    ("floor", "homogeneous", "heterogeneous", "the floor of heterogeneous pools is below that of homogeneous pools"),
)
"""Parameter, group with the larger value, group with the smaller value, and the claim in words."""


@accepts(fit=a_fit)
def claims(fit: Fit) -> tuple[Claim, ...]:
    """Give what is claimed of pools as probabilities.

    Parameters
    ----------
    fit
        A fit of the collaboration or the diversity law that kept its prior.

    Returns
    -------
    tuple of Claim
        Of the collaboration law one for each of the paper's claims whose two regimes were both seen and have values of
        their own; of the diversity law one for each diversity number; empty for other laws.

    Raises
    ------
    InputError
        If the fit was saved without its prior.
    """
    return kind_of(fit.law).claims(fit)


def regime_claims(fit: Fit) -> tuple[Claim, ...]:
    """State the paper's claims whose two regimes were both seen and have values of their own."""
    result = []
    grouped = {p.name for p in fit.model.parameters if p.grouped}
    for parameter, larger, smaller, words in CLAIMS:
        if fit.law.group != "regime" or parameter not in grouped or not {larger, smaller} <= set(fit.model.groups):
            continue
        unit = fit.unit if parameter == "floor" else f"per unit of log parameters, loss in {fit.unit}"
        result.append(make_claim(fit, words, parameter, larger, smaller, unit))
    return tuple(result)


def make_claim(fit: Fit, words: str, parameter: str, larger: str, smaller: str, unit: str) -> Claim:
    """Work out the probabilities of a claim, before and after the data."""
    posterior, prior = (claim_differences(fit, parameter, larger, smaller, group=g) for g in ("posterior", "prior"))
    probabilities = float((posterior > 0).mean()), float((prior > 0).mean())
    return Claim(words, parameter, larger, smaller, *probabilities, unit)


def claim_differences(fit: Fit, parameter: str, larger: str, smaller: str, *, group: str = "posterior") -> np.ndarray:
    """Draws of the difference of a parameter between two groups.

    Parameters
    ----------
    fit
        The fit.
    parameter
        Name of a parameter that differs between groups.
    larger, smaller
        Names of the groups; the difference is the first minus the second.
    group
        ``"posterior"`` or ``"prior"``.

    Returns
    -------
    np.ndarray
        Shape ``[draw]``, in the parameter's unit.
    """
    return kind_of(fit.law).claim_differences(fit, parameter, larger, smaller, group=group)


def group_differences(fit: Fit, parameter: str, larger: str, smaller: str, *, group: str) -> np.ndarray:
    """Draw the difference of a parameter between two groups; as `claim_differences`."""
    draws = fit.values(group)[parameter]
    return draws[:, fit.model.groups.index(larger)] - draws[:, fit.model.groups.index(smaller)]
