"""Which variables of a fit a reader wants, and in which units they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bayeslaw.fitting.tree import REPORTED_BUDGET
from bayeslaw.laws.base import REFERENCE_SYMBOLS
from bayeslaw.laws.parameter import POPULATION
from bayeslaw.likelihood.noise import MEMBER_SCALE, NOISE_SCALE
from bayeslaw.losses.sizes import count_label

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

NEAR = 3.0
"""Up to this factor outside of the budgets seen, an amplitude at a billion still tells of what was seen."""
LOG_UNIT = "log loss: a relative error"


def reported_of_rows(fit: Fit) -> Mapping[str, str]:
    """Name the variables of a law of rows that a reader wants, with their units.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    Mapping
        The law's parameters, the populations that groups vary around, and the scales of the noise. An amplitude is
        told at a billion parameters or tokens where such budgets were seen, and else at the reference.
    """
    of_law = _named(fit, tuple(parameter.name for parameter in fit.model.parameters))
    partial = {parameter.name for parameter in fit.model.parameters if parameter.pooling == "partial"}
    populations = {f"{name}{POPULATION}": unit_of(fit, name) for name in of_law if name in partial}
    noise = dict.fromkeys(fit.model.noise_priors, "")
    by_response = fit.unit if fit.noise.response == "loss" else LOG_UNIT
    return of_law | populations | noise | {name: by_response for name in (NOISE_SCALE, MEMBER_SCALE) if name in noise}


def reported_of_joint(fit: Fit) -> Mapping[str, str]:
    """Name the variables of the joint law that a reader wants, as `reported_of_rows` does.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    Mapping
        Floor, amplitude and exponent of each family, and what the law gives units of.
    """
    return _named(fit, ("floor", "amplitude", "exponent")) | dict(fit.law.units)


def _named(fit: Fit, names: tuple[str, ...]) -> dict[str, str]:
    shown = {name: f"{name}_1e9" if _seen_at_a_billion(fit, name) else name for name in names}
    return {variable: unit_of(fit, variable) for variable in shown.values()}


def _seen_at_a_billion(fit: Fit, name: str) -> bool:
    if name not in fit.law.amplitudes:
        return False
    budgets = fit.observations.covariates[fit.law.amplitudes[name][0]]
    return budgets.min() / NEAR <= REPORTED_BUDGET <= budgets.max() * NEAR


def unit_of(fit: Fit, variable: str) -> str:
    """Return the unit of a parameter of a law, or of its amplitude at a billion; empty where the law names none.

    Parameters
    ----------
    fit
        The fit.
    variable
        Name of the variable.

    Returns
    -------
    str
        The unit.
    """
    law, reference = fit.law, fit.observations.reference
    at_billion = {f"{name}_1e9": covariate for name, (covariate, _) in law.amplitudes.items()}
    if variable in at_billion:
        return f"{fit.unit} at {_budget(REPORTED_BUDGET, at_billion[variable])}"
    if variable in law.units:
        unit = law.units[variable].replace("{unit}", fit.unit)
        for name, symbol in REFERENCE_SYMBOLS.items():
            unit = unit.replace(f"{{{symbol}}}", count_label(reference.get(name, math.nan)))
        return unit
    if variable in law.amplitudes:
        covariate = law.amplitudes[variable][0]
        return f"{fit.unit} at {_budget(reference[covariate], covariate)}"
    of = [covariate for covariate, names in law.exponents.items() if variable in names]
    if of:
        return f"per unit of log {of[0].replace('_', ' ')}"
    return fit.unit if variable == law.asymptote else ""


def _budget(budget: float, covariate: str) -> str:
    return f"{count_label(budget)} {covariate.replace('_', ' ')}"
