"""How far a posterior moves when its prior or its likelihood is made a little stronger or weaker."""

import pandas as pd
import xarray as xr
from arviz_base import dataset_to_dataframe
from arviz_stats.psense import psense

from bayeslaw.fitting.fits import Fit
from bayeslaw.laws.kinds import kind_of

THRESHOLD = 0.05


def sensitivity(fit: Fit) -> pd.DataFrame:
    """Measure the sensitivity of the law's parameters and noise to prior and likelihood by power scaling.

    Prior or likelihood are raised to powers near one, and the draws reweighted (Kallioinen et al. 2024,
    doi 10.1007/s11222-023-10366-5). Only priors with fixed arguments are scaled, not the distribution of groups around
    their population, which is part of the law. The likelihood is the joint one of all rows, whether or not they depend
    on each other.

    Parameters
    ----------
    fit
        A fit that kept its log prior.

    Returns
    -------
    pandas.DataFrame
        Columns ``prior`` and ``likelihood``, without unit, by parameter such as ``"floor[alder]"``; above `THRESHOLD` a
        posterior counts as sensitive.

    Raises
    ------
    KeyError
        If the fit was saved without its log prior.
    """
    posterior = fit.tree["posterior"].to_dataset()
    joint = kind_of(fit.law).log_likelihood(fit).reshape(posterior.sizes["chain"], posterior.sizes["draw"], 1)
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "log_prior": fit.tree["log_prior"].to_dataset(),
            "log_likelihood": xr.Dataset({"joint": (("chain", "draw", "all_rows"), joint)}),
        }
    )
    names = [*(parameter.name for parameter in fit.model.parameters), *fit.model.noise_priors]
    scaled = {"prior": list(fit.model.sites), "likelihood": ["joint"]}
    parts = [
        psense(tree, var_names=names, group=group, group_var_names=variables) for group, variables in scaled.items()
    ]
    both = xr.concat(parts, dim="component").assign_coords(component=list(scaled))
    return dataset_to_dataframe(both, sample_dims=["component"]).T
