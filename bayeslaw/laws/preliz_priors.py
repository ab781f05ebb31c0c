"""Distributions of PreliZ as priors, told by the module of their class: the package itself is not needed."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayeslaw.errors import InputError, nearest

PACKAGE = "preliz"
COUNTERPARTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Beta": (("concentration1", "alpha"), ("concentration0", "beta")),
    "Cauchy": (("loc", "alpha"), ("scale", "beta")),
    "Exponential": (("rate", "lam"),),
    "Gamma": (("concentration", "alpha"), ("rate", "beta")),
    "HalfCauchy": (("scale", "beta"),),
    "HalfNormal": (("scale", "sigma"),),
    "InverseGamma": (("concentration", "alpha"), ("rate", "beta")),
    "Laplace": (("loc", "mu"), ("scale", "b")),
    "LogNormal": (("loc", "mu"), ("scale", "sigma")),
    "Normal": (("loc", "mu"), ("scale", "sigma")),
    "StudentT": (("df", "nu"), ("loc", "mu"), ("scale", "sigma")),
    "TruncatedNormal": (("loc", "mu"), ("scale", "sigma"), ("low", "lower"), ("high", "upper")),
    "Uniform": (("low", "lower"), ("high", "upper")),
    "Weibull": (("scale", "beta"), ("concentration", "alpha")),
}
"""By the name that a distribution has in both packages: NumPyro's arguments, and PreliZ's attribute of each.

PreliZ keeps these attributes whichever of its parametrisations a distribution was made with."""
ENDS = ("low", "high")


def is_from_preliz(given: Any) -> bool:
    """Say whether something is a distribution of PreliZ."""
    return type(given).__module__.split(".")[0] == PACKAGE


def specification_of(site: str, given: Any) -> dict[str, Any]:
    """Say in plain values which distribution of NumPyro one of PreliZ is.

    Parameters
    ----------
    site
        Name of the parameter that it is the prior of, for messages.
    given
        The distribution, every parameter set.

    Returns
    -------
    dict
        A mapping that `bayeslaw.laws.priors.parse_prior` reads.

    Raises
    ------
    InputError
        If it has no counterpart, or a parameter is not set.
    """
    name = type(given).__name__
    if name not in COUNTERPARTS:
        raise InputError(
            f"the prior of {site} is PreliZ's {name}, which has no counterpart here",
            f"one of PreliZ's {', '.join(COUNTERPARTS)}",
            nearest(name, COUNTERPARTS),
        )
    arguments = {}
    for argument, attribute in COUNTERPARTS[name]:
        value = getattr(given, attribute, None)
        if value is None:
            raise InputError(
                f"the prior of {site} is PreliZ's {name} whose {attribute} is not set",
                "a distribution with all of its parameters, such as preliz.LogNormal(-1.2, 0.5)",
                f"set {attribute}, or let preliz.maxent or preliz.quartile find it",
            )
        number = np.asarray(value)
        value = number.item() if number.ndim == 0 else value
        # An end that is not there is infinite in PreliZ, and left out here.
        if argument in ENDS and isinstance(value, float) and math.isinf(value):
            continue
        arguments[argument] = value
    return {"distribution": name, **arguments}
