"""What a diversity law says of pools: whether they gain more where they have more of a diversity number."""

from typing import cast

import numpy as np

from bayeslaw.diagnosis.claim_probabilities import make_claim
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.diversity import DiversityLaw, log_gain_effect
from bayeslaw.laws.results import Claim

LOG_GAIN = "log gain"


def gain_claims(fit: Fit, budgets: tuple[float, ...] | None, *, independent_rows: bool) -> tuple[Claim, ...]:
    """Claim for each diversity number that pools gain more where they have more of it and all else is alike.

    The claims are of a pool of the reference size and of rows as they were taken, whatever else is asked for.
    """
    diversity = cast(DiversityLaw, fit.law).diversity
    claims = []
    for number in diversity:
        words = f"pools of more {number.replace('_', ' ')} gain more over their own best members"
        if len(diversity) > 1:
            words += " at the same other diversity numbers"
        unit = f"log gain per standard deviation of {number}"
        claims.append(make_claim(fit, words, LOG_GAIN, f"{number} + 1 SD", "usual pools", unit))
    return tuple(claims)


def gain_differences(fit: Fit, claim: Claim, *, group: str) -> np.ndarray:
    """Draw the effect of a diversity number on the log gain; as `claim_probabilities.claim_differences`."""
    return log_gain_effect(fit.values(group), claim.larger.partition(" ")[0])
