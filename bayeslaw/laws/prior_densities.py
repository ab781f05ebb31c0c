"""Log densities of priors with their slopes, in NumPy: what `bayeslaw.laws.priors.Prior.distribution` has in JAX.

For samplers that work gradients out by hand; a call costs microseconds, and nothing is compiled.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special, stats

from bayeslaw.laws.priors import Prior

Density = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From values, any shape, to log density and its derivative there, each of that shape."""
LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


def _beta(concentration1: float, concentration0: float) -> Density:
    above, below = concentration1 - 1, concentration0 - 1
    constant = -special.betaln(concentration1, concentration0)
    return lambda value: (
        constant + special.xlogy(above, value) + special.xlog1py(below, -value),
        above / value - below / (1 - value),
    )


def _student_t(df: float, loc: float, scale: float) -> Density:
    constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df * np.pi) - np.log(scale)

    def density(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = (value - loc) / scale
        slope = -(df + 1) * away / (df + away**2) / scale
        return constant - (df + 1) / 2 * np.log1p(away**2 / df), slope

    return density


def _half_cauchy(scale: float) -> Density:
    full = _student_t(1.0, 0.0, scale)
    return lambda value: (full(value)[0] + np.log(2.0), full(value)[1])


def _gamma(concentration: float, rate: float) -> Density:
    constant = concentration * np.log(rate) - special.gammaln(concentration)
    return lambda value: (
        constant + special.xlogy(concentration - 1, value) - rate * value,
        (concentration - 1) / value - rate,
    )


def _inverse_gamma(concentration: float, rate: float) -> Density:
    constant = concentration * np.log(rate) - special.gammaln(concentration)
    return lambda value: (
        constant - (concentration + 1) * np.log(value) - rate / value,
        (rate / value - concentration - 1) / value,
    )


def _laplace(loc: float, scale: float) -> Density:
    return lambda value: (-np.log(2 * scale) - np.abs(value - loc) / scale, -np.sign(value - loc) / scale)


def _normal(loc: float, scale: float, mass: float | np.ndarray = 1.0) -> Density:
    constant = -LOG_ROOT_TWO_PI - np.log(scale * mass)

    def density(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = (value - loc) / scale
        return constant - 0.5 * away**2, -away / scale

    return density


def _log_normal(loc: float, scale: float) -> Density:
    normal = _normal(loc, scale)

    def density(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log = np.log(value)
        height, slope = normal(log)
        return height - log, (slope - 1) / value

    return density


def _truncated_normal(loc: float, scale: float, low: float = -np.inf, high: float = np.inf) -> Density:
    below, above = (low - loc) / scale, (high - loc) / scale
    # Of the upper tail the mass is that of its mirror image: the distribution function is near one there.
    lower_tail, upper_tail = special.ndtr(above) - special.ndtr(below), special.ndtr(-below) - special.ndtr(-above)
    return _normal(loc, scale, np.where(below < 0, lower_tail, upper_tail))


def _uniform(low: float, high: float) -> Density:
    height = -np.log(high - low)
    return lambda value: (height + np.zeros(np.shape(value)), np.zeros(np.shape(value)))


def _log_uniform(low: float, high: float) -> Density:
    constant = -np.log(np.log(high) - np.log(low))
    return lambda value: (constant - np.log(value), -1 / value)


def _weibull(scale: float, concentration: float) -> Density:
    constant = np.log(concentration) - np.log(scale)

    def density(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ratio = value / scale
        power = ratio**concentration
        slope = (concentration - 1 - concentration * power) / value
        return constant + special.xlogy(concentration - 1, ratio) - power, slope

    return density


DENSITIES: Mapping[str, Callable[..., Density]] = {
    "Beta": _beta,
    "Cauchy": lambda loc, scale: _student_t(1.0, loc, scale),
    "Exponential": lambda rate: _gamma(1.0, rate),
    "Gamma": _gamma,
    "HalfCauchy": _half_cauchy,
    "HalfNormal": lambda scale: _normal(0.0, scale, 0.5),
    "InverseGamma": _inverse_gamma,
    "Laplace": _laplace,
    "LogNormal": _log_normal,
    "LogUniform": _log_uniform,
    "Normal": _normal,
    "StudentT": _student_t,
    "TruncatedNormal": _truncated_normal,
    "Uniform": _uniform,
    "Weibull": _weibull,
}
"""By the name of a distribution, from its arguments to its density."""

SCIPY: Mapping[str, Callable[..., Any]] = {
    "Beta": lambda concentration1, concentration0: stats.beta(concentration1, concentration0),
    "Cauchy": lambda loc, scale: stats.cauchy(loc, scale),
    "Exponential": lambda rate: stats.expon(scale=1 / rate),
    "Gamma": lambda concentration, rate: stats.gamma(concentration, scale=1 / rate),
    "HalfCauchy": lambda scale: stats.halfcauchy(scale=scale),
    "HalfNormal": lambda scale: stats.halfnorm(scale=scale),
    "InverseGamma": lambda concentration, rate: stats.invgamma(concentration, scale=rate),
    "Laplace": lambda loc, scale: stats.laplace(loc, scale),
    "LogNormal": lambda loc, scale: stats.lognorm(scale, scale=np.exp(loc)),
    "LogUniform": lambda low, high: stats.loguniform(low, high),
    "Normal": lambda loc, scale: stats.norm(loc, scale),
    "StudentT": lambda df, loc, scale: stats.t(df, loc, scale),
    "TruncatedNormal": lambda loc, scale, low=-np.inf, high=np.inf: stats.truncnorm(
        (low - loc) / scale, (high - loc) / scale, loc, scale
    ),
    "Uniform": lambda low, high: stats.uniform(low, high - low),
    "Weibull": lambda scale, concentration: stats.weibull_min(concentration, scale=scale),
}
"""By the name of a distribution, from its arguments to what SciPy draws from."""


def density_of(*priors: Prior) -> Density:
    """Return the log densities of priors that differ in nothing but numbers, with their slopes.

    Parameters
    ----------
    *priors
        One prior, or several of one distribution and with the same arguments.

    Returns
    -------
    Callable
        From values inside the support, any shape, to log densities and derivatives; the last axis is that of the priors
        where there are several.
    """
    if len(priors) == 1:
        return DENSITIES[priors[0].name](**dict(priors[0].arguments))
    names = [name for name, _ in priors[0].arguments]
    return DENSITIES[priors[0].name](**{name: np.array([dict(p.arguments)[name] for p in priors]) for name in names})


def draw_from(prior: Prior, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Draw from a prior.

    Parameters
    ----------
    prior
        The prior.
    shape
        Shape of the draws.
    generator
        Where random numbers are from.

    Returns
    -------
    np.ndarray
        Independent draws, of that shape.
    """
    return np.asarray(SCIPY[prior.name](**dict(prior.arguments)).rvs(size=shape, random_state=generator))
