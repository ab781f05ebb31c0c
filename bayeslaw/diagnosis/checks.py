"""What is wrong with a fit, in sentences with codes."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from bayeslaw.diagnosis.claim_probabilities import claims
from bayeslaw.diagnosis.identification import identification_findings, sensitivity_findings
from bayeslaw.diagnosis.row_findings import pool_findings
from bayeslaw.diagnosis.sampling_diagnostics import Diagnostics, diagnostics, errors, sampling_findings
from bayeslaw.diagnosis.scaled_predictions import prediction_sensitivity
from bayeslaw.diagnosis.sensitivity import sensitivity
from bayeslaw.findings import SEVERITIES, Finding
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import accepts
from bayeslaw.laws.kinds import kind_of

__all__ = ["check", "check_record", "errors", "trusted"]

FIRST_REPLICATES = 64
"""By how many replicates of pools most fits are seen to be in order."""


@accepts(fit=a_fit)
def check(fit: Fit) -> list[Finding]:
    """Look for reasons not to trust a fit.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    list of Finding
        Errors first; empty where nothing was found.

    Examples
    --------
    With a fit of 40 models:

    >>> import bayeslaw as bl
    >>> [finding for finding in bl.check(fit) if finding.is_error]
    []
    """
    return _findings(fit, diagnostics(fit), kind_of(fit.law).pool_check(fit), _moved_predictions(fit))


def _moved_predictions(fit: Fit) -> pd.DataFrame | None:
    return prediction_sensitivity(fit) if "log_prior" in fit.tree.children else None


def _findings(fit: Fit, figures: Diagnostics, pools: pd.DataFrame | None, moved: pd.DataFrame | None) -> list[Finding]:
    findings = [
        *sampling_findings(fit, figures),
        *identification_findings(fit),
        *sensitivity_findings(fit, moved),
        *kind_of(fit.law).findings(fit),
    ]
    findings += [] if pools is None else pool_findings(fit, pools)
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _pool_check(fit: Fit, *, whole: bool) -> pd.DataFrame | None:
    """Compare pools with replicates: with all of them, or with so many as tell whether any finding comes of it."""
    check = kind_of(fit.law).pool_check
    if not whole:
        few = check(fit, first=FIRST_REPLICATES)
        # Where a replicate lies on either side of what was observed, none of all says that all lie on one side.
        if few is None or few["tail"].to_numpy().min() > 1 / FIRST_REPLICATES:
            return few
    return check(fit)


def trusted(findings: list[Finding]) -> bool:
    """Whether no finding is an error."""
    return not any(finding.is_error for finding in findings)


def check_record(
    fit: Fit, *, budgets: Iterable[float] | None = None, independent_rows: bool = False, details: bool = True
) -> dict[str, Any]:
    """Everything `check` and `claims` say, as plain values for JSON.

    Parameters
    ----------
    fit
        The fit.
    budgets, independent_rows
        As in `claims`.
    details
        Whether pools and sensitivities are wanted too, which take seconds. The findings are the same without them.

    Returns
    -------
    dict
        ``trusted``, ``findings``, ``claims``, ``diagnostics``; of a joint fit ``pools``: rows of `pool_check`; of a fit
        with its log prior ``sensitivity``: rows of `prediction_sensitivity` (``predictions``) and of `sensitivity`
        (``parameters``).
    """
    pools = _pool_check(fit, whole=details)
    moved, figures = _moved_predictions(fit), diagnostics(fit)
    findings = _findings(fit, figures, pools, moved)
    has_prior = "prior" in fit.tree.children
    stated = claims(fit, budgets=budgets, independent_rows=independent_rows) if has_prior else ()
    return (
        {
            "trusted": trusted(findings),
            "findings": [asdict(finding) for finding in findings],
            "claims": [asdict(claim) for claim in stated],
            "diagnostics": asdict(figures),
        }
        | ({} if pools is None or not details else {"pools": pools.to_dict(orient="records")})
        | (_sensitivities(fit, moved) if details else {})
    )


def without_claims(fit: Fit) -> str:
    """Say why a fit states no claims, where it states none; without a full stop."""
    if "prior" not in fit.tree.children:
        return "no claims: the fit was saved without its prior (fit again with --keep prior)"
    when = "; bayeslaw when says when a pool is better" if kind_of(fit.law).quick_comparison(fit) else ""
    return f"no claims: the {fit.law.name.replace('_', ' ')} law makes none{when}"


def _sensitivities(fit: Fit, moved: pd.DataFrame | None) -> dict[str, Any]:
    if moved is None:
        return {}
    parameters = sensitivity(fit).rename_axis("parameter").reset_index()
    return {
        "sensitivity": {
            "predictions": moved.to_dict(orient="records"),
            "parameters": parameters.to_dict(orient="records"),
        }
    }
