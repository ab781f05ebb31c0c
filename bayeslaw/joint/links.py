"""Links between losses and a scale on which they are nearly normal; the minimum commutes with them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.errors import InputError, check_choice
from bayeslaw.joint.latent_losses import LatentLosses, ScoredLatent, SeenLatent
from bayeslaw.joint.mean_shifts import Shape, add_to_means, largest_to_means, shift_to_means
from bayeslaw.losses.loss_text import loss_text

SCORES = (0.0, 1.0)
MOST_ZEROS = 0.1
RIDGE = 1e-6


class Link(ABC):
    """How the losses of a table stand for latent ones on a scale on which they are nearly normal.

    Parameters
    ----------
    name
        A key of `LINKS`.
    mean_is_finite
        Whether the loss has a finite mean when its latent value has the tails of Student's t.
    tails
        Whether latent values may have tails other than the normal distribution's.
    accepted
        What the losses have to be, in words.
    """

    name: str
    mean_is_finite: bool
    tails: bool
    accepted: str

    @abstractmethod
    def unsuited(self, losses: np.ndarray) -> str:
        """Say why losses, [sample, lm], cannot be taken by this link; empty where they can."""

    @abstractmethod
    def latent_losses(self, losses: np.ndarray) -> LatentLosses:
        """Return the latent losses behind losses, [sample, lm]."""

    @abstractmethod
    def with_means(self, latent: np.ndarray, means: np.ndarray, share: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Shift latent losses so that the weighted means of the losses are those given.

        Parameters
        ----------
        latent
            Latent losses, [new, sample], float64 or float32, in which the losses then are.
        means
            Mean losses in the reported unit, [new].
        share
            Share of the weight of each sample, in the precision of `latent`, [sample].
        near
            Latent means to start from, [new].

        Returns
        -------
        numpy.ndarray
            Losses per unit of weight in the reported unit, [new, sample].
        """


def two_values(losses: np.ndarray) -> tuple[float, float] | None:
    """Return the two values that are all losses there are, as scores of right and wrong answers; else None."""
    low, high = float(losses.min()), float(losses.max())
    return (low, high) if low < high and ((losses == low) | (losses == high)).all() else None


@final
@dataclass(frozen=True)
class SmoothLink(Link):
    """A monotone map ``loss = value(z)``, with which the minimum commutes.

    Parameters
    ----------
    name
        A key of `LINKS`.
    value
        Loss of a latent ``z``.
    latent
        Its inverse.
    log_slope
        Logarithm of the derivative of the inverse, by the loss.
    mean_is_finite
        Whether the loss has a finite mean when ``z`` has the tails of Student's t.
    array_value, array_latent
        `value` and `latent` for arrays of NumPy, in the precision of their argument.
    array_slope
        Derivative of `value` by ``z``, from the loss, for arrays of NumPy.
    positive
        Whether every loss is positive.
    linear
        Whether a shift of ``z`` is the same shift of the loss.
    """

    name: str
    value: Callable[[ArrayLike], Array]
    latent: Callable[[ArrayLike], Array]
    log_slope: Callable[[ArrayLike], Array]
    mean_is_finite: bool
    array_value: Callable[[np.ndarray], np.ndarray]
    array_latent: Callable[[np.ndarray], np.ndarray]
    array_slope: Callable[[np.ndarray], np.ndarray]
    positive: bool = True
    linear: bool = False
    tails: bool = True
    accepted: str = "losses in nats, of which each tells its latent value"

    def unsuited(self, losses: np.ndarray) -> str:
        """Say why losses cannot be taken; as `Link.unsuited`."""
        if values := two_values(losses):
            low, high = (f"{value:.4g}" for value in values)
            return f"every loss is {low} or {high}: these are scores of right and wrong answers, not losses in nats"
        zero = (losses == 0).mean(axis=0).max()
        if self.positive and zero > MOST_ZEROS:
            return (
                f"{zero:.0%} of the losses of a model are zero, of which none is known to be how far below the others"
            )
        return ""

    def latent_losses(self, losses: np.ndarray) -> LatentLosses:
        """Return latent losses; as `Link.latent_losses`."""
        return SeenLatent(self.array_latent(positive_losses(losses) if self.positive else losses))

    def with_means(self, latent: np.ndarray, means: np.ndarray, share: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Shift latent losses; as `Link.with_means`."""
        if self.linear:
            return add_to_means(latent, means, share)
        shapes = Shape(self.array_value, self.array_latent, self.array_slope)
        return shift_to_means(shapes, latent, means, share, near)


@final
@dataclass(frozen=True)
class ScoreLink(Link):
    """A loss of one where a normal latent value is above zero, and of zero elsewhere: wrong and right answers.

    A pool's minimum is zero where any member is right. The mean loss of a model is the probability that its latent
    value is above zero, a normal distribution function of the latent mean: the probit.
    """

    name: str
    mean_is_finite: bool = True
    tails: bool = False
    accepted: str = "losses that are all 0 (right) or 1 (wrong), without the bytes of the samples"

    def unsuited(self, losses: np.ndarray) -> str:
        """Say why losses cannot be taken; as `Link.unsuited`."""
        if two_values(losses) != SCORES:
            return "not every loss is 0 or 1"
        same = np.ptp(losses, axis=0) == 0
        return f"{same.sum()} of the models have the same score on every sample that is looked at" if same.any() else ""

    def latent_losses(self, losses: np.ndarray) -> LatentLosses:
        """Return latent losses; as `Link.latent_losses`."""
        return ScoredLatent(losses)

    def with_means(self, latent: np.ndarray, means: np.ndarray, share: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Give a loss of one to the largest latent values; as `Link.with_means`, to the nearest sample."""
        del near
        return largest_to_means(latent, means, share)


def _inverse_softplus(loss: ArrayLike) -> Array:
    loss = jnp.asarray(loss)
    return loss + jnp.log(-jnp.expm1(-loss))


def _softplus(z: np.ndarray) -> np.ndarray:
    # Of functions that NumPy vectorises, as `numpy.logaddexp` is not.
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


SMOOTH_LINKS: Mapping[str, SmoothLink] = {
    link.name: link
    for link in (
        SmoothLink(
            "log",
            lambda z: jnp.exp(z),
            lambda x: jnp.log(x),
            lambda x: -jnp.log(x),
            mean_is_finite=False,
            array_value=np.exp,
            array_latent=np.log,
            array_slope=np.asarray,
        ),
        SmoothLink(
            "softplus",
            lambda z: jax.nn.softplus(z),
            _inverse_softplus,
            lambda x: -jnp.log(-jnp.expm1(-jnp.asarray(x))),
            mean_is_finite=True,
            array_value=_softplus,
            array_latent=lambda x: x + np.log(-np.expm1(-x)),
            array_slope=lambda x: -np.expm1(-x),
        ),
        SmoothLink(
            "identity",
            lambda z: jnp.asarray(z),
            lambda x: jnp.asarray(x),
            jnp.zeros_like,
            mean_is_finite=True,
            array_value=np.asarray,
            array_latent=np.asarray,
            array_slope=np.ones_like,
            positive=False,
            linear=True,
        ),
    )
}


LINKS: Mapping[str, Link] = {**SMOOTH_LINKS, "probit": ScoreLink("probit")}


def positive_losses(losses: np.ndarray) -> np.ndarray:
    """Replace losses of zero, of which no link but the identity knows a latent value.

    A loss below the precision with which a model's losses were stored is stored as zero. All that is known of it is
    that it is below the model's smallest positive loss; half of that takes its place. Positive losses stay as they are.

    Parameters
    ----------
    losses
        Losses of at least zero, [sample, lm].

    Returns
    -------
    np.ndarray
        Positive losses, unchanged where there is no zero.

    Raises
    ------
    InputError
        If a loss is negative, or all of a model are zero.
    """
    if (losses < 0).any():
        raise InputError(
            f"the table has a loss of {loss_text(losses.min())}",
            "losses of at least zero: the joint law is for negative log-likelihoods of texts",
            "remove the sample, or use another law",
        )
    zero = losses == 0
    if not zero.any():
        return losses
    if zero.all(axis=0).any():
        raise InputError("every loss of a model is zero", "positive losses", "check the table")
    smallest = np.where(zero, np.inf, losses).min(axis=0)
    return np.where(zero, smallest / 2, losses)


def choose_link(losses: np.ndarray) -> str:
    """Choose the link under which the losses are most nearly jointly normal.

    Of links that map every loss to a latent value the criterion is the profile log-likelihood of a multivariate normal
    distribution of the latent losses, with the Jacobian of the link: that of Box and Cox (1964), for the columns of all
    models together. Scores of 0 and 1 have one link.

    Parameters
    ----------
    losses
        Losses of at least zero, [sample, lm].

    Returns
    -------
    str
        A key of `LINKS`.

    Raises
    ------
    InputError
        If no link suits the losses.
    """
    if two_values(losses) == SCORES:
        return "probit"
    suited = [name for name, link in SMOOTH_LINKS.items() if not link.unsuited(losses)]
    if not suited:
        low, high = two_values(losses) or (np.nan, np.nan)
        raise InputError(
            f"every loss is {loss_text(low)} or {loss_text(high)}",
            "losses in nats, or scores of 0 (right) and 1 (wrong)",
            "write a wrong answer as 1 and a right one as 0",
        )
    if len(suited) == 1:
        return suited[0]
    return max(suited, key=lambda name: link_log_likelihood(losses, SMOOTH_LINKS[name]))


def link_log_likelihood(losses: np.ndarray, link: SmoothLink) -> float:
    """Evaluate the criterion of `choose_link`, per sample in nats."""
    losses = positive_losses(losses)
    with jax.enable_x64(True):
        latent, log_slope = np.asarray(link.latent(losses)), np.asarray(link.log_slope(losses))
    covariance = np.cov(latent.T).reshape(losses.shape[1], -1)
    covariance = covariance + RIDGE * np.diag(np.diag(covariance))
    return float(log_slope.sum(axis=1).mean() - 0.5 * np.linalg.slogdet(covariance)[1])


def check_link(name: str) -> Link:
    """Return a link by name; InputError where there is none."""
    return LINKS[check_choice("link", name, LINKS)]


def suited_link(name: str | None, losses: np.ndarray) -> Link:
    """Return the link of a name, or the one that losses choose, once it is sure that the losses suit it.

    Parameters
    ----------
    name
        Name of a link, or None.
    losses
        Losses of at least zero, [sample, lm].

    Returns
    -------
    Link
        The link.

    Raises
    ------
    InputError
        If there is no such link, or the losses have no latent values by it.
    """
    link = check_link(choose_link(losses) if name is None else name)
    if problem := link.unsuited(losses):
        other = choose_link(losses)
        fix = "leave out those models" if other == link.name else f"use link={other!r}, or leave out the link"
        raise InputError(
            f"the link {link.name} does not suit the losses: {problem}", f"with this link, {link.accepted}", fix
        )
    return link
