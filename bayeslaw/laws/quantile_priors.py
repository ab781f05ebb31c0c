"""Priors by where a quantity is expected to lie: two quantiles, and the distribution that has them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy import optimize, special

from bayeslaw.errors import InputError, nearest, shown
from bayeslaw.inputs.arguments import a_level, plain
from bayeslaw.laws.priors import Prior

BETWEEN, MASS = "between", "mass"
USUAL_MASS = 0.9
ACCEPTED = "two numbers, the lower one first, such as [0.1, 0.6]"
POSITIVE, SIGNED, SHARE, EXPONENT = "positive", "signed", "share", "exponent"
LOG_CONCENTRATIONS = (-8.0, 30.0)
"""Between which the logarithm of the sum of both concentrations of a beta distribution is searched."""
LARGEST_LOGIT = 700.0
TIGHT = 1e-14
CLOSE = 1e-9
"""How far a probability of the beta distribution found may be from the one asked for, relative to the smaller tail."""


@dataclass(frozen=True)
class Between:
    """An equal-tailed interval that a parameter is expected in, before it is known which distribution that calls for.

    Parameters
    ----------
    low, high
        Its ends, in the parameter's unit.
    mass
        Probability inside: below lies ``(1 - mass) / 2``, and above as much.
    """

    low: float
    high: float
    mass: float = USUAL_MASS

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            number = plain(getattr(self, name))
            real = isinstance(number, int | float) and not isinstance(number, bool)
            if not real or not math.isfinite(number):
                raise InputError(f"a prior is between {shown(self.low)} and {shown(self.high)}", ACCEPTED, WRITE_IT)
            object.__setattr__(self, name, float(number))
        if self.low >= self.high:
            fix = "swap the two" if self.low > self.high else WRITE_IT
            raise InputError(f"a prior is between {self.low:g} and {self.high:g}", ACCEPTED, fix)
        object.__setattr__(self, MASS, a_level("mass", self.mass))

    @property
    def tail(self) -> float:
        """Probability below `low`, and above `high`."""
        return (1 - self.mass) / 2

    @property
    def deviations(self) -> float:
        """How many standard deviations of a normal distribution its ends lie from the middle."""
        return -float(special.ndtri(self.tail))

    def __str__(self) -> str:
        return f"between {self.low:g} and {self.high:g} with {100 * self.mass:g} %"


WRITE_IT = "write between: [0.1, 0.6], or bayeslaw.between(0.1, 0.6)"


def between(low: float, high: float, *, mass: float = USUAL_MASS) -> Between:
    """Say where a parameter is expected, in place of a prior: the prior with these quantiles is worked out.

    A positive parameter gets a log-normal prior, one that may be negative a normal one, and a share a beta prior. The
    exponents of laws of rows may be negative, but get a log-normal prior, as they have by default, where the interval
    lies above zero; that of the joint law, which is integrated out, gets a normal one. In a file it is written
    ``exponent: {between: [0.1, 0.6], mass: 0.9}``.

    Parameters
    ----------
    low, high
        Ends of an interval, in the parameter's unit.
    mass
        Prior probability of the interval, inside (0, 1): below and above lie ``(1 - mass) / 2`` each.

    Returns
    -------
    Between
        What every law and `bayeslaw.Noise` accepts where a prior is accepted.

    Raises
    ------
    InputError
        If the ends are no numbers or not in order, or the mass is outside of (0, 1); and by a law where its parameter
        cannot lie there.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> law = bl.CollaborationLaw(exponent=bl.between(0.1, 0.6))
    >>> print(law.exponent)
    LogNormal(loc=-1.407, scale=0.5447)
    >>> round(float(law.exponent.distribution().cdf(0.6)), 4)
    0.95
    """
    return Between(low, high, mass)


def read_between(site: str, given: Mapping[str, Any]) -> Between:
    """Read an interval from a file.

    Parameters
    ----------
    site
        Name of the parameter, for messages.
    given
        A mapping with ``between``, and ``mass`` if that is not 0.9.

    Returns
    -------
    Between
        The interval.

    Raises
    ------
    InputError
        If there are other keys, or what is given is no interval.
    """
    for key in given:
        if key not in (BETWEEN, MASS):
            accepted = f"{BETWEEN}, and {MASS} beside it"
            raise InputError(f"the prior of {site} has {key!r} beside {BETWEEN}", accepted, nearest(key, (MASS,)))
    ends = given[BETWEEN]
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise InputError(f"the prior of {site} is between {shown(ends)}", ACCEPTED, "write between: [0.1, 0.6]")
    try:
        low, high, mass = (_number(each) for each in (*ends, given.get(MASS, USUAL_MASS)))
        return Between(low, high, mass)
    except InputError as error:
        raise InputError(f"the prior of {site}: {error.problem}", error.accepted, error.fix) from None


def _number(value: Any) -> Any:
    """Return a number that YAML 1.1 took for text, such as 1e-3, and anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def prior_between(site: str, given: Between, values: str) -> Prior:
    """Work out the prior that has the given quantiles.

    Parameters
    ----------
    site
        Name of the parameter, for messages.
    given
        The interval.
    values
        What the parameter may be: a key of `MATCHED`.

    Returns
    -------
    Prior
        Log-normal, normal or beta. Of the first two its arguments are known in closed form, of the last to all digits
        that matter.

    Raises
    ------
    InputError
        If the parameter cannot lie there, or no beta distribution that can be computed with has these quantiles.
    """
    return MATCHED[values](site, given)


def _normal(site: str, given: Between) -> Prior:
    del site
    scale = (given.high - given.low) / 2 / given.deviations
    return Prior("Normal", (("loc", given.low + (given.high - given.low) / 2), ("scale", scale)))


def _log_normal(site: str, given: Between) -> Prior:
    if given.low <= 0:
        problem = f"the prior of {site} is {given}, and {site} is positive"
        raise InputError(problem, "an interval above zero", "raise its lower end above zero")
    low, high = math.log(given.low), math.log(given.high)
    return Prior("LogNormal", (("loc", (low + high) / 2), ("scale", (high - low) / 2 / given.deviations)))


def _exponent(site: str, given: Between) -> Prior:
    return (_log_normal if given.low > 0 else _normal)(site, given)


def _beta(site: str, given: Between) -> Prior:
    if not (given.low > 0 and given.high < 1):
        problem = f"the prior of {site} is {given}, and {site} is a share"
        raise InputError(problem, "an interval inside (0, 1)", "move its ends inside")
    found = _beta_with_quantiles(given.low, given.high, given.tail)
    if found is None:
        raise InputError(
            f"no beta distribution that can be computed with is {given}, as the prior of {site} is to be",
            "an interval that is neither of nearly no width nor of nearly all of (0, 1)",
            f"widen or narrow it, or write {site}: Beta(2, 5)",
        )
    return Prior("Beta", (("concentration1", found[0]), ("concentration0", found[1])))


def _beta_with_quantiles(low: float, high: float, tail: float) -> tuple[float, float] | None:
    """Find the concentrations of the beta distribution with two quantiles, by a search inside a search.

    At a given sum of the concentrations the probability below `low` falls as the mean rises; with the mean that this
    gives, the probability below `high` rises with the sum, as mass moves inside.
    """

    def at(log_sum: float, logit: float) -> tuple[float, float]:
        total = math.exp(log_sum)
        return total * float(special.expit(logit)), total * float(special.expit(-logit))

    def mean_for(log_sum: float) -> float:
        def excess(logit: float) -> float:
            return float(special.betainc(*at(log_sum, logit), low)) - tail

        return _root(excess, -LARGEST_LOGIT, LARGEST_LOGIT)

    def above(log_sum: float) -> float:
        return tail - float(special.betaincc(*at(log_sum, mean_for(log_sum)), high))

    try:
        log_sum = _root(above, *LOG_CONCENTRATIONS)
        found = at(log_sum, mean_for(log_sum))
    except ValueError:
        return None
    reached = special.betainc(*found, low), special.betaincc(*found, high)
    return found if all(abs(each - tail) <= CLOSE * tail for each in reached) else None


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function changes its sign, to all digits; a `ValueError` where it does not."""
    return float(optimize.root_scalar(function, bracket=(low, high), method="brentq", xtol=TIGHT, rtol=TIGHT).root)


MATCHED: Mapping[str, Callable[[str, Between], Prior]] = {
    POSITIVE: _log_normal,
    SIGNED: _normal,
    SHARE: _beta,
    EXPONENT: _exponent,
}
"""By what a parameter may be, from the interval to the prior."""
