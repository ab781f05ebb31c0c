"""What a cascade loses against what it runs: thresholds that pay for what they send on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_seed, accepts, texts
from bayeslaw.losses.metrics import metric_of
from bayeslaw.losses.statistics import clustered_standard_error, loss_unit
from bayeslaw.losses.table_arguments import loss_table
from bayeslaw.losses.weighted_means import loss_scale
from bayeslaw.pools.cascade import Cascade
from bayeslaw.pools.folds import check_two_clusters
from bayeslaw.pools.known import check_known
from bayeslaw.pools.rules import RULES
from bayeslaw.pools.scored_pool import known_prices, scored_pool

WEIGHTS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""What running the largest member once costs, in mean losses of the best member."""
RULE = RULES["cascade"]


@accepts(losses=loss_table, members=texts, seed=a_seed)
def cascade_costs(losses: xr.Dataset, members: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Trade what a cascade of a pool's members loses for what it runs: their prices, or else their parameters.

    Parameters
    ----------
    losses
        A loss table with parameters, and maybe prices.
    members
        Names of the pool's models, two or more.
    seed
        Seed of the folds.

    Returns
    -------
    pandas.DataFrame
        One row a weight of cost, ascending: ``weight`` (what running the dearest member costs on a sample, as a share
        of the best member's mean loss; others cost in proportion), ``loss``, ``difference`` to the member that is best
        on other clusters, its ``standard_error`` over clusters, with choices held, ``parameters`` that run on a sample
        on average, ``share_of_largest``, that over the largest member's, ``unit``, ``cost`` (what was counted: "price"
        where that of every member is known and of one above zero, else "parameters"), ``price`` of a sample on average,
        and ``share_of_dearest``, that over the dearest member's; these two None where prices are not counted.

    Raises
    ------
    InputError
        If a member is not known or its parameters are not, there is one member, one cluster, or the table holds right
        and wrong answers: who knew that an answer is wrong would know the answer.

    Notes
    -----
    Thresholds minimise loss plus weight times cost, on other folds of whole clusters; see `bayeslaw.pools.cascade`,
    whose rule is that of weight zero. Members run in the order of their parameters.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> costs = bl.cascade_costs(losses, ["zoo-gpt2-600k", "zoo-llama-1.5m"])
    >>> bool(costs["parameters"].is_monotonic_decreasing)
    True
    """
    pool = scored_pool(losses, members, seed=seed)
    check_known(RULE, pool.known)
    check_two_clusters(pool.clusters, RULE.name)
    if len(pool.names) < 2 or not metric_of(pool.losses).log_losses:
        raise InputError(
            "a cascade is of one member, or of answers that are right or wrong",
            "two members or more, and losses by which a sample can be sent on",
            "name more members of a table of losses in nats",
        )
    assert pool.known.parameters is not None
    parameters, weights, scale = pool.known.parameters, pool.weights, loss_scale(pool.losses)
    prices = known_prices(pool)
    counted = parameters if prices is None else prices
    best = pool.lost(RULES["best"])
    rate, rows, every = best.sum() / weights.sum(), [], np.arange(len(best))
    for weight in WEIGHTS:
        tolls = weight * rate * np.outer(weights, counted / counted.max())
        built = Cascade(pool.nll, pool.known, tolls=tolls)
        policies = built.by_fold(pool.folds, np.ones(len(best)))
        lost = pool.nll[every, built.answers(policies, pool.folds)]
        runs = built.runs(policies, pool.folds)
        run = float((runs @ parameters).mean())
        price = None if prices is None else float((runs @ prices).mean())
        told = ("parameters" if price is None else "price", price, None if price is None else price / counted.max())
        error = float(clustered_standard_error(lost - best, weights, pool.clusters))
        means = (float(scale * each.sum() / weights.sum()) for each in (lost, lost - best))
        rows.append((weight, *means, scale * error, run, run / parameters.max(), loss_unit(pool.losses), *told))
    columns = ["weight", "loss", "difference", "standard_error", "parameters", "share_of_largest", "unit"]
    return pd.DataFrame(rows, columns=[*columns, "cost", "price", "share_of_dearest"])
