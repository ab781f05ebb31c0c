"""What no pool within limits loses less than, of pools that were looked at; see `bayeslaw.decision.pool_search`."""

from collections.abc import Sequence

import numpy as np

from bayeslaw.decision.limits import Admitted
from bayeslaw.pools.rules import Rule

WEIGHT_STEPS = 60
SIMPLEX_RULES = ("mixture",)
"""Rules that mix whole samples with weights that do not differ between samples."""


def lowest_possible(nll: np.ndarray, admitted: Admitted, pools: Sequence[np.ndarray], rule: Rule) -> float:
    """Bound from below the sum that a pool within limits loses.

    Parameters
    ----------
    nll
        Losses in nats of the admitted models, [sample, model].
    admitted
        The models, with what is limited.
    pools
        Pools from which the bound is taken, members alone.
    rule
        How members combine.

    Returns
    -------
    float
        A sum in nats; the largest of several that hold.
    """
    bounds = [oracle_bound(nll, admitted, pool) for pool in pools]
    if rule.name in SIMPLEX_RULES:
        bounds.append(simplex_bound(nll))
    return max(bounds)


def oracle_bound(nll: np.ndarray, admitted: Admitted, pool: np.ndarray) -> float:
    """Bound from below what the oracle of a pool within limits loses, by what models add to one of these pools."""
    lowest = nll[:, pool].min(axis=1)
    gains = np.array([np.maximum(lowest - column, 0.0).sum() for column in nll.T])
    free = np.arange(nll.shape[1]) >= admitted.required
    number = admitted.max_size - admitted.required
    largest = float(np.sort(gains[free])[::-1][:number].sum())
    for cost, most in zip(admitted.costs, admitted.most, strict=True):
        # What every pool within the limits holds uses its share of them.
        left = most - cost[: admitted.required].sum()
        largest = min(largest, _fractional(gains[free], cost[free], left))
    # Pools within the limits have what is required; the pool that is widened may lack none of it.
    return float(lowest.sum()) - largest


def _fractional(gains: np.ndarray, costs: np.ndarray, room: float) -> float:
    """Fill a knapsack with fractions, those first that gain most for their cost."""
    free = costs <= 0
    total, gains, costs = float(gains[free].sum()), gains[~free], costs[~free]
    order = np.argsort(-gains / costs, kind="stable")
    before = np.cumsum(costs[order]) - costs[order]
    share = np.clip((room - before) / costs[order], 0.0, 1.0)
    return total + float((share * gains[order]).sum())


def simplex_bound(nll: np.ndarray) -> float:
    """Bound from below what mixtures lose, by the best weights of all models.

    With weights w, where model m has on average the ratio :math:`g_m` of its probability to the mixture's, no weights
    lose less than the loss of w minus the logarithm of the largest ratio, for each sample (Cover 1984).
    """
    base = nll.min(axis=1)
    likelihood = np.exp(base[:, None] - nll)
    weights, bound = np.full(nll.shape[1], 1 / nll.shape[1]), -np.inf
    for _ in range(WEIGHT_STEPS):
        mixed = likelihood @ weights
        ratios = likelihood.T @ (1 / mixed) / len(nll)
        loss = float((base - np.log(mixed)).sum())
        bound = max(bound, loss - len(nll) * float(np.log(ratios.max())))
        weights = weights * ratios
    return bound
