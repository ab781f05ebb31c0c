"""What a fit says of the paper's claims, as probabilities before and after the data."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bayeslaw.diagnosis.claim_quantities import (
    QUANTITIES,
    Quantity,
    beyond_groups,
    budget_text,
    stated_quantities,
    usual_budgets,
)
from bayeslaw.diagnosis.independent_rows import fit_of_independent_rows
from bayeslaw.diagnosis.left_out_families import LeftOutFamilies, left_out_families
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_flag, accepts, optional
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.results import Claim
from bayeslaw.losses.sizes import some_counts

PAIRS = (("heterogeneous", "single"), ("heterogeneous", "homogeneous"))
"""Of which groups the paper claims that the first does better than the second."""
IN_WORDS = {
    "single": "single models",
    "homogeneous": "homogeneous pools",
    "heterogeneous": "heterogeneous pools",
}


@accepts(fit=a_fit, budgets=optional(some_counts), independent_rows=a_flag)
def claims(fit: Fit, *, budgets: Iterable[float] | None = None, independent_rows: bool = False) -> tuple[Claim, ...]:
    """Give what is claimed of pools as probabilities.

    Each claim says what it compares. Under a law with a floor these are different claims: a larger *exponent* means
    that the part above the floor falls by a larger factor, a larger *slope* that the loss itself falls faster, which
    holds at a budget; so does a lower expected *loss*; the *floor* is the loss at infinite budgets. Probabilities are
    shares of the draws of posterior and prior, at the same budgets. A claim of the collaboration law also has its
    difference by least squares with a jackknife over families, and its probability were families draws of a
    population, which takes a second or so.

    Parameters
    ----------
    fit
        A fit of the collaboration or the diversity law that kept its prior.
    budgets
        Numbers of parameters at which slopes and losses are compared; by default a low, a middle and a high one that
        every regime was seen at, and ten times the largest.
    independent_rows
        Whether to give each claim of the collaboration law its probability with rows taken as independent as well. That
        is one more fit, which takes as long as the first.

    Returns
    -------
    tuple of Claim
        Of the collaboration law one for each pair of regimes that were both seen and quantity that differs between
        them; of the diversity law one for each diversity number; empty for other laws.

    Raises
    ------
    InputError
        If the fit was saved without its prior, or a budget is no positive number.

    Examples
    --------
    With a fit of the collaboration law:

    >>> import bayeslaw as bl
    >>> first, *others = bl.claims(pools_fit, budgets=["7B"])
    >>> first.claim
    'the exponent is larger in heterogeneous pools than in single models'
    >>> first.probability > first.prior_probability
    True
    """
    given = None if budgets is None else tuple(budgets)
    return kind_of(fit.law).claims(fit, given, independent_rows=independent_rows)


def regime_claims(fit: Fit, budgets: tuple[float, ...] | None, *, independent_rows: bool) -> tuple[Claim, ...]:
    """State the paper's claims whose two regimes were both seen; as `claims`."""
    pairs = [pair for pair in PAIRS if set(pair) <= set(fit.model.groups)]
    quantities = stated_quantities(fit) if fit.law.group == "regime" and pairs else []
    if not quantities:
        return ()
    at = budgets
    if at is None:
        at = usual_budgets(fit) if any(quantity.at_budgets for quantity in quantities) else ()
    families = left_out_families(fit)
    other = fit_of_independent_rows(fit) if independent_rows else None
    stated = []
    for pair in pairs:
        for quantity in quantities:
            for budget in at if quantity.at_budgets else (None,):
                claim = _of_families(fit, _stated(fit, quantity, *pair, budget), families)
                if other is not None:
                    share = float((claim_differences(other, claim) > 0).mean())
                    claim = replace(claim, independent_probability=share)
                stated.append(claim)
    return tuple(stated)


def _stated(fit: Fit, quantity: Quantity, more: str, less: str, budget: float | None) -> Claim:
    text = "" if budget is None else budget_text(budget)
    words = quantity.words.format(more=IN_WORDS.get(more, more), less=IN_WORDS.get(less, less), budget=text)
    larger, smaller = (less, more) if quantity.falling else (more, less)
    claim = make_claim(fit, words, quantity.name, larger, smaller, quantity.unit.format(unit=fit.unit), budget=budget)
    return claim if budget is None else replace(claim, extrapolation=beyond_groups(fit, budget, (more, less)))


def _of_families(fit: Fit, claim: Claim, families: LeftOutFamilies | None) -> Claim:
    """Add what least squares says of a claim, and how that changes without each family."""
    if families is None:
        return claim
    differences = _quantity_differences(fit, claim, families.values)
    estimate, deviation = families.jackknife(differences)
    widened = families.probability(claim_differences(fit, claim), deviation)
    return replace(claim, least_squares=estimate, jackknife_deviation=deviation, families_probability=widened)


def make_claim(
    fit: Fit, words: str, quantity: str, larger: str, smaller: str, unit: str, *, budget: float | None = None
) -> Claim:
    """Work out the probabilities of a claim, before and after the data."""
    claim = Claim(words, quantity, larger, smaller, float("nan"), float("nan"), unit, budget)
    shares = [float((claim_differences(fit, claim, group=group) > 0).mean()) for group in ("posterior", "prior")]
    return replace(claim, probability=shares[0], prior_probability=shares[1])


def claim_differences(fit: Fit, claim: Claim, *, group: str = "posterior") -> np.ndarray:
    """Draws of the difference that a claim says is positive.

    Parameters
    ----------
    fit
        The fit.
    claim
        The claim; its quantity, groups and budget count.
    group
        ``"posterior"`` or ``"prior"``.

    Returns
    -------
    np.ndarray
        Shape ``[draw]``, in the claim's unit.
    """
    return kind_of(fit.law).claim_differences(fit, claim, group=group)


def group_differences(fit: Fit, claim: Claim, *, group: str) -> np.ndarray:
    """Draw the difference of a quantity between two groups; as `claim_differences`."""
    return _quantity_differences(fit, claim, fit.values(group))


def _quantity_differences(fit: Fit, claim: Claim, values: dict[str, np.ndarray]) -> np.ndarray:
    draws, groups, budget = QUANTITIES[claim.quantity].draws, fit.model.groups, claim.budget or 1.0
    first, second = (draws(fit, values, groups.index(name), budget) for name in (claim.larger, claim.smaller))
    return first - second
