"""The samplers there are: how each finds where chains begin, and how it draws."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.errors import InputError, check_choice
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.pools.cpu_cores import one_blas_thread
from bayeslaw.posterior.density import Gradient, Posterior
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.free_coordinates import ManyPositions
from bayeslaw.posterior.hamiltonian import sample_in_step
from bayeslaw.posterior.many_modes import begin_at_mode, begin_in_funnel
from bayeslaw.posterior.mode import Mode, factor_at, find_mode
from bayeslaw.posterior.retries import ATTEMPTS
from bayeslaw.posterior.sampler import sample

MODE_STARTS = 4
AUTO = "auto"
HMC_ATTEMPTS = ((400, 0.9), (1000, 0.95), (2000, 0.98))


@dataclass(frozen=True)
class Sampler:
    """A way to draw from a posterior.

    Parameters
    ----------
    name
        Its key in `SAMPLERS`.
    begin
        From a posterior, its data and a seed to where chains begin and a factor of the covariance expected.
    height
        From a posterior, its data and a position to minus the log density there.
    sample
        Draws; arguments as of `bayeslaw.posterior.sampler.sample`.
    attempts
        Draws of adaptation and target acceptance probability of each attempt, where none are given.
    by_hand
        Whether it needs a density of many positions at once.
    """

    name: str
    begin: Callable[[Posterior, Any, int], tuple[Mode, np.ndarray]]
    height: Callable[[Posterior, Any, np.ndarray], np.ndarray]
    sample: Callable[..., Draws]
    attempts: tuple[tuple[int, float], ...]
    by_hand: bool


def _density(posterior: Posterior, data: Any) -> ManyPositions:
    assert posterior.by_hand is not None
    return posterior.by_hand(data)


def _begin_compiled(posterior: Posterior, data: Any, seed: int) -> tuple[Mode, np.ndarray]:
    mode = find_mode(posterior, data, starts=MODE_STARTS, seed=seed)
    return mode, factor_at(posterior, data, mode.position)


def _height_compiled(posterior: Posterior, data: Any, position: np.ndarray) -> np.ndarray:
    return np.asarray(compile_once(Gradient(posterior.potential), position, data)(position, data)[0])


@one_blas_thread()
def _begin_by_hand(posterior: Posterior, data: Any, seed: int) -> tuple[Mode, np.ndarray]:
    density = _density(posterior, data)
    if posterior.funnel is not None:
        return begin_in_funnel(density, posterior.start, posterior.funnel)
    return begin_at_mode(density, posterior.start, starts=MODE_STARTS, seed=seed)


def _height_by_hand(posterior: Posterior, data: Any, position: np.ndarray) -> np.ndarray:
    return -_density(posterior, data).evaluate(position[None])[0][0]


@one_blas_thread()
def _sample_by_hand(posterior: Posterior, data: Any, mode: np.ndarray, factor: np.ndarray, **choices: Any) -> Draws:
    return sample_in_step(_density(posterior, data), mode, factor, **choices)


SAMPLERS: Mapping[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler("hmc", _begin_by_hand, _height_by_hand, _sample_by_hand, HMC_ATTEMPTS, by_hand=True),
        Sampler("nuts", _begin_compiled, _height_compiled, sample, ATTEMPTS, by_hand=False),
    )
}
"""Samplers by name, the one that is used where it can be first."""


def sampler_of(posterior: Posterior, name: str) -> Sampler:
    """Return the sampler of a name.

    Parameters
    ----------
    posterior
        The posterior that is to be drawn from.
    name
        A key of `SAMPLERS`, or ``"auto"``: the first that this posterior has all for.

    Returns
    -------
    Sampler
        The sampler.

    Raises
    ------
    InputError
        If there is no such sampler, or the posterior has no density of many positions at once, which it needs.
    """
    check_choice("sampler", name, (AUTO, *SAMPLERS))
    able = [key for key, sampler in SAMPLERS.items() if posterior.by_hand is not None or not sampler.by_hand]
    if name == AUTO:
        return SAMPLERS[able[0]]
    if name not in able:
        raise InputError(
            f"the sampler {name!r} needs gradients by hand, which this law has not",
            ", ".join([AUTO, *able]),
            "leave it out",
        )
    return SAMPLERS[name]
