"""What is wrong with a fit, in sentences with codes."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from bayeslaw.diagnosis.claim_probabilities import claims
from bayeslaw.diagnosis.identification import identification_findings, sensitivity_findings
from bayeslaw.diagnosis.row_findings import pool_findings
from bayeslaw.diagnosis.sampling_diagnostics import diagnostics, errors, sampling_findings
from bayeslaw.diagnosis.scaled_predictions import prediction_sensitivity
from bayeslaw.diagnosis.sensitivity import sensitivity
from bayeslaw.findings import SEVERITIES, Finding
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import accepts
from bayeslaw.laws.kinds import kind_of

__all__ = ["check", "check_record", "errors", "trusted"]


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
    return _findings(fit, kind_of(fit.law).pool_check(fit), _moved_predictions(fit))


def _moved_predictions(fit: Fit) -> pd.DataFrame | None:
    return prediction_sensitivity(fit) if "log_prior" in fit.tree.children else None


def _findings(fit: Fit, pools: pd.DataFrame | None, moved: pd.DataFrame | None) -> list[Finding]:
    findings = [
        *sampling_findings(fit, diagnostics(fit)),
        *identification_findings(fit),
        *sensitivity_findings(fit, moved),
        *kind_of(fit.law).findings(fit),
    ]
    findings += [] if pools is None else pool_findings(fit, pools)
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def trusted(findings: list[Finding]) -> bool:
    """Whether no finding is an error."""
    return not any(finding.is_error for finding in findings)


def check_record(fit: Fit, *, budgets: Iterable[float] | None = None, independent_rows: bool = False) -> dict[str, Any]:
    """Everything `check` and `claims` say, as plain values for JSON.

    Parameters
    ----------
    fit
        The fit.
    budgets, independent_rows
        As in `claims`.

    Returns
    -------
    dict
        ``trusted``, ``findings``, ``claims``, ``diagnostics``; of a joint fit ``pools``: rows of `pool_check`; of a fit
        with its log prior ``sensitivity``: rows of `prediction_sensitivity` (``predictions``) and of `sensitivity`
        (``parameters``).
    """
    pools = kind_of(fit.law).pool_check(fit)
    moved = _moved_predictions(fit)
    findings = _findings(fit, pools, moved)
    has_prior = "prior" in fit.tree.children
    stated = claims(fit, budgets=budgets, independent_rows=independent_rows) if has_prior else ()
    return (
        {
            "trusted": trusted(findings),
            "findings": [asdict(finding) for finding in findings],
            "claims": [asdict(claim) for claim in stated],
            "diagnostics": asdict(diagnostics(fit)),
        }
        | ({} if pools is None else {"pools": pools.to_dict(orient="records")})
        | _sensitivities(fit, moved)
    )


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
