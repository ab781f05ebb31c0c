"""Whatever a user may give for a prior: a distribution of NumPyro or PreliZ, text, a mapping, or an interval."""

from collections.abc import Mapping
from typing import Any

from bayeslaw.laws.preliz_priors import is_from_preliz, specification_of
from bayeslaw.laws.priors import Prior, parse_prior
from bayeslaw.laws.quantile_priors import BETWEEN, POSITIVE, Between, prior_between, read_between


def read_prior(site: str, given: Any, *, values: str = POSITIVE, relative: bool = False) -> Prior:
    """Read a prior.

    Parameters
    ----------
    site
        Name of the parameter that the prior is for; used in messages.
    given
        Anything that `bayeslaw.laws.priors.parse_prior` reads, a distribution of PreliZ, what `bayeslaw.between`
        gives, or a mapping with ``between``.
    values
        What the parameter may be, which decides the distribution of an interval: a key of
        `bayeslaw.laws.quantile_priors.MATCHED`.
    relative
        As of `bayeslaw.laws.priors.parse_prior`.

    Returns
    -------
    Prior
        The checked prior.

    Raises
    ------
    InputError
        If it cannot be read, or has no counterpart here.
    """
    interval = as_interval(site, given)
    if interval is not None:
        return prior_between(site, interval, values)
    return parse_prior(site, specification_of(site, given) if is_from_preliz(given) else given, relative=relative)


def as_interval(site: str, given: Any) -> Between | None:
    """Return the interval that is given for a prior; None where it is given otherwise."""
    if isinstance(given, Mapping) and BETWEEN in given:
        return read_between(site, given)
    return given if isinstance(given, Between) else None
