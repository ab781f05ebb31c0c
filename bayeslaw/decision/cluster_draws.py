"""Draws of what pools would lose on new samples, the same clusters drawn for all pools, and what follows for a choice.

The clusters get weights from a flat Dirichlet distribution (the Bayesian bootstrap; Rubin 1981): a posterior of mean
losses under which nothing is known of them before. From there each draw is taken to one of a posterior that knows that
models, and what pools of them gain, are somewhat alike (`bayeslaw.decision.pool_posterior`). The best pool and the best
single model are found anew in each draw.
"""

from collections.abc import Iterator
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


def draw_odds(contenders: Contenders, costs: np.ndarray, draws: int, seed: int) -> tuple[Odds, np.ndarray]:
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
    odds : Odds
        What was found.
    away : numpy.ndarray
        What pools that come into question lose more than the first, [draw, pool].
    """
    found, away = np.zeros((4, len(contenders.single))), []
    for lost in drawn_losses(contenders, draws, seed):
        odds = odds_of(lost, contenders.single, contenders.eligible, costs)
        found += len(lost) * np.array([odds.best, odds.better_than_single, odds.regret, odds.on_front])
        away.append((lost - lost[:, :1])[:, : contenders.eligible].astype(np.float32))
    return Odds(*(found / draws)), np.concatenate(away)


def drawn_losses(contenders: Contenders, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Draw what pools lose in truth, some draws at a time, [draw, pool]; arguments as of `draw_odds`."""
    generator, others = np.random.default_rng([seed, 3]), np.random.default_rng([seed, 4])
    for start in range(0, draws, BLOCK):
        weights = generator.standard_exponential((min(BLOCK, draws - start), len(contenders.weights)))
        yield contenders.posterior.draw(weights, others)


def odds_of(lost: np.ndarray, single: np.ndarray, eligible: int, costs: np.ndarray) -> Odds:
    """Count over draws how pools stand against each other.

    Parameters
    ----------
    lost
        What each pool loses, [draw, pool].
    single
        Whether a pool is a single model, [pool].
    eligible
        How many of the pools, the first, come into question; the others are single models to compare to.
    costs
        Their costs, [pool]; NaN where not known.

    Returns
    -------
    Odds
        Means over the draws.
    """
    known = np.flatnonzero(np.isfinite(costs[:eligible]))
    known = known[np.argsort(costs[known], kind="stable")]
    # Pools of one cost stand against each other: the lowest of them is where the last of them is.
    last = np.searchsorted(costs[known], costs[known], side="right") - 1
    lowest = lost[:, :eligible].min(axis=1, keepdims=True)
    front = np.full(lost.shape[1], np.nan)
    of_known = lost[:, known]
    front[known] = (of_known <= np.minimum.accumulate(of_known, axis=1)[:, last]).mean(axis=0)
    return Odds(
        (lost == lowest).mean(axis=0),
        (lost < lost[:, single].min(axis=1, keepdims=True)).mean(axis=0),
        (lost - lowest).mean(axis=0),
        front,
    )
