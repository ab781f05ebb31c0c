"""What is wrong with a fit, in sentences with codes, and what it says of the paper's claims."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.sampling_diagnostics import ess, rhat

from bayeslaw.fit import Fit
from bayeslaw.laws import DiversityLaw
from bayeslaw.laws.diversity import log_gain_effect
from bayeslaw.new_pools import shared_effects
from bayeslaw.predictive_check import pool_check
from bayeslaw.sensitivity import THRESHOLD, sensitivity

RHAT_LIMIT = 1.01
ESS_PER_CHAIN = 100
BFMI_LIMIT = 0.3
DEPTH_SHARE = 0.01
CONTRACTION = 0.3
FEW_SIZES = 5
FEW_CLUSTERS = 20
COLLINEAR = 0.9
ONE_WINNER = 0.95
STRAINED = 4.0
LOG_GAIN = "log gain"
TAIL_LIMIT = 0.005


@dataclass(frozen=True)
class Finding:
    """One thing to know about a fit.

    Parameters
    ----------
    code
        Stable name, such as ``"rhat"``.
    severity
        ``"error"``: do not use the fit; ``"warning"``: use it with care; ``"info"``: good to know.
    message
        What was found and what it means.
    remedy
        What to do about it.
    """

    code: str
    severity: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Claim:
    """A claim about a law, with its probability before and after the data.

    Parameters
    ----------
    claim
        The claim in words.
    parameter, larger, smaller
        The parameter compared, and the groups of which the claim says that the first has the larger value.
    probability, prior_probability
        Posterior and prior probability of the claim.
    unit
        Unit of the losses, or ``"per unit of log parameters"`` for exponents.
    """

    claim: str
    parameter: str
    larger: str
    smaller: str
    probability: float
    prior_probability: float
    unit: str


@dataclass(frozen=True)
class Diagnostics:
    """The sampler's figures, each the worst over all parameters.

    Parameters
    ----------
    rhat_max
        Largest rank-normalised split R-hat (Vehtari et al. 2021).
    ess_bulk_min, ess_tail_min
        Smallest effective sample sizes.
    divergences
        Number of divergent trajectories.
    bfmi_min
        Smallest energy Bayesian fraction of missing information over chains.
    """

    rhat_max: float
    ess_bulk_min: float
    ess_tail_min: float
    divergences: int
    bfmi_min: float


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
    """
    posterior, statistics = fit.tree["posterior"].dataset, fit.tree["sample_stats"].dataset

    def worst(values: Any, pick: Any) -> float:
        return float(pick([pick(array.to_numpy()) for array in values.data_vars.values()]))

    chains = posterior.sizes["chain"]
    return Diagnostics(
        rhat_max=worst(rhat(posterior), np.max) if chains > 1 else math.nan,
        ess_bulk_min=worst(ess(posterior, method="bulk"), np.min),
        ess_tail_min=worst(ess(posterior, method="tail"), np.min),
        divergences=int(statistics["diverging"].sum()),
        bfmi_min=float(np.min(_bfmi(statistics["energy"].to_numpy()))),
    )


def _bfmi(energy: np.ndarray) -> np.ndarray:
    """Energy fraction of missing information of each chain (Betancourt 2016), shape ``[chain]``."""
    return np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)


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
    """
    return _findings(fit, None if fit.factor is None else pool_check(fit))


def _findings(fit: Fit, pools: pd.DataFrame | None) -> list[Finding]:
    findings = [*_sampling(fit, diagnostics(fit)), *_identification(fit), *_sensitivity(fit), *_table(fit)]
    findings += [] if pools is None else _pools(fit, pools)
    order = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def errors(fit: Fit) -> list[Finding]:
    """Look for reasons not to use a fit at all: the errors of `check`, without the time that its other findings take.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    list of Finding
        Empty where there is none.
    """
    return [finding for finding in _sampling(fit, diagnostics(fit)) if finding.severity == "error"]


def trusted(findings: list[Finding]) -> bool:
    """Whether no finding is an error."""
    return all(finding.severity != "error" for finding in findings)


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
    if isinstance(fit.law, DiversityLaw):
        return tuple(_gain_claim(fit, number) for number in fit.law.diversity)
    result = []
    grouped = {p.name for p in fit.posed.parameters if p.grouped}
    for parameter, larger, smaller, words in CLAIMS:
        if fit.law.group != "regime" or parameter not in grouped or not {larger, smaller} <= set(fit.posed.groups):
            continue
        unit = fit.unit if parameter == "floor" else f"per unit of log parameters, loss in {fit.unit}"
        posterior, prior = (claim_differences(fit, parameter, larger, smaller, group=g) for g in ("posterior", "prior"))
        probabilities = float((posterior > 0).mean()), float((prior > 0).mean())
        result.append(Claim(words, parameter, larger, smaller, *probabilities, unit))
    return tuple(result)


def _gain_claim(fit: Fit, number: str) -> Claim:
    """Claim that pools gain more where they have more of a diversity number and all else is alike."""
    assert isinstance(fit.law, DiversityLaw)
    words = f"pools of more {number.replace('_', ' ')} gain more over their own best members"
    if len(fit.law.diversity) > 1:
        words += " at the same other diversity numbers"
    larger, smaller = f"{number} + 1 SD", "usual pools"
    posterior, prior = (claim_differences(fit, LOG_GAIN, larger, smaller, group=g) for g in ("posterior", "prior"))
    probabilities = float((posterior > 0).mean()), float((prior > 0).mean())
    return Claim(words, LOG_GAIN, larger, smaller, *probabilities, f"log gain per standard deviation of {number}")


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
    if isinstance(fit.law, DiversityLaw):
        return log_gain_effect(fit.values(group), larger.partition(" ")[0])
    draws = fit.values(group)[parameter]
    return draws[:, fit.posed.groups.index(larger)] - draws[:, fit.posed.groups.index(smaller)]


def check_record(fit: Fit) -> dict[str, Any]:
    """Everything `check` and `claims` say, as plain values for JSON.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    dict
        ``trusted``, ``findings``, ``claims``, ``diagnostics`` and, of a factor fit, ``pools``: rows of `pool_check`.
    """
    pools = None if fit.factor is None else pool_check(fit)
    findings = _findings(fit, pools)
    stated = claims(fit) if "prior" in fit.tree.children else ()
    fields = ("claim", "probability", "prior_probability", "unit")
    return {
        "trusted": trusted(findings),
        "findings": [asdict(finding) for finding in findings],
        "claims": [{field: getattr(claim, field) for field in fields} for claim in stated],
        "diagnostics": asdict(diagnostics(fit)),
    } | ({} if pools is None else {"pools": pools.to_dict(orient="records")})


def _sampling(fit: Fit, figures: Diagnostics) -> Iterator[Finding]:
    chains = fit.tree["posterior"].sizes["chain"]
    again = "fit again with more --draws; if it stays, simplify the law (pooling, fewer groups) or give tighter priors"
    if chains == 1:
        yield Finding(
            "one-chain", "error", "There is one chain, so nothing shows whether it has converged.", "use --chains 4"
        )
    elif not figures.rhat_max <= RHAT_LIMIT:
        yield Finding(
            "rhat", "error", f"Chains disagree: R-hat reaches {figures.rhat_max:.3f}, above {RHAT_LIMIT}.", again
        )
    smallest = min(figures.ess_bulk_min, figures.ess_tail_min)
    if smallest < ESS_PER_CHAIN * chains:
        needed = ESS_PER_CHAIN * chains
        message = f"The draws are worth only {smallest:.0f} independent ones; under {needed} bands are uncertain."
        yield Finding("ess", "error", message, again)
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


def _identification(fit: Fit) -> Iterator[Finding]:
    model = fit.posed
    more = "score models of more, and more different, sizes; or read the result as the prior's"
    if "prior" in fit.tree.children:
        prior, posterior = fit.values("prior"), fit.values()
        for parameter in model.parameters:
            if parameter.name not in fit.law.exponents.values() and parameter.name != "floor":
                continue
            label = "floor-prior" if parameter.name == "floor" else "exponent-prior"
            for name, learnt in _contraction(fit, parameter.name, prior[parameter.name], posterior[parameter.name]):
                if learnt < CONTRACTION:
                    message = f"The data narrow the {name} by only {max(learnt, 0):.0%}: the prior decides it."
                    yield Finding(label, "warning", message, more)
    else:
        message = "The fit was saved without its prior, so claims, and what the data add to the prior, cannot be shown."
        yield Finding("no-prior", "info", message, "fit again with --keep prior, or with --keep all")
    for name in fit.law.exponents:
        values = fit.observations.covariates[name]
        counts = {
            group: len(np.unique(values[model.group_index == index]))
            for index, group in enumerate(model.groups or ("all rows",))
        }
        few = ", ".join(f"{group} {sizes}" for group, sizes in counts.items() if sizes < FEW_SIZES)
        if few:
            message = (
                f"Too few different values of {name} to tell floor, amplitude and exponent apart (under {FEW_SIZES}): "
                f"{few}. What these groups lack, the others and the prior supply."
            )
            yield Finding("few-sizes", "warning", message, more)


def _sensitivity(fit: Fit) -> Iterator[Finding]:
    if "log_prior" not in fit.tree.children:
        message = "The fit was saved without its log prior, so how far the prior moves it cannot be shown."
        yield Finding("no-log-prior", "info", message, "fit again with --keep log_prior, or with --keep all")
        return
    table = sensitivity(fit)
    moved = table["prior"] >= THRESHOLD
    for weak, code in ((True, "prior-sensitive"), (False, "prior-data-conflict")):
        found = table[moved & ((table["likelihood"] < THRESHOLD) == weak)]
        if found.empty:
            continue
        figures = ", ".join(f"{name} {prior:.2f}" for name, prior in zip(found.index, found["prior"], strict=True))
        also = "The data hardly do: the prior decides." if weak else "The data do so too: prior and data may disagree."
        message = f"A prior a little stronger or weaker moves the posterior of {figures} (limit {THRESHOLD}). {also}"
        fix = "set priors that you can defend with --config, and show how the bands change under wider ones"
        yield Finding(code, "warning", message, fix)


def _contraction(fit: Fit, name: str, prior: np.ndarray, posterior: np.ndarray) -> Iterator[tuple[str, float]]:
    """One minus the ratio of posterior to prior standard deviation, on the log scale where all draws are positive."""
    if (prior > 0).all() and (posterior > 0).all():
        prior, posterior = np.log(prior), np.log(posterior)
    shares = np.atleast_1d(1 - posterior.std(axis=0) / prior.std(axis=0))
    names = [f"{name} of {group}" for group in fit.posed.groups] if posterior.ndim > 1 else [name]
    yield from zip(names, shares, strict=True)


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


def _pools(fit: Fit, table: pd.DataFrame) -> Iterator[Finding]:
    """Say where the posterior predictive check of pools by size and regime fails."""
    missed = table[table["tail"] < TAIL_LIMIT]
    if missed.empty:
        return
    rows = ", ".join(
        f"{row['regime']} pools of {row['size']} lose {row['observed']:.4g}, replicates {row['lower']:.4g} to "
        f"{row['upper']:.4g}"
        for _, row in missed.iterrows()
    )
    message = (
        f"Pools of the table do not lose what the fit's replicates of them do (90 % intervals, {fit.unit}): {rows}."
    )
    remedy = "read bl.pool_check(fit); another link, or samples of one kind, may fit better"
    yield Finding("pools-misfit", "warning", message, remedy)


def _diversity(fit: Fit) -> Iterator[Finding]:
    assert isinstance(fit.law, DiversityLaw)
    facts = fit.observations.facts
    for number in fit.law.diversity:
        share = float(facts[f"{number}_explained"])
        if share > COLLINEAR:
            others = ", ".join([*(f"{other}" for other in fit.law.diversity if other != number), "size", "budget"])
            message = (
                f"The {number} of a pool follows to {share:.0%} from its {others}: what it adds to them cannot be "
                "told, and its coefficients are the prior's or stand for the others."
            )
            yield Finding("collinear-diversity", "warning", message, "fit with fewer diversity numbers, one at a time")
    codes = [] if fit.members is None else [finding.code for finding in errors(fit.members)]
    if codes:
        message = f"The law of single models beside this one must not be trusted ({', '.join(codes)})."
        yield Finding("members-law", "warning", message, "predict pools of known models only, or fit with more --draws")


def _table(fit: Fit) -> Iterator[Finding]:
    facts = fit.observations.facts
    if fit.factor is None and fit.model.dependence is not None:
        yield from _dependence(fit)
    elif facts.get("overlapping"):
        yield Finding(
            "overlapping-pools",
            "warning",
            "The rows are pools that share models and samples, but the noise treats them as independent: bands of the "
            "mean are too narrow, and probabilities of claims too near to 0 or 1.",
            "fit with normal noise and dependence: shared; do not read the probabilities as odds to bet on",
        )
    if isinstance(fit.law, DiversityLaw):
        yield from _diversity(fit)
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
