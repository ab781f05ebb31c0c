"""How observed losses scatter around a law."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array

from bayeslaw.errors import InputError, check_choice, nearest
from bayeslaw.inputs.arguments import a_choice, a_flag, check_fields, optional
from bayeslaw.inputs.former_names import former_field
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.prior_argument import read_prior
from bayeslaw.laws.priors import Prior, check_positive, log_normal
from bayeslaw.likelihood.noise_distributions import DEGREES_OF_FREEDOM, DISTRIBUTIONS, distributions_that
from bayeslaw.likelihood.responses import RESPONSES

DEPENDENCE: Mapping[str, bool] = {"shared": True, "independent": False}
"""Whether rows of pools share errors, by name."""
DEPENDENCE_NAMES: Mapping[bool, str] = {shared: name for name, shared in DEPENDENCE.items()}
NOISE_SCALE = "noise_scale"
MEMBER_SCALE = "member_scale"


@former_field("family", "distribution")
@dataclass(frozen=True)
class Noise:
    """Noise of the rows around a law.

    Rows of pools are not independent: they share their samples and their members. By default their deviations from the
    law are the sampling error over clusters of samples, as far as the table knows it; what the choice of models does to
    the trend of each group; the effects ``u[m] ~ Normal(0, member_scale)`` of the members, which enter a pool with
    their win shares beyond those of other pools of its budget; and noise of each row's own with the standard deviation
    ``noise_scale``. See `bayeslaw.likelihood.dependence.Dependence`.

    Parameters
    ----------
    distribution
        ``"normal"``, ``"student_t"`` or ``"laplace"``; see `bayeslaw.likelihood.noise_distributions`.
    response
        ``"loss"``: scatter in the loss unit; ``"log_loss"``: relative scatter, the law being the median.
    standard_errors
        Whether the table's standard errors add to the scale of each row, in quadrature (for a distribution other
        than the normal this is an approximation that keeps its shape). None: only for tables of whole models, since
        the rows of other tables share their samples and with them most of their sampling error. Rows that share errors
        have them already.
    scale
        Prior of the noise scale, in the response's unit. Where None, a log-normal around a tenth of the response's
        standard deviation (95 %: a factor of seven either way).
    degrees_of_freedom
        Prior of Student-t's degrees of freedom; Gamma(2, 0.1) where None (Juarez and Steel 2010).
    by_group
        Whether each group has a scale of its own. None: as the law prefers, which is yes for regimes and no for
        families.
    dependence
        ``"shared"``: rows of pools share sampling error and members, which needs normal noise; ``"independent"``: they
        do not, and bands are too narrow. None: shared for pools with normal noise, unless standard errors are asked
        for.
    member_scale
        Prior of the standard deviation of the member effects, in the response's unit, for rows that share them. Where
        None, as of `scale`.

    Raises
    ------
    InputError
        If distribution, response or dependence is unknown, a prior cannot be read or reaches below zero, or settings
        contradict each other.
    """

    distribution: str = "normal"
    response: str = "loss"
    standard_errors: bool | None = None
    scale: Any = None
    degrees_of_freedom: Any = None
    by_group: bool | None = None
    dependence: str | None = None
    member_scale: Any = None

    def __post_init__(self) -> None:
        check_choice("noise distribution", self.distribution, DISTRIBUTIONS)
        check_fields(
            self,
            response=a_choice(RESPONSES),
            standard_errors=optional(a_flag),
            by_group=optional(a_flag),
            dependence=optional(a_choice(DEPENDENCE)),
        )
        self._check_dependence()
        sites = {"scale": NOISE_SCALE, "degrees_of_freedom": DEGREES_OF_FREEDOM, "member_scale": MEMBER_SCALE}
        for field, site in sites.items():
            if (given := getattr(self, field)) is not None:
                object.__setattr__(self, field, check_positive(site, read_prior(site, given)))
        if self.degrees_of_freedom is not None and DEGREES_OF_FREEDOM not in DISTRIBUTIONS[self.distribution].priors:
            takers = ", ".join(name for name, entry in DISTRIBUTIONS.items() if DEGREES_OF_FREEDOM in entry.priors)
            raise InputError(
                f"degrees of freedom were given for {self.distribution} noise",
                f"degrees of freedom with {takers}",
                f"set distribution: {takers}",
            )

    def _check_dependence(self) -> None:
        joint = DISTRIBUTIONS[self.distribution].shares_errors
        if self.shares_errors and not joint:
            able = distributions_that("shares_errors")
            raise InputError(
                f"rows are to share errors under {self.distribution} noise",
                f"shared errors with {able} noise: they are a covariance",
                f"set distribution: {able}, or dependence: independent",
            )
        if self.shares_errors and self.standard_errors:
            raise InputError(
                "standard errors are to add to errors that rows share, which would count them twice",
                "one of the two",
                "leave out standard_errors, or set dependence: independent",
            )
        if self.member_scale is not None and (self.shares_errors is False or not joint):
            raise InputError(
                "a scale of member effects was given for independent rows",
                "a member scale with rows that share their members",
                "leave out member_scale, or set dependence: shared",
            )

    @property
    def shares_errors(self) -> bool | None:
        """Whether rows of pools share errors, or None where that is left to the table."""
        return None if self.dependence is None else DEPENDENCE[self.dependence]

    @property
    def specification(self) -> dict[str, Any]:
        """A mapping of plain values from which `noise_from_specification` builds the same noise."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value.specification if isinstance(value, Prior) else value for name, value in values.items()}

    def describe(
        self,
        priors: Mapping[str, Prior],
        *,
        group: str | None = None,
        standard_errors: bool = False,
        shared: Sequence[str] = (),
    ) -> str:
        """Print the noise.

        Parameters
        ----------
        priors
            Prior of every site of the noise, as given by `noise_priors`.
        group
            The grouping variable by which the scale differs, if it does.
        standard_errors
            Whether each row's standard error adds to the scale.
        shared
            What the rows share, a line each; none where they are independent.

        Returns
        -------
        str
            The distribution of the response, and one line a prior.
        """
        noise_scale = NOISE_SCALE if group is None else f"{NOISE_SCALE}[{group}]"
        scale = f"sqrt({noise_scale}**2 + standard_error**2)" if standard_errors else noise_scale
        location = RESPONSES[self.response].law
        sites = {noise_scale if site == NOISE_SCALE else site: prior for site, prior in priors.items()}
        lines = [f"  {self.response} ~ {self.distribution}({location}, {scale})"]
        if shared:
            covariance = f"diag({noise_scale}**2 + r) + L L' + M M' + C C' + {MEMBER_SCALE}**2 W W'"
            lines = [
                f"  {self.response} ~ {self.distribution}({location}, covariance {covariance})",
                *(f"    {line}" for line in shared),
            ]
        return "\n".join([*lines, *(f"  {site} ~ {prior}" for site, prior in sites.items())])


def noise_from_specification(specification: Mapping[str, Any]) -> Noise:
    """Build noise from plain values, as they stand in a YAML file or a saved fit.

    Parameters
    ----------
    specification
        Any of the arguments of `Noise`; ``family`` in place of ``distribution``, as files of former versions have it.

    Returns
    -------
    Noise
        The noise.

    Raises
    ------
    InputError
        If an argument is unknown or unusable.
    """
    known = list(Noise.__dataclass_fields__)
    if "family" in specification:
        if "distribution" in specification:
            raise InputError("noise has a distribution and a family", "one of them", "leave out family")
        renamed = {"family": "distribution"}
        specification = {renamed.get(name, name): value for name, value in specification.items()}
    for name in specification:
        if name not in known:
            raise InputError(f"noise has no setting {name!r}", f"one of {', '.join(known)}", nearest(name, known))
    for name in ("standard_errors", "by_group"):
        if not isinstance(specification.get(name), (bool, type(None))):
            raise InputError(f"noise setting {name} is {specification[name]!r}", "true or false", f"write {name}: true")
    return Noise(**specification)


def response_of(noise: Noise, observations: Observations) -> tuple[np.ndarray, np.ndarray | None]:
    """Losses on the scale on which the noise is additive, with their standard errors.

    Parameters
    ----------
    noise
        The noise.
    observations
        The rows.

    Returns
    -------
    response : np.ndarray
        Loss or its natural logarithm, shape ``[row]``.
    standard_error : np.ndarray or None
        Of the response (by the delta method for the logarithm), shape ``[row]``; None where it does not enter.

    Raises
    ------
    InputError
        If a logarithm of a loss of zero is asked for, or standard errors that the table lacks.
    """
    loss, error = observations.loss, observations.standard_error
    whole_models = observations.facts.get("table") == "models"
    if noise.standard_errors and error is None:
        raise InputError(
            "the table has no standard errors",
            "a column se, or samples to compute them from",
            "set standard_errors: false",
        )
    if not (noise.standard_errors or (noise.standard_errors is None and whole_models)):
        error = None
    response = RESPONSES[noise.response]
    if response.positive and (loss <= 0).any():
        worst = observations.labels[loss <= 0][0]
        raise InputError(
            f"the loss of {worst} is {loss.min():g}, which has no logarithm", "positive losses", "use response: loss"
        )
    return response.of_loss(loss), None if error is None else error / response.loss_slope(loss)


def noise_priors(noise: Noise, response: np.ndarray, *, shared: bool = False) -> dict[str, Prior]:
    """Complete the noise with default priors in the unit of the response.

    Parameters
    ----------
    noise
        The noise.
    response
        Loss or log loss, shape ``[row]``.
    shared
        Whether rows share members.

    Returns
    -------
    dict
        Prior of every site of the noise.
    """
    # Away from zero: a law with nearly as many parameters as rows would otherwise run through every one of them.
    typical = max(0.1 * float(np.std(response)), 1e-4 * float(np.abs(response).max()), 1e-12)
    default = log_normal(typical, 1.0)
    priors = {NOISE_SCALE: noise.scale or default}
    if shared:
        priors[MEMBER_SCALE] = noise.member_scale or default
    shape = DISTRIBUTIONS[noise.distribution].priors
    return priors | {site: getattr(noise, site, None) or prior for site, prior in shape.items()}


def observation_distribution(noise: Noise, mean: Array, scale: Array, values: Mapping[str, Any]) -> dist.Distribution:
    """Distribution of the response of rows with the given means.

    Parameters
    ----------
    noise
        The noise.
    mean
        The law's value in the loss unit, any shape.
    scale
        Noise scale in the response's unit, broadcast against `mean`.
    values
        Value of every site that the noise's distribution has beside its scale, broadcast against `mean`; others are
        not read.

    Returns
    -------
    numpyro.distributions.Distribution
        Of the response.
    """
    location = RESPONSES[noise.response].of_loss(jnp.asarray(mean))
    return DISTRIBUTIONS[noise.distribution].distribution(location, scale, values)


def draw_losses(key: Array, noise: Noise, mean: Array, scale: Array, values: Mapping[str, Any]) -> Array:
    """Draw losses around the law, in the loss unit.

    Parameters
    ----------
    key
        JAX random key; every element of the result has fresh noise.
    noise, mean, scale, values
        As in `observation_distribution`.

    Returns
    -------
    Array
        Losses, of the shape of `mean` broadcast against `scale`.
    """
    draws = jnp.asarray(observation_distribution(noise, mean, scale, values).sample(key))
    return RESPONSES[noise.response].to_loss(draws)


def combined_scale(scale: Array, standard_error: np.ndarray | None) -> Array:
    """Add known standard errors to a noise scale in quadrature."""
    return scale if standard_error is None else jnp.sqrt(scale**2 + standard_error**2)
