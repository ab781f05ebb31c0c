"""Fits without the sampler: draws of the normal distribution that the curvature at the mode tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bayeslaw.posterior import samplers, solution
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.draws import Draws


def normal_draws(
    posterior: Posterior,
    data: Any,
    mode: np.ndarray,
    factor: np.ndarray,
    *,
    draws: int,
    chains: int,
    seed: int,
    **others: Any,
) -> tuple[Draws, dict[str, float]]:
    """Stand in for `sample_until_trusted`: as it does, with draws around the mode in place of NUTS."""
    del posterior, data, others
    z = np.random.default_rng(seed).standard_normal((chains, draws, len(mode)))
    lp = -(z**2).sum(axis=-1) / 2
    steps = np.ones(lp.shape, dtype=int)
    statistics = {
        "diverging": np.zeros(lp.shape, dtype=bool),
        "n_steps": steps,
        "acceptance_rate": np.ones(lp.shape),
        "energy": -lp + np.random.default_rng(seed + 1).chisquare(len(mode), lp.shape) / 2,
        "lp": lp,
        "tree_depth": steps,
        "reached_max_treedepth": np.zeros(lp.shape, dtype=bool),
    }
    return Draws(mode + z @ factor.T, statistics), {"warmup": 0, "target_accept": 1.0, "attempts": 1}


@contextmanager
def one_start() -> Iterator[None]:
    """Search the mode from one start: where a test looks at what is made of it, not at which of several it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samplers, "MODE_STARTS", 1)
        yield


@contextmanager
def quick_fits(quick: bool = True) -> Iterator[None]:
    """Fit from one start and without the sampler, where a test looks at what comes before or after them."""
    with pytest.MonkeyPatch.context() as patch:
        if quick:
            patch.setattr(solution, "sample_until_trusted", normal_draws)
            patch.setattr(samplers, "MODE_STARTS", 1)
        yield
