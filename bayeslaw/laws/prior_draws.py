"""Draws of a group's parameters from their priors, those of shares given all others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.laws.parameter import Parameter
from bayeslaw.laws.prior_densities import draw_from

SEED = 0
LARGEST_SHARE = 1 - np.finfo(float).eps
"""A share that rounds to one would be an infinite value."""

Rest = Callable[[str, Mapping[str, np.ndarray]], Any]
"""From the name of a parameter and draws of all others, ``[draw]`` each, to the law's loss without it, ``[draw]``."""


def draw_parameters(parameters: Sequence[Parameter], rest: Rest, count: int) -> dict[str, np.ndarray]:
    """Draw the parameters of one group from their priors, in NumPy: nothing is compiled.

    Parameters
    ----------
    parameters
        The parameters.
    rest
        What the law's loss at the largest budgets is beside a parameter whose prior is of its share; not called where
        there is no such prior.
    count
        How many draws.

    Returns
    -------
    dict
        Draws by name, in the order of the parameters, each of shape ``[draw]``.
    """
    drawn, generator = dict[str, np.ndarray](), np.random.default_rng(SEED)
    # A share is of what the other parameters add up to.
    for parameter in sorted(parameters, key=lambda each: each.prior.relative):
        if parameter.prior.relative:
            given = dict(parameter.prior.arguments)
            share = generator.beta(given["concentration1"], given["concentration0"], count)
            share = np.minimum(share, LARGEST_SHARE)
            value = np.asarray(rest(parameter.name, drawn)) * share / (1 - share)
        else:
            value = draw_from(parameter.prior, (count,), generator)
        if parameter.pooling == "partial" and parameter.spread is not None:
            deviation = draw_from(parameter.spread, (count,), generator) * generator.standard_normal(count)
            value = value * np.exp(deviation) if parameter.positive else value + deviation
        drawn[parameter.name] = value
    return {parameter.name: drawn[parameter.name] for parameter in parameters}
