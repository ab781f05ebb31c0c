"""The pools that come into question for rules that are themselves cross-fitted, and take long to evaluate.

They are the best by each of the rules that are not, with every single model. The oracle of a pool loses at most what
any rule does that takes members or mixes them, so that what is left out is bounded by the lowest of its oracles.
"""

import numpy as np

from bayeslaw.decision.contenders import cluster_sums
from bayeslaw.decision.limits import Admitted
from bayeslaw.decision.pool_search import Search, search_pools
from bayeslaw.losses.metrics import are_votes
from bayeslaw.pools.rules import RULES, Rule, pointwise_rules
from bayeslaw.pools.rules_by_unit import not_combined

MOST_EVALUATED = 1000
BOUND = "oracle"


def preselect(
    nll: np.ndarray, clusters: np.ndarray, folds: np.ndarray, admitted: Admitted, rule: Rule, *, unit: str
) -> Search:
    """Evaluate the most promising pools by a rule that is cross-fitted.

    Parameters
    ----------
    nll
        Losses in nats of the admitted models, [sample, model].
    clusters, folds
        Numbers of each sample's cluster and fold, [sample].
    admitted
        The models, with what is limited.
    rule
        The rule. What it loses on a fold was fitted on the others, so that a pool chosen by the others has seen the
        fold only in what they were fitted on.
    unit
        Unit of the losses, which tells by which other rules pools are looked at.

    Returns
    -------
    Search
        The pools evaluated.
    """
    others = [RULES[name] for name in pointwise_rules() if not not_combined(RULES[name], unit, votes=are_votes(nll))]
    searches = {each.name: search_pools(nll, folds, admitted, each) for each in others}
    pools = _promising(list(searches.values()))
    lost = cluster_sums(nll, pools, clusters, folds, rule.functions)
    fold = np.zeros(len(lost), dtype=np.int64)
    fold[clusters] = folds
    sums = np.stack([lost[fold == each].sum(axis=0) for each in range(int(folds.max()) + 1)])
    return Search(pools, sums, None, _left_out(searches[BOUND], pools), lost)


def _promising(searches: list[Search]) -> np.ndarray:
    """Take the best pools by each search in turn, and every single model."""
    ranked = [search.pools[np.argsort(search.sums.sum(axis=0), kind="stable")[:MOST_EVALUATED]] for search in searches]
    rank = np.concatenate([np.arange(len(pools)) for pools in ranked])
    in_turn = np.concatenate(ranked)[np.argsort(rank, kind="stable")]
    _, first = np.unique(in_turn, axis=0, return_index=True)
    every = searches[0].pools
    singles = every[(every >= 0).sum(axis=1) == 1]
    return np.unique(np.concatenate([in_turn[np.sort(first)[:MOST_EVALUATED]], singles]), axis=0)


def _left_out(search: Search, pools: np.ndarray) -> float | None:
    """Return the lowest oracle of the pools left out; None where there are none."""
    evaluated = {tuple(row) for row in pools.tolist()}
    order = np.argsort(search.sums.sum(axis=0), kind="stable")
    first = next((each for each in order if tuple(search.pools[each].tolist()) not in evaluated), None)
    left_out = [] if first is None else [float(search.sums[:, first].sum())]
    return min([*left_out, *([] if search.bound is None else [search.bound])], default=None)
