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
from bayeslaw.pools.scored_pool import scored_pool

WEIGHTS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""What running the largest member once costs, in mean losses of the best member."""
RULE = RULES["cascade"]


@accepts(losses=loss_table, members=texts, seed=a_seed)
def cascade_costs(losses: xr.Dataset, members: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Trade what a cascade of a pool's members loses for the parameters that it runs.

    Parameters
    ----------
    losses
        A loss table with parameters.
    members
        Names of the pool's models, two or more.
    seed
        Seed of the folds.

    Returns
    -------
    pandas.DataFrame
        One row a weight of cost, ascending: ``weight`` (what running as many parameters as the largest member has costs
        on a sample, as a share of the best member's mean loss), ``loss``, ``difference`` to the member that is best on
        other clusters, its ``standard_error`` over clusters, with choices held, ``parameters`` that run on a sample on
        average, ``share_of_largest``, that over the largest member's, and ``unit``.

    Raises
    ------
    InputError
        If a member is not known or its parameters are not, there is one member, one cluster, or the table holds right
        and wrong answers: who knew that an answer is wrong would know the answer.

    Notes
    -----
    Thresholds minimise loss plus weight times parameters run, on other folds of whole clusters; see
    `bayeslaw.pools.cascade`, whose rule is that of weight zero.

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
    best = pool.lost(RULES["best"])
    rate, rows, every = best.sum() / weights.sum(), [], np.arange(len(best))
    for weight in WEIGHTS:
        tolls = weight * rate * np.outer(weights, parameters / parameters.max())
        built = Cascade(pool.nll, pool.known, tolls=tolls)
        policies = built.by_fold(pool.folds, np.ones(len(best)))
        lost = pool.nll[every, built.answers(policies, pool.folds)]
        run = float((built.runs(policies, pool.folds) @ parameters).mean())
        error = float(clustered_standard_error(lost - best, weights, pool.clusters))
        means = (float(scale * each.sum() / weights.sum()) for each in (lost, lost - best))
        rows.append((weight, *means, scale * error, run, run / parameters.max(), loss_unit(pool.losses)))
    columns = ["weight", "loss", "difference", "standard_error", "parameters", "share_of_largest", "unit"]
    return pd.DataFrame(rows, columns=columns)
