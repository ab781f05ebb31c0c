"""Losses, standard errors, win shares and nulls of many pools at once.

Memory does not grow with samples times pools, and holds the losses of the table once.
"""

import numpy as np

from bayeslaw.pools.pool_table import Evaluation, PoolTable
from bayeslaw.pools.rules import find_rule


def evaluate_pools(
    nll: np.ndarray,
    members: np.ndarray,
    *,
    weights: np.ndarray,
    clusters: np.ndarray,
    rule: str,
    seed: int = 0,
    null_weights: np.ndarray | None = None,
) -> Evaluation:
    """Evaluate pools on a table of losses.

    Parameters
    ----------
    nll
        Losses in nats, [sample, lm], finite.
    members
        Positions of members in ascending order, [pool, slot], padded with -1; no pool twice.
    weights
        Weight of each sample, [sample].
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    rule
        Name of one of `bayeslaw.pools.rules.RULES`.
    seed
        Seed of the folds and of the shuffles.
    null_weights
        How much of a loss each sample holds when losses are shuffled and sorted, [sample]; its weight by default, which
        must then not be zero.

    Returns
    -------
    Evaluation
        The losses and shares.

    Raises
    ------
    InputError
        If the rule is not known.
    """
    functions = find_rule(rule, of_losses=True).functions
    table = PoolTable(nll, members, weights, clusters, seed=seed, null_weights=null_weights)
    return functions.evaluate(table).shifted(table.columns.shift)
