"""Latent losses shifted so that the losses have the means that are wanted, for every kind of link."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_STEPS = 30
CLOSE = 1e-4


@dataclass(frozen=True)
class Shape:
    """A monotone map from a latent value to a positive loss.

    Parameters
    ----------
    value, latent
        Loss of a latent value, and the inverse, of arrays, in the precision of their argument.
    slope
        Derivative of `value`, from the loss.
    """

    value: Callable[[np.ndarray], np.ndarray]
    latent: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def shift_to_means(
    shape: Shape, latent: np.ndarray, means: np.ndarray, share: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """Shift latent losses by Newton's method; arguments as of `bayeslaw.joint.links.Link.with_means`."""
    lowest, highest = _bounds(shape, latent, means, share)
    shift = np.clip(near, lowest, highest)
    losses, found, left = np.empty_like(latent), np.empty(len(means)), np.arange(len(means))
    for _ in range(MOST_STEPS):
        drawn = shape.value(latent[left] + shift[left, None].astype(latent.dtype))
        mean = _mean(drawn, share)
        losses[left], found[left] = drawn, mean
        # In logs, in which the mean is nearly linear in the shift far below and far above.
        off = np.log(means[left] / mean)
        far = np.abs(off) > CLOSE
        if not far.any():
            break
        slope = _mean(shape.slope(drawn[far]), share)
        left, change = left[far], (mean * off)[far] / slope
        shift[left] = np.clip(shift[left] + change, lowest[left], highest[left])
    # What is left is far below what a sample more or less would change.
    losses *= (means / found)[:, None].astype(latent.dtype)
    return losses


def add_to_means(latent: np.ndarray, means: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Add what is missing to losses that are their own latent values."""
    return latent + (means - _mean(latent, share))[:, None].astype(latent.dtype)


def largest_to_means(latent: np.ndarray, means: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Give a loss of one to the samples of largest latent value, and of zero to the others, by as many as it takes."""
    order = np.argsort(-latent, axis=1)
    share_of = np.broadcast_to(share, latent.shape)
    weight = np.take_along_axis(share_of, order, axis=1).astype(float)
    # A sample counts where more than half of its weight lies within the mean.
    ones = np.cumsum(weight, axis=1) - weight / 2 < means[:, None]
    losses = np.zeros_like(latent)
    np.put_along_axis(losses, order, ones.astype(latent.dtype), axis=1)
    return losses


def _mean(losses: np.ndarray, share: np.ndarray) -> np.ndarray:
    # Added pairwise, which rounds less than a product with a vector in single precision.
    return (losses * share).sum(axis=1).astype(float)


def _bounds(shape: Shape, latent: np.ndarray, means: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find shifts that lead to means at most and at least as large as those wanted, [new] each.

    The mean lies between the largest loss and what that loss alone adds to it.
    """
    place = latent.argmax(axis=1)
    top = latent[np.arange(len(latent)), place].astype(float)
    return shape.latent(means) - top, shape.latent(means / share[place].astype(float)) - top
