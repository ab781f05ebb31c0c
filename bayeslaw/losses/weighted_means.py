"""Weights, means, shares and standard errors of a loss table, as `bayeslaw.losses` offers them to users."""

import math

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.losses.metrics import WRONG, metric_of

# Samples that are looked at together.
ROWS = 1 << 16


def sample_weights(losses: xr.Dataset) -> np.ndarray:
    """Return the weight of each sample in every mean, share and standard error.

    Parameters
    ----------
    losses
        A loss table.

    Returns
    -------
    numpy.ndarray
        The bytes of each sample where they are known and losses are of their text, else ones; shape (sample,), float64.

    Raises
    ------
    InputError
        If no sample has any bytes.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> bl.sample_weights(losses).shape == (losses.sizes["sample"],)
    True
    """
    if "bytes" in losses and metric_of(losses).log_losses:
        sizes = losses["bytes"].to_numpy().astype(np.float64, copy=False)
        if not sizes.any():
            raise InputError("no sample has any bytes", "bytes of the samples", "correct the bytes, or leave them out")
        return sizes
    return np.ones(losses.sizes["sample"])


def loss_unit(losses: xr.Dataset) -> str:
    """Return the unit of every mean loss of a table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    str
        ``"bits per byte"`` where bytes are known, else ``"nats per "`` and the unit of a sample; of right and wrong
        answers the share that is wrong; for whole models what the table says.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.loss_unit(bl.load_dataset("zoo", unit="document"))
    'bits per byte'
    """
    if losses.attrs.get("kind") == "models":
        return str(losses.attrs.get("loss_unit", "nats"))
    if not metric_of(losses).log_losses:
        return WRONG
    return "bits per byte" if "bytes" in losses else f"nats per {losses.attrs.get('unit', 'sample')}"


def loss_scale(losses: xr.Dataset) -> float:
    """Return the factor from nats per unit of weight to the reported unit.

    Parameters
    ----------
    losses
        A loss table.

    Returns
    -------
    float
        1 / ln 2 where bytes are known, else 1: the reported loss is ``loss_scale * sum_s nll[s] / sum_s weight[s]``.
    """
    return 1 / math.log(2) if "bytes" in losses and metric_of(losses).log_losses else 1.0


def cluster_codes(losses: xr.Dataset) -> np.ndarray:
    """Return the number of the cluster that each sample belongs to.

    Parameters
    ----------
    losses
        A loss table.

    Returns
    -------
    numpy.ndarray
        For each sample the number of its cluster, from 0 in the order of appearance; every sample is its own cluster
        where the table names none. Shape (sample,), integers.
    """
    if "cluster" not in losses:
        return np.arange(losses.sizes["sample"])
    return pd.factorize(losses["cluster"].to_numpy())[0]


def clustered_standard_error(
    values: np.ndarray, weights: np.ndarray | None = None, clusters: np.ndarray | None = None
) -> np.ndarray:
    r"""Return the standard error of a ratio ``sum_s values[s] / sum_s weights[s]`` over clusters.

    Parameters
    ----------
    values
        What is summed, such as nats of each sample; shape (sample, ...).
    weights
        The weight of each sample; shape (sample,). Ones by default, which makes the ratio a mean.
    clusters
        The cluster of each sample, as any labels; shape (sample,). Every sample its own by default.

    Returns
    -------
    numpy.ndarray
        Standard errors in the unit of values per weight; shape (...). NaN where there is one cluster only.

    Raises
    ------
    InputError
        If an array has gaps or another length, or the weights are negative or all zero.

    Notes
    -----
    The linearised ratio estimator (Cochran, Sampling Techniques, 1977, section 11.8, on clusters as first-stage units):
    with ``e_s = values_s - ratio * weights_s`` summed to ``e_c`` over each of C clusters,
    :math:`\sqrt{\tfrac{C}{C-1} \sum_c e_c^2} / \sum_s w_s`.

    Examples
    --------
    >>> import numpy as np, bayeslaw as bl
    >>> values, clusters = np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1])
    >>> bool(bl.clustered_standard_error(values, clusters=clusters) > bl.clustered_standard_error(values))
    True
    """
    weights = np.ones(len(values)) if weights is None else weights
    for name, given in (("weights", weights), ("clusters", clusters)):
        if given is not None and given.shape != values.shape[:1]:
            problem = f"{name} of shape {given.shape} for values of shape {values.shape}"
            raise InputError(problem, f"one of {name} for every sample", "give as many as there are values")
    total = weights.sum()
    if not (len(values) and (weights >= 0).all() and total > 0):
        raise InputError("there are no weights above zero", "weights of zero or more, not all zero", "correct them")
    ratio = values.sum(axis=0) / total
    codes, count = None, len(values)
    if clusters is not None:
        codes, labels = pd.factorize(np.asarray(clusters))
        count = len(labels)
    columns, squares = values.reshape(len(values), -1), []
    # One column after the other, since the residuals of all would take as much room as the table.
    for column, column_ratio in zip(columns.T, np.ravel(ratio), strict=True):
        residuals = column - weights * column_ratio
        if codes is not None:
            residuals = np.bincount(codes, residuals, minlength=count)
        squares.append(np.square(residuals, out=residuals).sum())
    factor = count / (count - 1) if count > 1 else np.nan
    return (np.sqrt(factor * np.array(squares)) / total).reshape(ratio.shape)


def mean_losses(losses: xr.Dataset) -> xr.Dataset:
    """Return the mean loss of every model with its standard error.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    xarray.Dataset
        ``loss`` and ``standard_error`` on ``lm``, in the unit of `loss_unit`, which is also the attribute
        ``loss_unit``. The standard error is clustered where the table names clusters, and NaN where nothing is known
        of it.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> means = bl.mean_losses(bl.load_dataset("zoo", unit="document"))
    >>> sorted(means.data_vars), means.sizes["lm"]
    (['loss', 'standard_error'], 24)
    """
    if losses.attrs.get("kind") == "models":
        means = losses["loss"].to_numpy()
        unknown = np.full(means.shape, np.nan)
        errors = losses["standard_error"].to_numpy() if "standard_error" in losses else unknown
    else:
        nll, weights, scale = losses["nll"].to_numpy(), sample_weights(losses), loss_scale(losses)
        clusters = cluster_codes(losses) if "cluster" in losses else None
        means = scale * nll.sum(axis=0) / weights.sum()
        errors = scale * clustered_standard_error(nll, weights, clusters)
    return xr.Dataset(
        {"loss": ("lm", means), "standard_error": ("lm", errors)},
        coords={"lm": losses["lm"].to_numpy()},
        attrs={"loss_unit": loss_unit(losses)},
    )


def win_shares(losses: xr.Dataset) -> np.ndarray:
    """Return the share of the weight on which each model has the lowest loss of all.

    Parameters
    ----------
    losses
        A loss table.

    Returns
    -------
    numpy.ndarray
        Shares that add up to one, ties split evenly; shape (lm,).

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.win_shares(bl.load_dataset("zoo", unit="document")).sum().round(6).item()
    1.0
    """
    nll, weights = losses["nll"].to_numpy(), sample_weights(losses)
    shares = np.zeros(nll.shape[1])
    for start in range(0, len(nll), ROWS):
        rows = nll[start : start + ROWS]
        lowest = rows == rows.min(axis=1, keepdims=True)
        shares += (weights[start : start + ROWS] / lowest.sum(axis=1)) @ lowest
    return shares / weights.sum()
