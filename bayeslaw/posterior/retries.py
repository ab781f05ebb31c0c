"""Sampling until the chains can be trusted, with smaller steps and a longer adaptation each time."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from arviz_stats.sampling_diagnostics import ess, rhat

from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, Checkpoint
from bayeslaw.posterior.sampler import sample
from bayeslaw.progress import progress_bar

LOG = logging.getLogger(__name__)
ATTEMPTS = ((500, 0.9), (1000, 0.97), (2000, 0.995))
RHAT_LIMIT = 1.01
CHANCE = 20.0
TAILS = (0.05, 0.95)


def sample_until_trusted(
    posterior: Posterior,
    data: Any,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    chains: int,
    seed: int,
    progress: bool | None = False,
    attempts: Sequence[tuple[int, float]] = ATTEMPTS,
    spread: float = 1.0,
    checkpoint: Checkpoint = NOTHING_KEPT,
    sampler: Callable[..., Draws] = sample,
    thin: int = 1,
) -> tuple[Draws, dict[str, float]]:
    """Draw from a posterior, again where chains disagree or trajectories diverge.

    Parameters
    ----------
    posterior, data
        The posterior, and its data. Call under float64.
    mode, factor
        Its mode and a factor of its covariance.
    draws, chains, seed, progress
        As in `bayeslaw.fit`.
    attempts
        Draws of adaptation and target acceptance probability of each attempt.
    spread
        As in `bayeslaw.posterior.sampler.sample`.
    checkpoint
        Where draws are kept while chains run, those of each attempt apart.
    sampler
        What draws; arguments as of `bayeslaw.posterior.sampler.sample`.
    thin
        Of so many successive draws one is kept; chains make `thin` times as many as they keep.

    Returns
    -------
    draws : Draws
        Of the first attempt without divergences whose chains agree (R-hat up to `rhat_limit`), or else of the best.
    settings : dict
        ``warmup``, ``target_accept`` and ``attempts``.
    """
    best: tuple[tuple[int, float], Draws, dict[str, float]] | None = None
    made, limit = 0, rhat_limit(draws, chains)
    for warmup, target_accept in attempts:
        made += 1
        with progress_bar("sampling", chains * (warmup + thin * draws), shown=progress) as advance:
            drawn = sampler(
                posterior,
                data,
                mode,
                factor,
                draws=thin * draws,
                warmup=warmup,
                chains=chains,
                seed=seed,
                target_accept=target_accept,
                spread=spread,
                progress=advance,
                checkpoint=checkpoint.within(f"attempt-{made}"),
            ).thinned(thin)
        quality = drawn.divergences, largest_rhat(drawn.position)
        LOG.info(
            "attempt %d: %d draws of adaptation towards an acceptance of %g; %d divergences, largest R-hat %.4f",
            *(made, warmup, target_accept, *quality),
        )
        if best is None or quality < best[0]:
            best = quality, drawn, {"warmup": warmup, "target_accept": target_accept}
        if quality[0] == 0 and not quality[1] > limit:
            break
    assert best is not None
    return best[1], best[2] | {"attempts": made}


def rhat_limit(draws: int, chains: int) -> float:
    """Largest R-hat of chains that count as agreeing: the rule of fits and `bayeslaw.check`.

    It is 1.01 (Vehtari et al. 2021), or ``1 + 20 / (chains * draws)`` where that is more. Means of chains differ by
    chance: the largest R-hat of twenty parameters whose chains do agree, and whose draws are worth half as many
    independent ones, exceeds 1.01 with few draws, and the second number in about one of a hundred fits (of two chains;
    simulated autoregressions).

    Parameters
    ----------
    draws
        Number of draws of each chain.
    chains
        Number of chains.

    Returns
    -------
    float
        The limit.

    Examples
    --------
    >>> rhat_limit(1000, 4), rhat_limit(250, 2)
    (1.01, 1.04)
    """
    return max(RHAT_LIMIT, 1 + CHANCE / (chains * draws))


def largest_rhat(position: np.ndarray) -> float:
    """Largest R-hat over the coordinates of draws, [chain, draw, coordinate].

    One for a single chain, infinite where draws are not finite.
    """
    if not np.isfinite(position).all():
        return float("inf")
    if len(position) == 1:
        return 1.0
    return float(max(rhat(position[..., index]) for index in range(position.shape[-1])))


def mixing(position: np.ndarray) -> dict[str, float]:
    """Say how well chains mixed, over the coordinates of draws, [chain, draw, coordinate].

    Parameters
    ----------
    position
        Draws, shape ``[chain, draw, coordinate]``.

    Returns
    -------
    dict
        ``r_hat_max``, and the smallest effective sample sizes ``ess_bulk_min`` and ``ess_tail_min``.
    """
    bulk = [ess(position[..., index], method="bulk") for index in range(position.shape[-1])]
    tail = [ess(position[..., index], method="tail", prob=TAILS) for index in range(position.shape[-1])]
    return {"r_hat_max": largest_rhat(position), "ess_bulk_min": float(min(bulk)), "ess_tail_min": float(min(tail))}
