"""Laws as plain NumPyro models, for other kernels, variational inference or a picture of the model."""

from collections.abc import Callable

import xarray as xr

from bayeslaw.fitting.fits import a_count_of_parameters, a_noise
from bayeslaw.inputs.arguments import accepts, optional
from bayeslaw.laws.argument import a_law
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.table_arguments import any_table


@accepts(law=a_law, data=any_table, noise=optional(a_noise), parameters=a_count_of_parameters)
def numpyro_model(
    law: AnyLaw, data: xr.Dataset, *, noise: Noise | None = None, parameters: str = "total"
) -> Callable[..., None]:
    """Write a law of a table as a NumPyro model.

    Parameters
    ----------
    law, data, noise, parameters
        As in `bayeslaw.fit`.

    Returns
    -------
    Callable
        ``model(observed=True)``: named sites, plates, and what is observed of the table. Without `observed` that is
        drawn. Its log density is the one that `bayeslaw.fit` samples. Run it in double precision
        (``numpyro.enable_x64()``).

    Raises
    ------
    InputError
        If the law cannot be fitted to this table.

    Examples
    --------
    >>> import jax, numpyro, bayeslaw as bl
    >>> model = bl.numpyro_model("power", bl.load_dataset("zoo", unit="document"))
    >>> callable(model)
    True
    >>> sampler = numpyro.infer.MCMC(numpyro.infer.NUTS(model), num_warmup=500, num_samples=500)  # doctest: +SKIP
    >>> sampler.run(jax.random.PRNGKey(0))  # under numpyro.enable_x64()  # doctest: +SKIP
    """
    return kind_of(law).numpyro_model(law, data, noise=noise, parameters=parameters)
