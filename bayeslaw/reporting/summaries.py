"""What a fit found: its parameters with intervals and units, its claims, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bayeslaw.decision.crossover_words import INTERVAL_KIND
from bayeslaw.diagnosis.checks import check_record
from bayeslaw.findings import Finding
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import a_level, accepts
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.observations import BUDGETS
from bayeslaw.losses.sizes import count_label
from bayeslaw.markup import Html
from bayeslaw.reporting.quick_crossovers import IN_A_SUMMARY, crossover_sentences
from bayeslaw.reporting.summary_text import summary_html, summary_text

ROW_NAMES: Mapping[str, str] = {"lm": "models", "pool": "pools"}
OFF_ROWS = (
    *("misses-rows", "bent-rows", "outlying-rows", "pools-misfit", "negative-losses", "rising-loss"),
    "strained-sampling-error",
)
"""Codes of findings that the law or its noise lies off what it was fitted to."""
BY_THE_PRIOR = ("exponent-prior", "floor-prior", "prior-data-conflict", "prior-sensitive")
"""Codes of findings that the prior decides what the data do not."""


@dataclass(frozen=True)
class ParameterSummary:
    """A parameter of a fit.

    Parameters
    ----------
    name
        Name of the variable, as in the fit's tree.
    group
        The regime or family that it is of; None for one of all, also the population that groups vary around.
    mean
        Posterior mean, in `unit`.
    lower, upper
        Ends of the equal-tailed interval, in `unit`.
    unit
        Unit, with the budget that it is at; empty where the law names none.
    """

    name: str
    group: str | None
    mean: float
    lower: float
    upper: float
    unit: str


@dataclass(frozen=True)
class Summary:
    """What a fit found, as `summary` gives it.

    Parameters
    ----------
    law
        Name of the law.
    equation
        The loss in the terms of the parameters.
    unit
        Unit of the losses.
    rows
        Number of rows fitted.
    rows_are
        What they are: ``"models"`` or ``"pools"``.
    group_is
        What the law tells apart: ``"family"`` or ``"regime"``.
    groups
        Number of rows of each family or regime; empty where the law tells none apart.
    draws
        Number of chains, and of draws of each.
    interval
        Level of the intervals.
    interval_kind
        ``"equal-tailed"``.
    parameters
        Those that a reader wants.
    claims
        The claims of the law, with the keys of `bayeslaw.Claim`; empty where it makes none.
    crossover
        When a pool pays, in sentences, or who says so where that takes long; empty where the law does not tell.
    trusted
        Whether no finding is an error.
    findings
        Errors first.
    trust
        Three lines: of the sampler, of the rows, and of how far bands hold.
    priors
        The law with every prior, as the fit has it.
    """

    law: str
    equation: str
    unit: str
    rows: int
    rows_are: str
    group_is: str
    groups: Mapping[str, int]
    draws: tuple[int, int]
    interval: float
    interval_kind: str
    parameters: tuple[ParameterSummary, ...]
    claims: tuple[Mapping[str, Any], ...]
    crossover: tuple[str, ...]
    trusted: bool
    findings: tuple[Finding, ...]
    trust: tuple[str, str, str]
    priors: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON.

        Returns
        -------
        dict
            ``law``, ``unit``, ``rows``; ``parameters``: a list with ``name``, ``group``, ``mean``, ``lower``,
            ``upper``, ``unit``; ``claims`` and ``findings`` with the keys that ``bayeslaw check --json`` has;
            ``trusted``.
        """
        return {
            "law": self.law,
            "unit": self.unit,
            "rows": self.rows,
            "parameters": [asdict(parameter) for parameter in self.parameters],
            "claims": [dict(claim) for claim in self.claims],
            "trusted": self.trusted,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        return summary_text(self)

    def __repr__(self) -> str:
        verdict = "trusted" if self.trusted else "not to be trusted"
        return f"<Summary of the {self.law} law, {self.rows} {self.rows_are}, {verdict}>"

    def _repr_html_(self) -> Html:
        return summary_html(self)


@accepts(fit=a_fit, interval=a_level)
def summary(fit: Fit, *, interval: float = 0.9) -> Summary:
    """Tell what a fit found: parameters with intervals and units, claims, and how far to trust it.

    Parameters
    ----------
    fit
        A fit of any law, or the path of its file. It needs no densities by row. One without its prior has no claims.
    interval
        Level of the equal-tailed intervals.

    Returns
    -------
    Summary
        Prints as a screenful; a table in a notebook.

    Raises
    ------
    InputError
        If the fit cannot be read, or the level is not between 0 and 1.

    Examples
    --------
    With a fit of 40 models:

    >>> import bayeslaw as bl
    >>> found = bl.summary(fit, interval=0.8)
    >>> found.law, found.rows, found.parameters[0].name
    ('power', 40, 'floor')
    >>> sorted(found.to_dict())
    ['claims', 'findings', 'law', 'parameters', 'rows', 'trusted', 'unit']
    """
    record = check_record(fit, details=False)
    findings = tuple(Finding(**finding) for finding in record["findings"])
    sizes = fit.tree["posterior"].sizes
    row = str(fit.tree.attrs["row_dimension"])
    crossover = crossover_sentences(fit, interval=interval, most_losses=IN_A_SUMMARY)
    return Summary(
        law=fit.law.name,
        equation=fit.law.equation,
        unit=fit.unit,
        rows=len(fit.observations.loss),
        rows_are=ROW_NAMES.get(row, row),
        group_is=fit.law.group,
        groups=_rows_by_group(fit),
        draws=(int(sizes["chain"]), int(sizes["draw"])),
        interval=interval,
        interval_kind=INTERVAL_KIND,
        parameters=tuple(parameter_summaries(fit, interval)),
        claims=tuple(record["claims"]),
        crossover=crossover,
        trusted=record["trusted"],
        findings=findings,
        trust=(_of_sampler(fit, record["diagnostics"]), _of_rows(findings), _of_bands(fit, findings)),
        priors=str(fit.model),
    )


def parameter_summaries(fit: Fit, interval: float) -> Iterator[ParameterSummary]:
    """Summarise the variables that a reader wants.

    Parameters
    ----------
    fit
        The fit.
    interval
        Level of the equal-tailed intervals.

    Yields
    ------
    ParameterSummary
        One a variable and group.
    """
    posterior, values = fit.tree["posterior"].dataset, fit.values()
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    for name, unit in kind_of(fit.law).reported(fit).items():
        dimensions = posterior[name].dims[2:]
        labels = posterior[dimensions[0]].to_numpy().astype(str).tolist() if dimensions else [None]
        draws = values[name].reshape(len(values[name]), -1)
        lower, upper = np.quantile(draws, tails, axis=0)
        for place, group in enumerate(labels):
            ends = float(draws[:, place].mean()), float(lower[place]), float(upper[place])
            yield ParameterSummary(name, group, *ends, unit)


def _rows_by_group(fit: Fit) -> dict[str, int]:
    index = np.asarray(fit.model.group_index)
    return {str(name): int((index == place).sum()) for place, name in enumerate(fit.model.groups)}


def _of_sampler(fit: Fit, figures: Mapping[str, Any]) -> str:
    chains = fit.tree["posterior"].sizes["chain"]
    agreement = f"largest R-hat {figures['rhat_max']:.3f} (limit {figures['rhat_limit']:.3f})"
    if math.isnan(figures["rhat_max"]):
        agreement = f"no R-hat, which needs two chains and there is {chains}"
    smallest = min(figures["ess_bulk_min"], figures["ess_tail_min"])
    return f"Sampler: {agreement}, smallest effective sample size {smallest:.0f}, {figures['divergences']} divergences."


def _codes(findings: tuple[Finding, ...], codes: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(finding.code for finding in findings if finding.code in codes))


def _of_rows(findings: tuple[Finding, ...]) -> str:
    off = _codes(findings, OFF_ROWS)
    return (
        f"Rows: the checks find the law off its rows ({off})." if off else "Rows: no check finds the law off its rows."
    )


def _of_bands(fit: Fit, findings: tuple[Finding, ...]) -> str:
    covariates = fit.observations.covariates
    seen = " and ".join(
        f"{count_label(float(covariates[name].min()))} to {count_label(float(covariates[name].max()))} "
        f"{name.replace('_', ' ')}"
        for name in BUDGETS
        if name in covariates
    )
    rests = "on the law's form"
    if by_prior := _codes(findings, BY_THE_PRIOR):
        rests += f", and in part on the prior ({by_prior})"
    return f"Bands: rows were seen from {seen}; farther out they rest {rests}."
