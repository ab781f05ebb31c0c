"""Free coordinates of what has a prior, and priors whose numbers are data."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array

from bayeslaw.laws.priors import Prior

POSITIVE = (0.0, float("inf"))
NUMBERS = ("loc", "scale")
"""Arguments of priors that may be data: no support and no map depends on them."""


def constrain(prior: Prior, free: Array) -> tuple[Array, Array]:
    """Map free coordinates into the support of a prior.

    Parameters
    ----------
    prior
        The prior.
    free
        Any shape.

    Returns
    -------
    value : Array
        In the support, of the same shape.
    log_determinant : Array
        Summed over all elements, scalar.
    """
    if prior.support == POSITIVE:
        return jnp.exp(free), jnp.sum(free)
    transform = dist.biject_to(prior.distribution().support)
    value = transform(free)
    return value, jnp.sum(transform.log_abs_det_jacobian(free, value))


def unconstrained_centre(prior: Prior | None) -> float:
    """Free coordinate of the centre of a prior: its location where it has one, else its mean, its mode or its scale."""
    assert prior is not None
    given = dict(prior.arguments)
    if prior.name in ("LogNormal", "Normal", "Cauchy", "StudentT", "Laplace"):
        return given["loc"]
    if prior.name == "InverseGamma":
        # Its mean is infinite for concentrations up to one.
        return float(np.log(given["rate"] / (given["concentration"] + 1)))
    distribution = prior.distribution()
    mean = float(distribution.mean) if np.isfinite(np.asarray(distribution.mean)) else given["scale"]
    return float(dist.biject_to(distribution.support).inv(jnp.asarray(mean)))


def numbers_of(priors: Iterable[Prior | None]) -> np.ndarray:
    """Take the numbers out of priors, one after another, shape ``[number]``; the rest is what `outline` leaves."""
    given = [value for prior in priors if prior is not None for key, value in prior.arguments if key in NUMBERS]
    return np.array(given, dtype=float)


def outline(prior: Prior) -> Prior:
    """Return a prior without its numbers: equal for all priors that differ in nothing else."""
    return with_numbers(prior, iter([0.0] * len(prior.arguments)))


def with_numbers(prior: Prior, numbers: Iterator[Any]) -> Prior:
    """Put the next numbers, arrays that JAX may be tracing among them, into the outline of a prior."""
    return Prior(prior.name, tuple((key, next(numbers) if key in NUMBERS else value) for key, value in prior.arguments))


def all_with_numbers(priors: Mapping[str, Prior], numbers: Any) -> dict[str, Prior]:
    """Put numbers, as `numbers_of` took them out, back into priors by name."""
    left = iter([numbers[index] for index in range(numbers.shape[0])])
    return {name: with_numbers(prior, left) for name, prior in priors.items()}


def unravel(position: Array, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Array]:
    """Cut a flat position into arrays by name.

    Parameters
    ----------
    position
        Shape ``[coordinate]``.
    shapes
        Name and shape of each array, in the order of the position.

    Returns
    -------
    dict
        The arrays.
    """
    arrays, first = {}, 0
    for name, shape in shapes:
        size = math.prod(shape)
        arrays[name] = position[first : first + size].reshape(shape)
        first += size
    return arrays
