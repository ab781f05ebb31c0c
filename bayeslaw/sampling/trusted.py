"""Sampling until the chains can be trusted, with smaller steps and a longer adaptation each time."""

from collections.abc import Sequence

import numpy as np
from arviz_stats.sampling_diagnostics import rhat

from bayeslaw.progress import progress_bar
from bayeslaw.sampling.checkpoint import NOTHING_KEPT, Checkpoint
from bayeslaw.sampling.sampler import Density, Draws, sample

ATTEMPTS = ((500, 0.9), (1000, 0.97), (2000, 0.995))
RHAT_LIMIT = 1.01
CHANCE = 20.0


def sample_until_trusted(
    target: Density,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    chains: int,
    seed: int,
    progress: bool,
    attempts: Sequence[tuple[int, float]] = ATTEMPTS,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> tuple[Draws, dict[str, float]]:
    """Draw from a posterior, again where chains disagree or trajectories diverge.

    Parameters
    ----------
    target
        The posterior.
    mode, factor
        Its mode and a factor of its covariance.
    draws, chains, seed, progress
        As in `bayeslaw.fit`.
    attempts
        Draws of adaptation and target acceptance probability of each attempt.
    checkpoint
        Where draws are kept while chains run, those of each attempt apart.

    Returns
    -------
    draws : Draws
        Of the first attempt without divergences whose chains agree (R-hat up to 1.01, or what chance gives few draws),
        or else of the best.
    settings : dict
        ``warmup``, ``target_accept`` and ``attempts``.
    """
    best: tuple[tuple[int, float], Draws, dict[str, float]] | None = None
    made = 0
    # Of few draws the largest R-hat is above the limit by chance, however well the chains mix.
    limit = max(RHAT_LIMIT, 1 + CHANCE / (chains * draws))
    for warmup, target_accept in attempts:
        made += 1
        with progress_bar("sampling", chains * (warmup + draws), shown=progress) as advance:
            drawn = sample(
                target,
                mode,
                factor,
                draws=draws,
                warmup=warmup,
                chains=chains,
                seed=seed,
                target_accept=target_accept,
                progress=advance,
                checkpoint=checkpoint.within(f"attempt-{made}"),
            )
        divergences, largest = int(drawn.statistics["diverging"].sum()), _largest_rhat(drawn)
        if best is None or (divergences, largest) < best[0]:
            best = (divergences, largest), drawn, {"warmup": warmup, "target_accept": target_accept}
        if divergences == 0 and not largest > limit:
            break
    assert best is not None
    return best[1], best[2] | {"attempts": made}


def _largest_rhat(drawn: Draws) -> float:
    if drawn.position.shape[0] == 1:
        return 1.0
    return float(max(rhat(drawn.position[..., index]) for index in range(drawn.position.shape[-1])))
