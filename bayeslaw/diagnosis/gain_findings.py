"""What the rows of a diversity law say of its fit."""

from collections.abc import Iterator
from typing import cast

from bayeslaw.diagnosis.row_findings import COLLINEAR, row_findings
from bayeslaw.diagnosis.sampling_diagnostics import errors
from bayeslaw.findings import Finding
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.diversity import DiversityLaw


def gain_findings(fit: Fit) -> Iterator[Finding]:
    """Say where the rows cannot carry a diversity law; as `bayeslaw.diagnosis.row_findings.row_findings`."""
    yield from row_findings(fit)
    facts, diversity = fit.observations.facts, cast(DiversityLaw, fit.law).diversity
    for number in diversity:
        share = float(facts[f"{number}_explained"])
        if share > COLLINEAR:
            others = ", ".join([*(f"{other}" for other in diversity if other != number), "size", "budget"])
            message = (
                f"The {number} of a pool follows to {share:.0%} from its {others}: what it adds to them cannot be "
                "told, and its coefficients are the prior's or stand for the others."
            )
            yield Finding("collinear-diversity", "warning", message, "fit with fewer diversity numbers, one at a time")
    codes = [] if fit.members is None else [finding.code for finding in errors(fit.members)]
    if codes:
        message = f"The law of single models beside this one must not be trusted ({', '.join(codes)})."
        yield Finding("members-law", "warning", message, "predict pools of known models only, or fit with more --draws")
