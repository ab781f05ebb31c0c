"""How different the members of pools are: families, correlation of their losses, evenness of their wins."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bayeslaw.combine import check_table
from bayeslaw.losses import sample_weights

PRODUCT_SAMPLES = 512


def family_parameters(members: np.ndarray, families: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Add up the parameters that each family has in each pool.

    Parameters
    ----------
    members
        Positions of members, [pool, slot], padded with -1.
    families
        Number of each model's family, [lm], from 0.
    parameters
        Parameters of each model, [lm].

    Returns
    -------
    np.ndarray
        Sums, [pool, family].
    """
    sums = np.zeros((len(members), int(families.max()) + 1))
    for column in members.T:
        rows = np.flatnonzero(column >= 0)
        sums[rows, families[column[rows]]] += parameters[column[rows]]
    return sums


def effective_number(amounts: np.ndarray) -> np.ndarray:
    """Compute the effective number of kinds, such as families, from how much there is of each.

    Parameters
    ----------
    amounts
        Amounts of at least zero, such as `family_parameters` gives them, [pool, kind].

    Returns
    -------
    np.ndarray
        The exponential of the entropy of each row's shares (Hill, 1973, order 1), [pool]: 1 where there is one kind.
    """
    return np.exp(_entropy(amounts / amounts.sum(axis=1, keepdims=True)))


def win_entropy(members: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Compute the entropy of the win shares.

    Parameters
    ----------
    members
        Positions of members, [pool, slot], padded with -1.
    shares
        Win shares of the members, [pool, slot], zero where padded.

    Returns
    -------
    np.ndarray
        Entropy in nats, between 0 (one member wins always) and ``log size``, [pool]; NaN for single models.
    """
    return _unless_single(members, _entropy(shares))


def residual_correlation(losses: xr.Dataset) -> np.ndarray:
    """Correlate the losses of models after removing how hard each sample is.

    Parameters
    ----------
    losses
        A loss table.

    Returns
    -------
    np.ndarray
        Correlations [lm, lm], with the samples' weights, of the losses per unit of weight less each sample's mean over
        all models of the table. NaN for a model that never departs from that mean. The mean is over the table rather
        than the pool: two models about their own mean are correlated by -1 whatever they do. So the whole table's mean
        correlation is near -1 / (number of models - 1), and for a table of two models the correlation says nothing.

    Raises
    ------
    InputError
        If the table has no losses on samples.
    """
    losses = check_table(losses)
    weights = sample_weights(losses)
    nll, models = losses["nll"].to_numpy(), losses.sizes["lm"]
    total, means, largest = weights.sum(), np.zeros(models), 0.0
    for rates, own in _rates(nll, weights, PRODUCT_SAMPLES * 64):
        largest = max(largest, float(np.abs(rates).max()))
        means += np.einsum("ms,s->m", rates - rates.mean(axis=0), own) / total
    covariance = np.zeros((models, models))
    # Small products: a large one would be shared by threads, which on busy cores wait for each other.
    for rates, own in _rates(nll, weights, PRODUCT_SAMPLES):
        part = (rates - rates.mean(axis=0) - means[:, None]) * np.sqrt(own / total)
        covariance += part @ part.T
    deviation = np.sqrt(np.diag(covariance))
    # What rounding leaves of a constant column is no spread.
    deviation[deviation <= 1e-12 * largest] = np.nan
    return np.clip(covariance / np.outer(deviation, deviation), -1, 1)


def _rates(nll: np.ndarray, weights: np.ndarray, step: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield losses per unit of weight [lm, sample], and weights [sample], of some samples at a time."""
    for start in range(0, len(nll), step):
        own = weights[start : start + step]
        yield np.ascontiguousarray((nll[start : start + step] / own[:, None]).T), own


def decorrelation(members: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Compute one minus the mean correlation over a pool's pairs of members.

    Parameters
    ----------
    members
        Positions of members, [pool, slot], padded with -1.
    correlation
        Correlations of models [lm, lm], as `residual_correlation` gives them.

    Returns
    -------
    np.ndarray
        Between 0 and 2, [pool]; NaN for single models.
    """
    total, pairs = np.zeros(len(members)), np.zeros(len(members))
    for second in range(1, members.shape[1]):
        valid = members[:, second] >= 0
        for first in range(second):
            total += np.where(valid, correlation[members[:, first], members[:, second]], 0.0)
        pairs += second * valid
    return 1 - np.divide(total, pairs, out=np.full(len(members), np.nan), where=pairs > 0)


def _entropy(shares: np.ndarray) -> np.ndarray:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.maximum(-(shares * logs).sum(axis=1), 0.0)


def _unless_single(members: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where((members >= 0).sum(axis=1) > 1, values, np.nan)
