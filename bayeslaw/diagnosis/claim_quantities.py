"""What claims compare: exponents and floors of a law, and its slopes and losses at budgets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from bayeslaw.fitting.fits import Fit
from bayeslaw.losses.sizes import count_label

BUDGET = "parameters"
EXPONENT = "exponent"
FLOOR = "floor"
BEYOND = 10.0
PER_LOG = "per unit of log parameters"

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """What a claim compares between two groups.

    Parameters
    ----------
    name
        What it is called in claims.
    parameter
        The parameter that it is, or None where it is of the whole law.
    at_budgets
        Whether it has a value for each budget.
    falling
        Whether pools are the better the smaller it is.
    words
        The claim in words, of which ``{more}`` and ``{less}`` are the groups and ``{budget}`` is the budget.
    unit
        Its unit, of which ``{unit}`` is that of the loss.
    draws
        From a fit, values of its parameters and a group's position to draws of it at a budget, shape ``[draw]``.
    """

    name: str
    parameter: str | None
    at_budgets: bool
    falling: bool
    words: str
    unit: str
    draws: Callable[[Fit, Values, int, float], np.ndarray]


def _law(fit: Fit, values: Values, group: int, budget: float) -> tuple[np.ndarray, np.ndarray]:
    """Loss of a group at a budget, and by how much it falls per unit of log parameters, each of shape ``[draw]``."""
    names = [parameter.name for parameter in fit.model.parameters]
    chosen = {name: values[name][:, group] if values[name].ndim > 1 else values[name] for name in names}
    function, reference = type(fit.law).function, fit.observations.reference[BUDGET]
    with jax.enable_x64(True):
        at = jnp.full(len(next(iter(chosen.values()))), np.log(budget / reference))
        parts = {name: jnp.asarray(array) for name, array in chosen.items()}
        loss, slope = jax.jvp(lambda log: function(jnp.exp(log), **parts), (at,), (jnp.ones_like(at),))
        return np.asarray(loss), -np.asarray(slope)


def _parameter(name: str) -> Callable[[Fit, Values, int, float], np.ndarray]:
    return lambda fit, values, group, budget: values[name][:, group]


QUANTITIES: dict[str, Quantity] = {
    entry.name: entry
    for entry in (
        Quantity(
            EXPONENT,
            EXPONENT,
            at_budgets=False,
            falling=False,
            words="the exponent is larger in {more} than in {less}",
            unit=f"{PER_LOG}, of a law in {{unit}}",
            draws=_parameter(EXPONENT),
        ),
        Quantity(
            "slope",
            None,
            at_budgets=True,
            falling=False,
            words="loss falls faster with parameters in {more} than in {less} at {budget} parameters",
            unit=f"{{unit}} {PER_LOG}",
            draws=lambda fit, values, group, budget: _law(fit, values, group, budget)[1],
        ),
        Quantity(
            "loss",
            None,
            at_budgets=True,
            falling=True,
            words="the expected loss of {more} is below that of {less} at {budget} parameters",
            unit="{unit}",
            draws=lambda fit, values, group, budget: _law(fit, values, group, budget)[0],
        ),
        Quantity(
            FLOOR,
            FLOOR,
            at_budgets=False,
            falling=True,
            words="the floor of {more} is below that of {less}",
            unit="{unit}",
            draws=_parameter(FLOOR),
        ),
    )
}
"""What is compared, in the order in which claims are stated."""


def stated_quantities(fit: Fit) -> list[Quantity]:
    """Name what claims about a fit of a law by regime compare: what the law has, and what differs between regimes."""
    grouped = {parameter.name for parameter in fit.model.parameters if parameter.grouped}
    of_budgets = bool(grouped) and fit.law.covariates == (BUDGET,)
    return [each for each in QUANTITIES.values() if (each.parameter in grouped if each.parameter else of_budgets)]


def usual_budgets(fit: Fit) -> tuple[float, ...]:
    """Choose the budgets that claims are stated at, readable numbers.

    Parameters
    ----------
    fit
        A fit of a law by regime.

    Returns
    -------
    tuple of float
        A low, a middle and a high one that all groups were seen at (or all together, where no budget is), of one
        significant digit where that lies inside, and ten times the largest.
    """
    budgets, index = fit.observations.covariates[BUDGET], fit.model.group_index
    spans = [budgets[index == group] for group in range(len(fit.model.groups))]
    low, high = max(float(span.min()) for span in spans), min(float(span.max()) for span in spans)
    if low >= high:
        low, high = float(budgets.min()), float(budgets.max())
    for digits in (1, 2, 3):
        first, last = _rounded(low, digits, np.ceil), _rounded(high, digits, np.floor)
        if first < last:
            break
    else:
        first, last = low, high
    middle = _rounded(float(np.sqrt(first * last)), 1, np.round)
    inside = [first, middle, last] if first < middle < last else [first, last]
    return (*inside, _rounded(BEYOND * float(budgets.max()), 1, np.round))


def _rounded(number: float, digits: int, how: Callable[[float], float]) -> float:
    """Round a positive number to significant digits."""
    exponent = int(np.floor(np.log10(number))) - digits + 1
    # Through text, since 3 times 1e-5 is no decimal's neighbour.
    return float(f"{how(round(number / 10.0**exponent, 9)):.0f}e{exponent}")


def budget_text(budget: float) -> str:
    """Write a budget in a claim."""
    return count_label(budget)


def beyond_groups(fit: Fit, budget: float, groups: tuple[str, ...]) -> float:
    """Distance of a budget from those of each of some groups, the largest, in units of their ranges of log budgets."""
    distances = [0.0]
    for name in groups:
        logs = np.log(fit.observations.covariates[BUDGET][fit.model.group_index == fit.model.groups.index(name)])
        outside = max(logs.min() - np.log(budget), np.log(budget) - logs.max(), 0.0)
        distances.append(outside / np.ptp(logs) if np.ptp(logs) else float(np.inf if outside else 0.0))
    return float(max(distances))
