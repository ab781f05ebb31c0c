"""What decides the parameters of a fit: the data or the prior."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from bayeslaw.diagnosis.sensitivity import THRESHOLD, sensitivity
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
        for parameter in fit.model.parameters:
            label = labels.get(parameter.name)
            if label is None:
                continue
            for name, learnt in _contraction(fit, parameter.name, prior[parameter.name], posterior[parameter.name]):
                if learnt < CONTRACTION:
                    message = f"The data narrow the {name} by only {max(learnt, 0):.0%}: the prior decides it."
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


def sensitivity_findings(fit: Fit) -> Iterator[Finding]:
    """Say which parameters a prior a little stronger or weaker would move.

    Parameters
    ----------
    fit
        The fit.

    Yields
    ------
    Finding
        What was found.
    """
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
