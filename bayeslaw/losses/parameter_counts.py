"""The counts of parameters that a budget may be made of."""

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, check_choice

PARAMETER_COUNTS = ("total", "non-embedding", "active")


def parameter_counts(losses: xr.Dataset, kind: str) -> np.ndarray:
    """Read one count of parameters of every model.

    Parameters
    ----------
    losses
        A loss table or a table of whole models.
    kind
        One of `PARAMETER_COUNTS`. Non-embedding parameters may also be given through embedding ones.

    Returns
    -------
    np.ndarray
        Positive numbers, shape ``[lm]``.

    Raises
    ------
    InputError
        If the kind is unknown, or a model's count is missing or not positive.
    """
    check_choice("parameters", kind, PARAMETER_COUNTS)
    total = losses["parameters"].to_numpy().astype(np.float64)
    if kind == "total":
        counts = total
    elif kind == "active":
        counts = (
            losses["active_parameters"].to_numpy() if "active_parameters" in losses else np.full_like(total, np.nan)
        )
    elif "non_embedding_parameters" in losses:
        counts = losses["non_embedding_parameters"].to_numpy()
    elif "embedding_parameters" in losses:
        counts = total - losses["embedding_parameters"].to_numpy()
    else:
        counts = np.full_like(total, np.nan)
    counts = counts.astype(np.float64)
    bad = ~(np.isfinite(counts) & (counts > 0))
    if bad.any():
        names = ", ".join(str(name) for name in losses["lm"].to_numpy()[bad][:5])
        raise InputError(
            f"the {kind} parameters of {int(bad.sum())} of {len(counts)} models are not known or not positive: {names}",
            f"a positive number of {kind} parameters for every model",
            "add them to the table of models, or use the total parameters",
        )
    return counts
