"""A fit with some of its draws, for pictures of thousands of rows that more draws would change by less than is seen."""

from __future__ import annotations

import xarray as xr

from bayeslaw.fitting.fits import Fit

OF_NO_DRAW = ("law", "noise", "observations", "model")
"""What a fit works out once, whatever its draws."""


def fewer_draws(fit: Fit, most: int) -> Fit:
    """Keep every so many draws of the posterior.

    Parameters
    ----------
    fit
        The fit.
    most
        About how many draws are kept, of all chains together.

    Returns
    -------
    Fit
        The fit itself where it has no more draws, and else one that predicts from those kept.
    """
    sizes = fit.tree["posterior"].sizes
    step = -(-sizes["chain"] * sizes["draw"] // most)
    if step <= 1:
        return fit
    fewer = Fit(xr.DataTree.from_dict({node.path: _kept(node, step) for node in fit.tree.subtree}))
    # What no draw changes takes seconds to work out, and has been.
    vars(fewer).update({name: getattr(fit, name) for name in OF_NO_DRAW})
    return fewer


def _kept(node: xr.DataTree, step: int) -> xr.Dataset:
    dataset = node.to_dataset(inherit=False)
    return dataset.isel(draw=slice(None, None, step)) if node.name == "posterior" else dataset
