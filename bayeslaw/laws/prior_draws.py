"""Draws of a group's parameters from their priors, those of shares given all others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from bayeslaw.laws.parameter import Parameter

Rest = Callable[[str, Mapping[str, np.ndarray]], Any]
"""From the name of a parameter and draws of all others, ``[draw]`` each, to the law's loss without it, ``[draw]``."""


def draw_parameters(parameters: Sequence[Parameter], rest: Rest, count: int) -> dict[str, np.ndarray]:
    """Draw the parameters of one group from their priors. Call under float64.

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
    drawn: dict[str, np.ndarray] = {}
    names, keys = [each.name for each in parameters], jax.random.split(jax.random.PRNGKey(0), len(parameters))
    key_of = dict(zip(names, keys, strict=True))
    # A share is of what the other parameters add up to.
    for parameter in sorted(parameters, key=lambda each: each.prior.relative):
        of_prior, of_spread, of_group = jax.random.split(key_of[parameter.name], 3)
        beside = np.asarray(rest(parameter.name, drawn)) if parameter.prior.relative else None
        # A distribution that has a rest has its shape.
        shape = () if beside is not None and beside.ndim else (count,)
        value = np.asarray(parameter.prior.distribution(beside).sample(of_prior, shape), dtype=float)
        if parameter.pooling == "partial" and parameter.spread is not None:
            spread = np.asarray(parameter.spread.distribution().sample(of_spread, (count,)), dtype=float)
            deviation = spread * np.asarray(jax.random.normal(of_group, (count,)))
            value = value * np.exp(deviation) if parameter.positive else value + deviation
        drawn[parameter.name] = value
    return {name: drawn[name] for name in names}
