"""Draws of what pools would lose on new samples, the same clusters drawn for all pools, and what follows for a choice.

The clusters get weights from a flat Dirichlet distribution (the Bayesian bootstrap; Rubin 1981): a posterior of mean
losses under which nothing is known of them before. The best pool and the best single model are found anew in each draw.
"""

from dataclasses import dataclass

import numpy as np

from bayeslaw.decision.contenders import Contenders

BLOCK = 64


@dataclass(frozen=True)
class Odds:
    """Probabilities and expectations over draws, [pool] each.

    Parameters
    ----------
    best
        That no other pool loses less.
    better_than_single
        That it loses less than every single model.
    regret
        Expected loss beyond that of the pool that is best in a draw.
    on_front
        That no pool of the same or a lower cost loses less; NaN where its cost is not known.
    """

    best: np.ndarray
    better_than_single: np.ndarray
    regret: np.ndarray
    on_front: np.ndarray


def draw_odds(contenders: Contenders, costs: np.ndarray, draws: int, seed: int) -> Odds:
    """Find probabilities and expectations over draws of clusters.

    Parameters
    ----------
    contenders
        The pools.
    costs
        Their costs, [pool]; NaN where not known.
    draws
        Number of draws.
    seed
        Seed.

    Returns
    -------
    Odds
        What was found.
    """
    generator = np.random.default_rng([seed, 3])
    single, count = contenders.single, len(contenders.weights)
    known = np.flatnonzero(np.isfinite(costs[: contenders.eligible]))
    known = known[np.argsort(costs[known], kind="stable")]
    # Pools of one cost stand against each other: the lowest of them is where the last of them is.
    last = np.searchsorted(costs[known], costs[known], side="right") - 1
    best, better, regret, front = (np.zeros(len(single)) for _ in range(4))
    for start in range(0, draws, BLOCK):
        weights = generator.standard_exponential((min(BLOCK, draws - start), count))
        lost = weights @ contenders.sums / (weights @ contenders.weights)[:, None]
        lowest = lost[:, : contenders.eligible].min(axis=1, keepdims=True)
        best += (lost == lowest).sum(axis=0)
        better += (lost < lost[:, single].min(axis=1, keepdims=True)).sum(axis=0)
        regret += (lost - lowest).sum(axis=0)
        of_known = lost[:, known]
        front[known] += (of_known <= np.minimum.accumulate(of_known, axis=1)[:, last]).sum(axis=0)
    front[np.setdiff1d(np.arange(len(front)), known)] = np.nan
    return Odds(*(sums / draws for sums in (best, better, regret, front)))
