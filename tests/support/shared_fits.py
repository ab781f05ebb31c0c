"""Fits that several test files look at, and how each is made."""

import math
from collections.abc import Callable

import numpyro.distributions as dist
from brute import WIDTHS
from joint_cases import small_losses
from quick_fits import one_start, quick_fits
from tables import TINY_MEDIANS, family_table, few_rows_table, tiny_table

from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.simulation.simulated_pools import simulate_pools
from bayeslaw.simulation.tables import simulate_chinchilla, simulate_losses


def tiny_law(widths: dict[str, float]) -> PowerLaw:
    """Return one law of all families with log-normal priors around `TINY_MEDIANS`."""
    priors = {
        name: dist.LogNormal(math.log(TINY_MEDIANS[name]), width)
        for name, width in widths.items()
        if name != "noise_scale"
    }
    return PowerLaw(pooling="complete", **priors)


def tiny_noise(response: str) -> Noise:
    scale = dist.LogNormal(math.log(TINY_MEDIANS["noise_scale"]), WIDTHS["noise_scale"])
    return Noise(response=response, standard_errors=False, scale=scale)


def collaboration() -> Fit:
    """Fit 171 pools of up to two of 18 models, drawn from a known law."""
    return fit(CollaborationLaw(), simulate_pools(), draws=1000, chains=2)


def power() -> Fit:
    """Fit five families of eight models, with one amplitude for all."""
    losses = simulate_losses(samples=300, clusters=50, families=5, sizes=8)
    return fit(PowerLaw(pooling={"amplitude": "complete"}), losses)


def chinchilla() -> Fit:
    """Fit models by parameters and training tokens, with Student-t noise of log losses."""
    noise = Noise(distribution="student_t", response="log_loss")
    return fit(ChinchillaLaw(), models_from_frame(simulate_chinchilla(points=120)), noise=noise, draws=500)


def joint(draws: int = 400) -> Fit:
    """Fit the losses of a few models on samples."""
    return fit(JointLaw(), small_losses(), draws=draws, chains=2)


def tiny() -> Fit:
    """Fit eight models of one law."""
    return fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("loss"))


def tiny_log() -> Fit:
    """Fit the same with noise of log losses."""
    return fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("log_loss"))


def partial() -> Fit:
    """Fit three families of eight models, every parameter partially pooled, with standard errors."""
    return fit(PowerLaw(), family_table(standard_error=[0.005] * 24), chains=2)


def few_rows() -> Fit:
    """Fit families of four, two and one model."""
    return fit(PowerLaw(), few_rows_table(), chains=2)


def from_one_start(make: Callable[[], Fit]) -> Callable[[], Fit]:
    """Return a function that fits the same after one search of the mode."""

    def make_from_one_start() -> Fit:
        with one_start():
            return make()

    return make_from_one_start


def quick(make: Callable[[], Fit]) -> Callable[[], Fit]:
    """Return a function that fits the same without the sampler."""

    def make_quickly() -> Fit:
        with quick_fits():
            return make()

    return make_quickly


# What takes longest comes first, as it is made.
SAMPLED = {function.__name__: function for function in (joint, few_rows, partial, chinchilla, collaboration)} | {
    "quick_joint": lambda: joint(draws=100),
    "tiny_log": tiny_log,
    "power": power,
}
FITS = {name: from_one_start(make) for name, make in SAMPLED.items()} | {
    # It is fitted again by tests, to the last bit, as users fit.
    "tiny": tiny,
    "quick_chinchilla": quick(chinchilla),
    "quick_few_rows": quick(few_rows),
}
