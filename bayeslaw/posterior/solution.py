"""A posterior sampled: mode, curvature and draws, block by block where it has independent blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.draws import Draws, join_blocks
from bayeslaw.posterior.identity import kept_start
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, Checkpoint
from bayeslaw.posterior.mode import Mode
from bayeslaw.posterior.retries import sample_until_trusted
from bayeslaw.posterior.samplers import AUTO, sampler_of
from bayeslaw.posterior.sampling_plan import USUAL_PLAN, SamplingPlan
from bayeslaw.progress import progress_bar


@dataclass(frozen=True)
class Solution:
    """A posterior sampled.

    Parameters
    ----------
    draws
        Draws of whole positions; see `bayeslaw.posterior.draws.join_blocks` for the statistics of blocks.
    settings
        ``warmup``, ``target_accept`` and ``attempts``; the largest of each over blocks.
    level
        Whether every mode that was searched has hardly a slope.
    """

    draws: Draws
    settings: dict[str, float]
    level: bool


def draw_posterior(
    posterior: Posterior,
    data: Any,
    *,
    draws: int,
    chains: int,
    seed: int,
    progress: bool | None = False,
    attempts: Mapping[str, Sequence[tuple[int, float]]] = MappingProxyType({}),
    sampler: str = AUTO,
    spread: float = 1.0,
    plan: SamplingPlan = USUAL_PLAN,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Solution:
    """Find the mode of a posterior and draw from it, apart for each of its blocks.

    Parameters
    ----------
    posterior, data
        The posterior, and its data. Call under float64.
    draws, chains, seed, progress
        As in `bayeslaw.fit`; blocks have seeds of their own that follow from this one.
    attempts
        Draws of adaptation and target acceptance probability of each attempt, by sampler; those of the sampler where it
        is not named.
    sampler
        A key of `bayeslaw.posterior.samplers.SAMPLERS`, or ``"auto"``.
    spread
        As in `bayeslaw.posterior.sampler.sample`.
    plan
        What is asked of the sampler beside.
    checkpoint
        Where modes and draws are kept on the way; what is kept there is gone on from.

    Returns
    -------
    Solution
        Draws, and how they were made.
    """
    choices: dict[str, Any] = {"draws": draws, "chains": chains, "attempts": attempts, "spread": spread}
    choices["progress"] = progress
    if posterior.blocks:
        seeds = np.random.SeedSequence(seed).generate_state(len(posterior.blocks))
        choices |= {"sampler": sampler, "plan": plan}
        parts = [
            draw_posterior(block.posterior, data, seed=int(own), checkpoint=checkpoint.within(block.name), **choices)
            for block, own in zip(posterior.blocks, seeds, strict=True)
        ]
        settings = {name: max(part.settings[name] for part in parts) for name in parts[0].settings}
        joined = join_blocks(posterior.blocks, [part.draws for part in parts])
        return Solution(joined, settings, all(part.level for part in parts))
    modes: list[Mode] = []
    chosen = sampler_of(posterior, sampler)
    choices |= {"attempts": plan.attempts(attempts.get(chosen.name, chosen.attempts)), "thin": plan.thin}

    def find() -> tuple[np.ndarray, np.ndarray]:
        mode, factor = chosen.begin(posterior, data, seed)
        modes.append(mode)
        return mode.position, factor

    with progress_bar("finding the mode", None, shown=progress):
        mode, factor = kept_start(checkpoint, lambda at: chosen.height(posterior, data, at), find)
    choices |= {"sampler": chosen.sample, "checkpoint": checkpoint}
    drawn, settings = sample_until_trusted(posterior, data, mode, factor, seed=seed, **choices)
    return Solution(drawn, settings, all(mode.level for mode in modes))
