"""K-fold cross-validation of independent rows, through ArviZ."""

from collections.abc import Mapping
from typing import Any

import arviz_base
import numpy as np
import xarray as xr
from arviz_stats.loo import SamplingWrapper, loo_kfold

from bayeslaw.comparison.left_out import refits_of
from bayeslaw.comparison.left_out_folds import row_families
from bayeslaw.errors import InputError, check_choice, check_whole
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.sampling_choices import FEWEST_DRAWS, MOST_CHAINS, MOST_DRAWS
from bayeslaw.inputs.arguments import a_seed, a_text, a_whole_number, accepts, as_given, optional
from bayeslaw.likelihood.responses import RESPONSES


class RefitWrapper(SamplingWrapper):
    """Tells ArviZ how a law is fitted without some rows, for `arviz_stats.loo_kfold` and `arviz_stats.reloo`.

    Densities are of the loss, whatever the response.

    Parameters
    ----------
    fit
        A fit whose rows are independent.
    draws, chains, seed
        Of the refits.

    Raises
    ------
    InputError
        If rows share errors, or are pools that share members.
    """

    def __init__(self, fit: Fit, *, draws: int = 500, chains: int = 4, seed: int = 0) -> None:
        if fit.observations.facts.get("overlapping"):
            raise InputError(
                "the rows are pools that share models, and folds of rows would leave near copies in",
                "rows of single models",
                "leave out whole models: bayeslaw.leave_out",
            )
        super().__init__(model=fit.model, idata_orig=with_loss_densities(fit))
        self.refits, self.seed, self.fit = refits_of(fit, draws=draws, chains=chains), seed, fit

    def sel_observations(self, idx: Any) -> tuple[np.ndarray, np.ndarray]:
        """Split the rows; both parts say which rows are left out, shape ``[row]``."""
        held = np.zeros(len(self.fit.observations.loss), dtype=bool)
        held[np.atleast_1d(idx)] = True
        return held, held

    def sample(self, modified_observed_data: np.ndarray) -> np.ndarray:
        """Note which rows are left out; the refit and its densities come together."""
        return modified_observed_data

    def get_inference_data(self, fitted_model: np.ndarray) -> xr.DataTree:
        """Refit, and return the log densities of the rows left out."""
        found = self.refits.left_out(fitted_model, seed=self.seed)
        row = self.fit.observations.row_dimension
        return arviz_base.from_dict(
            {"log_likelihood": {"loss": found.rows[None]}},
            dims={"loss": [row]},
            coords={row: self.fit.observations.labels[fitted_model]},
        )

    def log_likelihood__i(self, excluded_obs: np.ndarray, idata__i: xr.DataTree) -> xr.DataArray:
        """Return the log densities of the rows left out at the draws without them."""
        return idata__i["log_likelihood"].dataset["loss"]


def with_loss_densities(fit: Fit) -> xr.DataTree:
    """Posterior and log density of every loss, whatever the response, under the name ``loss``."""
    response = RESPONSES[fit.noise.response]
    jacobian = response.log_jacobian(response.of_loss(fit.observations.loss))
    densities = fit.with_groups(["log_likelihood"]).tree["log_likelihood"].dataset
    groups: Mapping[str, xr.Dataset] = {
        "posterior": fit.tree["posterior"].dataset,
        "log_likelihood": xr.Dataset({"loss": densities[response.name] + jacobian}),
    }
    return xr.DataTree.from_dict(dict(groups))


@accepts(
    fit=a_fit,
    folds=as_given,
    by=optional(a_text),
    draws=a_whole_number(lowest=1, highest=MOST_DRAWS, suggested=500),
    chains=a_whole_number(lowest=1, highest=MOST_CHAINS, suggested=4),
    seed=a_seed,
)
def k_fold(
    fit: Fit, *, folds: int = 10, by: str | None = None, draws: int = 500, chains: int = 4, seed: int = 0
) -> Any:
    """Cross-validate a law of independent rows by exact refits, through `arviz_stats.loo_kfold`.

    Parameters
    ----------
    fit
        A fit of a table of models; of pools, use `leave_out`.
    folds
        Number of folds of rows drawn at random.
    by
        ``"family"``: one fold a family, in place of random ones.
    draws, chains, seed
        Of the refits; the seed also draws the folds.

    Returns
    -------
    arviz_stats.ELPDDataLOOKFold
        Pointwise log densities of the loss, for `arviz_stats.compare`.

    Raises
    ------
    InputError
        If rows are pools that share models, or a number is out of range.

    Examples
    --------
    With a fit of 40 models:

    >>> import bayeslaw as bl
    >>> found = bl.k_fold(fit, folds=2, draws=50, chains=2)
    >>> found.kind, found.n_data_points
    ('loo_kfold', 40)
    """
    check_whole("draws", draws, lowest=FEWEST_DRAWS, suggested=500)
    check_whole("chains", chains, lowest=1, suggested=4)
    rows = len(fit.observations.loss)
    check_whole("folds", folds, lowest=2, suggested=min(10, rows))
    if by is None and folds > rows:
        raise InputError(f"folds is {folds!r}", f"at most the {rows} rows", f"use folds={rows}")
    wrapper = RefitWrapper(fit, draws=draws, chains=chains, seed=seed)
    if by is None:
        return loo_kfold(wrapper.idata_orig, wrapper, pointwise=True, k=folds, seed=seed)
    check_choice("by", by, ("family",))
    return loo_kfold(wrapper.idata_orig, wrapper, pointwise=True, folds=row_families(fit))
