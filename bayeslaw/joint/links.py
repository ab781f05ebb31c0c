"""Monotone links between a loss and a scale on which losses are nearly normal; the minimum commutes with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.errors import InputError, check_choice

SMALLEST_SHARE = 1e-3
RIDGE = 1e-6


@dataclass(frozen=True)
class Link:
    """A monotone map ``loss = value(z)``.

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


def _inverse_softplus(loss: ArrayLike) -> Array:
    loss = jnp.asarray(loss)
    return loss + jnp.log(-jnp.expm1(-loss))


def _softplus(z: np.ndarray) -> np.ndarray:
    # Of functions that NumPy vectorises, as `numpy.logaddexp` is not.
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


LINKS: Mapping[str, Link] = {
    link.name: link
    for link in (
        Link(
            "log",
            lambda z: jnp.exp(z),
            lambda x: jnp.log(x),
            lambda x: -jnp.log(x),
            mean_is_finite=False,
            array_value=np.exp,
            array_latent=np.log,
            array_slope=np.asarray,
        ),
        Link(
            "softplus",
            lambda z: jax.nn.softplus(z),
            _inverse_softplus,
            lambda x: -jnp.log(-jnp.expm1(-jnp.asarray(x))),
            mean_is_finite=True,
            array_value=_softplus,
            array_latent=lambda x: x + np.log(-np.expm1(-x)),
            array_slope=lambda x: -np.expm1(-x),
        ),
        Link(
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


def positive_losses(losses: np.ndarray) -> np.ndarray:
    """Replace losses of zero, of which no link but the identity knows a latent value.

    A loss below the table's rounding is stored as zero; all that is known of it is that it is small. It takes the place
    of the loss that one in a thousand of the positive ones lies below.

    Parameters
    ----------
    losses
        Losses of at least zero, any shape.

    Returns
    -------
    np.ndarray
        Positive losses, unchanged where there is no zero.

    Raises
    ------
    InputError
        If a loss is negative, or all are zero.
    """
    if (losses < 0).any():
        raise InputError(
            f"the table has a loss of {losses.min():.4g}",
            "losses of at least zero: the joint law is for negative log-likelihoods of texts",
            "remove the sample, or use another law",
        )
    if (losses > 0).all():
        return losses
    if not (losses > 0).any():
        raise InputError("every loss of the table is zero", "positive losses", "check the table")
    return np.maximum(losses, np.quantile(losses[losses > 0], SMALLEST_SHARE))


def choose_link(losses: np.ndarray) -> str:
    """Choose the link under which the losses are most nearly jointly normal.

    The criterion is the profile log-likelihood of a multivariate normal distribution of the latent losses, with the
    Jacobian of the link: that of Box and Cox (1964), for the columns of all models together.

    Parameters
    ----------
    losses
        Positive losses, [sample, lm].

    Returns
    -------
    str
        A key of `LINKS`.
    """
    return max(LINKS, key=lambda name: link_log_likelihood(losses, LINKS[name]))


def link_log_likelihood(losses: np.ndarray, link: Link) -> float:
    """Evaluate the criterion of `choose_link`, per sample in nats."""
    with jax.enable_x64(True):
        latent, log_slope = np.asarray(link.latent(losses)), np.asarray(link.log_slope(losses))
    covariance = np.cov(latent.T).reshape(losses.shape[1], -1)
    covariance = covariance + RIDGE * np.diag(np.diag(covariance))
    return float(log_slope.sum(axis=1).mean() - 0.5 * np.linalg.slogdet(covariance)[1])


def check_link(name: str) -> Link:
    """Return a link by name; InputError where there is none."""
    return LINKS[check_choice("link", name, LINKS)]
