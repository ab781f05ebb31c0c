"""Fits without the sampler: draws of the normal distribution that the curvature at the mode tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.posterior import samplers, solution
from bayeslaw.posterior.density import Gradient, Posterior
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.mode import covariance_factor

STEP = 1e-4
# Of directions that data and prior tell little of: draws go no further than a few units of a coordinate.
LEAST_CURVATURE = 0.25


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


def factor_by_differences(posterior: Posterior, data: Any, mode: np.ndarray) -> np.ndarray:
    """Stand in for `factor_at`: as it does, of differences of the gradient, whose program the search has compiled."""
    gradient = compile_once(Gradient(posterior.potential), mode, data)
    steps = STEP * np.eye(len(mode))
    after, before = (np.array([gradient(mode + sign * step, data)[1] for step in steps]) for sign in (1, -1))
    curvature = (after - before) / (2 * STEP)
    curvature = (curvature + curvature.T) / 2
    if not np.isfinite(curvature).all():
        return np.eye(len(mode))
    values, vectors = np.linalg.eigh(curvature)
    return covariance_factor((vectors * np.maximum(values, LEAST_CURVATURE)) @ vectors.T)


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
            patch.setattr(samplers, "factor_at", factor_by_differences)
        yield
