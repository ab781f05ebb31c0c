"""Losses that were scored again, put into the table that has them already."""

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError

# PyTorch and Flax differ by a tenth of this; a wrong weight or text by a thousand times as much.
TOLERANCE = 1e-4


def largest_difference(table: xr.Dataset, scored: xr.Dataset) -> float:
    """Return how far losses are from those that a table has of the same samples and models.

    Parameters
    ----------
    table
        A loss table with ``tokens``.
    scored
        A loss table of some of its samples and models.

    Returns
    -------
    float
        The largest difference of a sample's loss, in nats per token.

    Raises
    ------
    InputError
        If a sample or model is not in the table, or its bytes or tokens are not the same there.
    """
    for name in ("sample", "lm"):
        absent = set(scored[name].to_numpy().tolist()) - set(table[name].to_numpy().tolist())
        if absent:
            problem = f"the table has no {name} {min(absent)!r}"
            raise InputError(problem, "samples and models of the table", "leave the others out")
    known = table.sel(sample=scored["sample"], lm=scored["lm"])
    for name in ("bytes", "tokens"):
        if (known[name] != scored[name]).any():
            problem = f"the {name} of the samples are not those of the table"
            raise InputError(problem, "the same texts and tokenizers", "install the package again")
    difference = abs(known["nll"] - scored["nll"]) / np.maximum(known["tokens"], 1)
    return float(difference.max())


def join_losses(table: xr.Dataset, scored: xr.Dataset, *, tolerance: float = TOLERANCE) -> xr.Dataset:
    """Return a loss table with some of its losses replaced by those that were scored again.

    Parameters
    ----------
    table, scored
        As in `largest_difference`.
    tolerance
        How far they may be apart, in nats per token.

    Returns
    -------
    xarray.Dataset
        A loss table with all samples and models of `table`.

    Raises
    ------
    InputError
        If they are further apart, or of other samples or models.
    """
    largest = largest_difference(table, scored)
    # What is no number is not within the tolerance either.
    if not largest <= tolerance:
        problem = f"losses scored here are up to {largest:.2g} nats per token from those that come with the package"
        fix = "score on a CPU in float32; if that is what you did, report it with the versions that you have"
        raise InputError(problem, f"a difference of at most {tolerance:g}", fix)
    joined = table.copy(deep=True)
    place = {"sample": scored["sample"], "lm": scored["lm"]}
    joined["nll"].loc[place] = scored["nll"].transpose(*joined["nll"].dims).to_numpy()
    return joined
