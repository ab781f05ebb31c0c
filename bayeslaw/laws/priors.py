"""Priors: NumPyro distributions and their specification in a file."""

import ast
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpyro.distributions as dist

from bayeslaw.errors import InputError, check_choice
from bayeslaw.laws.floor_shares import ShareOfTotal

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Beta": ("concentration1", "concentration0"),
    "Cauchy": ("loc", "scale"),
    "Exponential": ("rate",),
    "Gamma": ("concentration", "rate"),
    "HalfCauchy": ("scale",),
    "HalfNormal": ("scale",),
    "InverseGamma": ("concentration", "rate"),
    "Laplace": ("loc", "scale"),
    "LogNormal": ("loc", "scale"),
    "LogUniform": ("low", "high"),
    "Normal": ("loc", "scale"),
    "StudentT": ("df", "loc", "scale"),
    "TruncatedNormal": ("loc", "scale", "low", "high"),
    "Uniform": ("low", "high"),
    "Weibull": ("scale", "concentration"),
}
"""Distributions a prior may have, with their arguments in NumPyro's order."""

RELATIVE: dict[str, tuple[str, ...]] = {"Share": ("concentration1", "concentration0")}
"""Priors that the floor of a law may have beside them: of its share of the law's loss at the largest budgets fitted."""
OPTIONAL = frozenset({("TruncatedNormal", "low"), ("TruncatedNormal", "high")})
UNBOUNDED_ARGUMENTS = frozenset({"loc", "low", "high"})
ORDERED = frozenset({"LogUniform", "TruncatedNormal", "Uniform"})
LARGEST = sys.float_info.max
# Beyond, the difference of two distribution functions near one is zero in double precision.
MOST_DEVIATIONS = 8.0


@dataclass(frozen=True)
class Prior:
    """A prior by name and arguments, independent of any precision.

    Parameters
    ----------
    name
        A key of `ARGUMENTS` or of `RELATIVE`.
    arguments
        Pairs of argument and value, in NumPyro's order.
    """

    name: str
    arguments: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value:.4g}' for key, value in self.arguments)})"

    @property
    def specification(self) -> dict[str, Any]:
        """The mapping that `parse_prior` reads back, as kept in files."""
        return {"distribution": self.name, **dict(self.arguments)}

    @property
    def relative(self) -> bool:
        """Whether it is of a share of the law's loss, so that its distribution depends on the other parameters."""
        return self.name in RELATIVE

    def distribution(self, rest: Any = None) -> dist.Distribution:
        """Build the NumPyro distribution in the precision that is active.

        Parameters
        ----------
        rest
            What the law's loss is beside the parameter, any shape; needed where the prior is relative, else not read.

        Returns
        -------
        numpyro.distributions.Distribution
            Over values of the parameter, relative priors too.
        """
        if self.relative:
            return ShareOfTotal(**dict(self.arguments), rest=rest)
        return getattr(dist, self.name)(**dict(self.arguments))

    @property
    def reaches_zero(self) -> bool:
        """Whether the density of a prior over positive values stays above zero as the value goes to zero."""
        given = dict(self.arguments)
        if self.name in ("Gamma", "Weibull"):
            return given["concentration"] <= 1
        if self.name in ("Beta", "Share"):
            return given["concentration1"] <= 1
        return self.name not in ("LogNormal", "InverseGamma") and self.support[0] <= 0

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value with positive density."""
        given = dict(self.arguments)
        if self.name in ("Uniform", "LogUniform", "TruncatedNormal"):
            return given.get("low", -math.inf), given.get("high", math.inf)
        if self.name == "Beta":
            return 0.0, 1.0
        return (-math.inf if self.name in ("Normal", "Cauchy", "Laplace", "StudentT") else 0.0), math.inf


def log_normal(median: float, scale: float) -> Prior:
    """Give a log-normal prior by its median.

    Parameters
    ----------
    median
        Median, in the parameter's unit.
    scale
        Standard deviation of the logarithm.

    Returns
    -------
    Prior
        The prior, its location rounded to four digits so that it prints as it is.
    """
    return Prior("LogNormal", (("loc", round(float(np.log(median)), 4)), ("scale", scale)))


def parse_prior(site: str, given: Any, *, relative: bool = False) -> Prior:
    """Read a prior from a NumPyro distribution, a call in text, or a mapping.

    Parameters
    ----------
    site
        Name of the parameter that the prior is for; used in messages.
    given
        ``dist.LogNormal(-1.2, 0.5)``, ``"LogNormal(-1.2, 0.5)"``, or
        ``{"distribution": "LogNormal", "loc": -1.2, "scale": 0.5}``.
    relative
        Whether the parameter is the floor of a law, whose prior may be ``"Share(1, 1)"`` too: a beta distribution of
        its share of the law's loss at the largest budgets fitted.

    Returns
    -------
    Prior
        The checked prior.

    Raises
    ------
    InputError
        If the distribution is not one of `ARGUMENTS`, or an argument is missing, unknown, given twice or out of range.
    """
    known = ARGUMENTS | RELATIVE if relative else ARGUMENTS
    if isinstance(given, Prior):
        check_choice(f"prior of {site}:", given.name, known)
        return given
    if isinstance(given, dist.Distribution):
        return _from_distribution(site, given)
    if isinstance(given, str):
        return _from_text(site, given, known)
    if isinstance(given, Mapping):
        return _from_mapping(site, given, known)
    raise InputError(
        f"the prior of {site} is {given!r}",
        "a NumPyro distribution, text such as 'LogNormal(-1.2, 0.5)', or a mapping with 'distribution'",
        f"write {site}: LogNormal(-1.2, 0.5)",
    )


def _checked(
    site: str, name: str, arguments: Mapping[str, Any], known: Mapping[str, tuple[str, ...]] = ARGUMENTS
) -> Prior:
    check_choice(f"prior of {site}:", name, known)
    signature = f"{name}({', '.join(known[name])})"
    for key in arguments:
        if key not in known[name]:
            raise InputError(f"the prior of {site} has an argument {key!r}", signature, f"write it as {signature}")
    for key in known[name]:
        if key not in arguments and (name, key) not in OPTIONAL:
            raise InputError(f"the prior of {site} lacks {key!r}", signature, f"write it as {signature}")
    pairs = tuple((key, _number(site, key, arguments[key])) for key in known[name] if key in arguments)
    given = dict(pairs)
    for key, value in pairs:
        if value <= 0 and (name == "LogUniform" or key not in UNBOUNDED_ARGUMENTS):
            problem = f"the prior of {site} has {key}={value}"
            raise InputError(problem, "a positive number", f"give {key} a positive number")
    if name in ORDERED and given.get("low", -math.inf) >= given.get("high", math.inf):
        raise InputError(
            f"the prior of {site} has low {given['low']} and high {given['high']}", "low < high", "swap them"
        )
    _check_tail(site, name, given)
    return Prior(name, pairs)


def _check_tail(site: str, name: str, given: Mapping[str, float]) -> None:
    """Refuse a normal cut off so far above its middle that NumPyro finds no mass there, and an infinite density."""
    if name != "TruncatedNormal" or not {"low", "high"} <= given.keys():
        return
    away = (given["low"] - given["loc"]) / given["scale"]
    if away > MOST_DEVIATIONS:
        raise InputError(
            f"the prior of {site} is a normal of which only what lies {away:.3g} standard deviations above loc is left",
            f"low at most {MOST_DEVIATIONS:g} standard deviations above loc",
            "use Uniform, or move loc to where the values are expected",
        )


def _number(site: str, key: str, value: Any) -> float:
    fix = f"give {key} a plain number"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"the prior of {site} has {key}={value!r}", "one finite number", fix)
    number = float(value) if abs(value) <= LARGEST else math.inf
    if not math.isfinite(number):
        raise InputError(f"the prior of {site} has {key}={number}", "one finite number", fix)
    return number


def _from_distribution(site: str, given: dist.Distribution) -> Prior:
    name, holder = type(given).__name__, {}
    if isinstance(
        given, (dist.LeftTruncatedDistribution, dist.RightTruncatedDistribution, dist.TwoSidedTruncatedDistribution)
    ):
        name = f"Truncated{type(given.base_dist).__name__}"
        holder = {"loc": given.base_dist.loc, "scale": given.base_dist.scale}
        holder |= {key: getattr(given, key) for key in ("low", "high") if hasattr(given, key)}
    check_choice(f"prior of {site}:", name, ARGUMENTS)
    values = holder or {key: getattr(given, key) for key in ARGUMENTS[name]}
    return _checked(site, name, {key: _plain(value) for key, value in values.items()})


def _plain(value: Any) -> Any:
    """Undo the rounding of a number that was stored in float32: 0.3, not 0.30000001192."""
    array = np.asarray(value)
    if array.ndim:
        return value
    return float(str(array[()])) if array.dtype == np.float32 else float(array)


def _from_text(site: str, text: str, known: Mapping[str, tuple[str, ...]]) -> Prior:
    accepted = "a distribution with numbers, such as LogNormal(-1.2, 0.5) or Gamma(concentration=2, rate=4)"
    problem = InputError(f"the prior of {site} is {text!r}", accepted, "write it like LogNormal(-1.2, 0.5)")
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise problem from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise problem
    name = check_choice(f"prior of {site}:", call.func.id, known)
    if len(call.args) > len(known[name]):
        raise problem
    try:
        arguments = dict(zip(known[name], map(ast.literal_eval, call.args), strict=False))
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in arguments:
                raise problem
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
    except ValueError as error:
        raise error if isinstance(error, InputError) else problem from None
    return _checked(site, name, arguments, known)


def _from_mapping(site: str, given: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> Prior:
    if "distribution" not in given:
        raise InputError(
            f"the prior of {site} is {dict(given)!r}",
            "a mapping with the key 'distribution'",
            "add distribution: LogNormal",
        )
    arguments = {key: value for key, value in given.items() if key != "distribution"}
    return _checked(site, str(given["distribution"]), arguments, known)


def check_positive(site: str, prior: Prior) -> Prior:
    """Return a prior whose support lies above zero.

    Parameters
    ----------
    site
        Name of the parameter.
    prior
        Its prior.

    Returns
    -------
    Prior
        The prior, unchanged.

    Raises
    ------
    InputError
        If the prior reaches below zero.
    """
    if prior.support[0] < 0:
        raise InputError(
            f"the prior of {site} is {prior}, which reaches below zero",
            f"a prior over positive values: {site} is positive in every law",
            "use LogNormal, Gamma, HalfNormal, or TruncatedNormal with low=0",
        )
    return prior
