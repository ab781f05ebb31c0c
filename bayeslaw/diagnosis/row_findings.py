"""What the rows of a fit, and how they depend on each other, say of it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayeslaw.diagnosis.budget_residuals import budget_findings
from bayeslaw.findings import Finding
from bayeslaw.fitting.fits import Fit
from bayeslaw.losses.loss_text import told_apart
from bayeslaw.prediction.new_pools import shared_effects

FEW_CLUSTERS = 20
COLLINEAR = 0.9
ONE_WINNER = 0.95
STRAINED = 4.0
TAIL_LIMIT = 0.005


def row_findings(fit: Fit) -> Iterator[Finding]:
    """Say where the rows cannot carry a law of rows, or the noise does not suit them.

    Parameters
    ----------
    fit
        The fit.

    Yields
    ------
    Finding
        What was found.
    """
    if fit.model.dependence is not None:
        yield from _dependence(fit)
    elif fit.observations.facts.get("overlapping"):
        yield Finding(
            "overlapping-pools",
            "warning",
            "The rows are pools that share models and samples, but the noise treats them as independent: bands of the "
            "mean are too narrow, and probabilities of claims too near to 0 or 1.",
            "fit with normal noise and dependence: shared; do not read the probabilities as odds to bet on",
        )
    yield from budget_findings(fit)
    yield from fact_findings(fit)


def fact_findings(fit: Fit) -> Iterator[Finding]:
    """Say what the facts of the table are, whatever the law, that make its rows tell little; as `row_findings`."""
    facts = fit.observations.facts
    clusters = facts.get("clusters")
    if isinstance(clusters, int) and clusters < FEW_CLUSTERS:
        message = f"The samples come from {clusters} clusters; their sampling errors are themselves uncertain."
        yield Finding("few-clusters", "warning", message, "score more documents")
    correlation = facts.get("size_budget_correlation")
    if isinstance(correlation, float) and correlation > COLLINEAR:
        message = f"Log budget and number of members correlate at {correlation:.2f}: the law cannot tell them apart."
        yield Finding("collinear-size", "warning", message, "form pools of matched budgets: --design matched")
    share = facts.get("largest_winner_share")
    if isinstance(share, float) and share > ONE_WINNER:
        winner = facts["largest_winner"]
        message = f"{winner} wins {share:.1%} of the samples in the pools it is in: the pools are that model."
        yield Finding("one-winner", "warning", message, "check that model's losses; leave it out to see the others")
    if tokens := facts.get("unused_tokens"):
        message = (
            f"Models were trained on {tokens} tokens, and the {fit.law.name} law does not look at them: a new model is "
            "taken to be trained as those of the table were."
        )
        yield Finding("unused-tokens", "info", message, "for losses of whole models, --law chinchilla takes them")


def _dependence(fit: Fit) -> Iterator[Finding]:
    shared = fit.model.dependence
    assert shared is not None
    if not shared.directions:
        message = (
            "The table does not say how the sampling errors of the pools go together: the fit has member effects and "
            "noise of each pool's own, and its law is that of these samples."
        )
        yield Finding("no-sampling-error", "info", message, "make the pools again from a loss table: bayeslaw pools")
        return
    effects = shared_effects(fit)[:, : shared.directions].mean(axis=0)
    # The directions have no meaning of their own, the length of what they make up has.
    length = float(np.sqrt((effects**2).sum()))
    if length > STRAINED:
        message = (
            f"The fit explains the losses by a draw of samples {length:.1f} standard deviations from the usual one: "
            "the law has the wrong form for these pools, and its mean lies off their losses."
        )
        remedy = "read predictions on the same samples, not the law; fit another law, or independent rows beside it"
        yield Finding("strained-sampling-error", "warning", message, remedy)


def pool_findings(fit: Fit, table: pd.DataFrame) -> Iterator[Finding]:
    """Say where the posterior predictive check of pools by size and regime fails.

    Parameters
    ----------
    fit
        The fit.
    table
        As `bayeslaw.pool_check` returns it.

    Yields
    ------
    Finding
        What was found.
    """
    missed = [row for row in table.to_dict(orient="records") if row["tail"] < TAIL_LIMIT]
    if not missed:
        return
    each = []
    for row in missed:
        observed, lower, upper = told_apart(row["observed"], row["lower"], row["upper"])
        each.append(f"{row['regime']} pools of {row['size']} lose {observed}, replicates {lower} to {upper}")
    rows = ", ".join(each)
    message = (
        f"Pools of the table do not lose what the fit's replicates of them do (90 % intervals, {fit.unit}): {rows}."
    )
    remedy = "read bl.pool_check(fit); another link, or samples of one kind, may fit better"
    yield Finding("pools-misfit", "warning", message, remedy)
