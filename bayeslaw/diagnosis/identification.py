"""What decides the parameters of a fit: the data or the prior."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd

from bayeslaw.diagnosis.scaled_predictions import LEVEL, LIMIT
from bayeslaw.findings import Finding
from bayeslaw.fitting.fits import Fit

CONTRACTION = 0.3
FEW_SIZES = 5
MORE_SIZES = "score models of more, and more different, sizes; or read the result as the prior's"


def identification_findings(fit: Fit) -> Iterator[Finding]:
    """Say which floors and exponents the prior decides, and which groups have too few sizes to decide them.

    Parameters
    ----------
    fit
        The fit.

    Yields
    ------
    Finding
        What was found.
    """
    yield from _learnt(fit)
    yield from _few_sizes(fit)


def _learnt(fit: Fit) -> Iterator[Finding]:
    if "prior" in fit.tree.children:
        prior, posterior = fit.values("prior"), fit.values()
        labels = dict.fromkeys(chain.from_iterable(fit.law.exponents.values()), "exponent-prior")
        labels |= {fit.law.asymptote: "floor-prior"}
        found: dict[str, list[tuple[str, float]]] = {}
        for parameter in fit.model.parameters:
            label = labels.get(parameter.name)
            if label is not None:
                shares = _contraction(fit, parameter.name, prior[parameter.name], posterior[parameter.name])
                found.setdefault(label, []).extend(pair for pair in shares if pair[1] < CONTRACTION)
        for label, weak in found.items():
            if weak:
                name, learnt = min(weak, key=lambda pair: pair[1])
                others = ", ".join(other for other, _ in weak if other != name)
                also = f" (and by under {CONTRACTION:.0%}: the {others})" if others else ""
                message = f"The data narrow the {name} by only {max(learnt, 0):.0%}{also}: the prior decides it."
                yield Finding(label, "warning", message, MORE_SIZES)
    else:
        message = "The fit was saved without its prior, so claims, and what the data add to the prior, cannot be shown."
        yield Finding("no-prior", "info", message, "fit again with --keep prior, or with --keep all")


def _few_sizes(fit: Fit) -> Iterator[Finding]:
    model = fit.model
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
            yield Finding("few-sizes", "warning", message, MORE_SIZES)


def _contraction(fit: Fit, name: str, prior: np.ndarray, posterior: np.ndarray) -> Iterator[tuple[str, float]]:
    """One minus the ratio of posterior to prior standard deviation, on the log scale where all draws are positive."""
    if (prior > 0).all() and (posterior > 0).all():
        prior, posterior = np.log(prior), np.log(posterior)
    shares = np.atleast_1d(1 - posterior.std(axis=0) / prior.std(axis=0))
    names = [f"{name} of {group}" for group in fit.model.groups] if posterior.ndim > 1 else [name]
    yield from zip(names, shares, strict=True)


def sensitivity_findings(fit: Fit, table: pd.DataFrame | None) -> Iterator[Finding]:
    """Say which predictions a prior of twice or half the strength would move, in two findings at most.

    Within the budgets seen, where the data move a band as well, prior and data may disagree; elsewhere the prior
    decides, with little to say against it.

    Parameters
    ----------
    fit
        The fit.
    table
        As `bayeslaw.diagnosis.scaled_predictions.prediction_sensitivity` returns it; None of a fit saved without its
        log prior.

    Yields
    ------
    Finding
        What was found.
    """
    if table is None:
        message = "The fit was saved without its log prior, so how far the prior moves it cannot be shown."
        yield Finding("no-log-prior", "info", message, "fit again with --keep log_prior, or with --keep all")
        return
    found = table[table["prior"] >= LIMIT]
    torn = ~found["beyond"] & (found["likelihood"] >= LIMIT)
    kinds = (
        ("prior-data-conflict", pd.DataFrame(found[torn]), "The data move it too: prior and data may disagree."),
        ("prior-sensitive", pd.DataFrame(found[~torn]), "What the data do not say there, the prior does."),
    )
    for code, rows, meaning in kinds:
        if rows.empty:
            continue
        worst = rows.loc[rows["prior"].idxmax()]
        more = f" (and {len(rows) - 1} more by {LIMIT:.0%} or more)" if len(rows) > 1 else ""
        message = (
            f"Were the priors of the {worst['part']} twice or half as strong, the {LEVEL:.0%} band of "
            f"{worst['where']} would move by some {worst['prior']:.0%} of its width{more}. {meaning}"
        )
        fix = "set priors that you can defend with --config, and see bayeslaw check --details for all that moves"
        yield Finding(code, "warning", message, fix)
