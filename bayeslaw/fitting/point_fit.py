"""Point fits, to compare with published ones."""

from typing import Any

import jax
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import a_count_of_parameters, a_noise
from bayeslaw.fitting.flat_prior import flat_prior_mode
from bayeslaw.inputs.arguments import accepts, optional
from bayeslaw.laws import Law
from bayeslaw.laws.argument import a_law
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.table_arguments import any_table


@accepts(law=a_law, data=any_table, noise=optional(a_noise), parameters=a_count_of_parameters)
def maximum_likelihood(
    law: AnyLaw, data: xr.Dataset, *, noise: Noise | None = None, parameters: str = "total"
) -> dict[str, Any]:
    """Maximise the likelihood of a law under flat priors: a point fit, to compare with published ones.

    Parameters
    ----------
    law
        The law; its pooling must be ``"complete"`` or ``"separate"``.
    data, parameters
        As in `fit`.
    noise
        Noise of the rows around the law; where None normal on the loss and independent, as published fits have it.

    Returns
    -------
    dict
        Value of every parameter and noise site at the mode; amplitudes at the reference budget, which ``reference``
        gives by covariate.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, has no parameters to be maximised alone, as the joint law,
        or one that is partially pooled.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> found = bl.maximum_likelihood(bl.PowerLaw(pooling="complete"), bl.load_dataset("zoo", unit="document"))
    >>> sorted(found)
    ['amplitude', 'exponent', 'floor', 'noise_scale', 'reference']
    """
    return kind_of(law).maximum_likelihood(law, data, noise=noise, parameters=parameters)


def maximum_likelihood_of_rows(
    law: Law, data: xr.Dataset, *, noise: Noise | None = None, parameters: str = "total"
) -> dict[str, Any]:
    """Maximise the likelihood of a law of rows; as `maximum_likelihood`."""
    if "partial" in law.pooling_by_parameter.values():
        raise InputError("the law is partially pooled", "pooling 'complete' or 'separate'", "use pooling='complete'")
    observations = law.observe(data, parameters=parameters)
    with jax.enable_x64(True):
        mode = flat_prior_mode(LawModel(law, noise or Noise(dependence="independent"), observations))
    return {**mode, "reference": observations.reference}
