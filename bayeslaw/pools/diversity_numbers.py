"""How different the members of pools are: families, correlation of their losses, evenness of their wins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.losses.statistics import sample_weights
from bayeslaw.pools.pool_members import check_table

PRODUCT_SAMPLES = 512


@dataclass(frozen=True)
class PoolFacts:
    """What is known of pools; what only losses on samples tell is None where there are none.

    Parameters
    ----------
    by_family
        Parameters that each family has in each pool, [pool, family].
    members
        Positions of members, [pool, slot], padded with -1.
    shares
        Win shares of the members, [pool, slot], zero where padded.
    correlation
        Correlations of the models of the table, [lm, lm], as `residual_correlation` gives them.
    """

    by_family: np.ndarray
    members: np.ndarray | None = None
    shares: np.ndarray | None = None
    correlation: np.ndarray | None = None


@dataclass(frozen=True)
class DiversityNumber:
    """A number that says how different the members of a pool are.

    Parameters
    ----------
    name
        What it is called in tables of pools, files and messages.
    description
        What it is, in a few words.
    values
        Computes it for pools of two or more, [pool].
    of_members
        Whether it follows from the members' families and parameters, so that pools of models not seen have it too.
    """

    name: str
    description: str
    values: Callable[[PoolFacts], np.ndarray]
    of_members: bool = False


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
    weights, nll = sample_weights(losses), losses["nll"].to_numpy()
    return correlation_of(lambda: iter([(nll, weights)]), float(weights.sum()))


def correlation_of(batches: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]], total: float) -> np.ndarray:
    """Correlate the losses of models as `residual_correlation` does, some samples at a time.

    Parameters
    ----------
    batches
        Yields losses in nats [sample, lm] and weights [sample] of some samples after the other; called twice.
    total
        Weight of all samples.

    Returns
    -------
    np.ndarray
        Correlations [lm, lm].
    """
    means, largest = np.zeros(1), 0.0
    for nll, weights in batches():
        for rates, part_weights in _rates(nll, weights, PRODUCT_SAMPLES * 64):
            largest = max(largest, float(np.abs(rates).max()))
            means = means + np.einsum("ms,s->m", rates - rates.mean(axis=0), part_weights) / total
    covariance = np.zeros((len(means), len(means)))
    # Small products: a large one would be shared by threads, which on busy cores wait for each other.
    for nll, weights in batches():
        for rates, part_weights in _rates(nll, weights, PRODUCT_SAMPLES):
            part = (rates - rates.mean(axis=0) - means[:, None]) * np.sqrt(part_weights / total)
            covariance += part @ part.T
    deviation = np.sqrt(np.diag(covariance))
    # What rounding leaves of a constant column is no spread.
    deviation[deviation <= 1e-12 * largest] = np.nan
    return np.clip(covariance / np.outer(deviation, deviation), -1, 1)


def _rates(nll: np.ndarray, weights: np.ndarray, step: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield losses per unit of weight [lm, sample], and weights [sample], of some samples at a time."""
    for start in range(0, len(nll), step):
        part_weights = weights[start : start + step]
        yield np.ascontiguousarray((nll[start : start + step] / part_weights[:, None]).T), part_weights


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


def _decorrelation(pools: PoolFacts) -> np.ndarray:
    assert pools.members is not None
    assert pools.correlation is not None
    return decorrelation(pools.members, pools.correlation)


def _win_entropy(pools: PoolFacts) -> np.ndarray:
    assert pools.members is not None
    assert pools.shares is not None
    return win_entropy(pools.members, pools.shares)


DIVERSITY_NUMBERS: dict[str, DiversityNumber] = {
    number.name: number
    for number in (
        DiversityNumber(
            "families",
            "the number of families",
            lambda pools: (pools.by_family > 0).sum(axis=1),
            of_members=True,
        ),
        DiversityNumber(
            "effective_families",
            "the exponential of the entropy of the families' shares of the parameters",
            lambda pools: effective_number(pools.by_family),
            of_members=True,
        ),
        DiversityNumber(
            "decorrelation",
            "one minus the mean correlation of the members' losses, pair by pair",
            _decorrelation,
        ),
        DiversityNumber("win_entropy", "the entropy of the members' win shares", _win_entropy),
    )
}
OF_MEMBERS = tuple(name for name, number in DIVERSITY_NUMBERS.items() if number.of_members)


def member_numbers(by_family: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the diversity numbers that follow from members alone.

    Parameters
    ----------
    by_family
        Parameters that each family has in each pool, [pool, family].

    Returns
    -------
    dict
        `OF_MEMBERS`, each [pool].
    """
    facts = PoolFacts(by_family)
    return {name: DIVERSITY_NUMBERS[name].values(facts).astype(float) for name in OF_MEMBERS}
