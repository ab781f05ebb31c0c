"""Latent losses shifted so that the losses have the means that are wanted."""

import numpy as np

from bayeslaw.joint.joint_table import JointTable
from bayeslaw.joint.links import Link

MOST_STEPS = 30
CLOSE = 1e-4


def with_means(table: JointTable, latent: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Shift latent losses so that the weighted means of the losses are those given, by Newton's method.

    Parameters
    ----------
    table
        The models seen, whose link leads from latent losses to losses, and the samples' weights.
    latent
        Latent losses, [new, sample], float64 or float32, in which the losses then are.
    means
        Mean losses in the reported unit, [new].

    Returns
    -------
    np.ndarray
        Losses per unit of weight in the reported unit, [new, sample].
    """
    link, share = table.link, (table.weights / table.weights.sum()).astype(latent.dtype)
    if link.linear:
        return latent + (means - _mean(latent, share))[:, None].astype(latent.dtype)
    lowest, highest = _bounds(link, latent, means, share)
    nearest = np.abs(table.mean[None, :] - means[:, None]).argmin(axis=1)
    shift = np.clip(table.latent_mean[nearest], lowest, highest)
    losses, found, left = np.empty_like(latent), np.empty(len(means)), np.arange(len(means))
    for _ in range(MOST_STEPS):
        drawn = link.array_value(latent[left] + shift[left, None].astype(latent.dtype))
        mean = _mean(drawn, share)
        losses[left], found[left] = drawn, mean
        # In logs, in which the mean is nearly linear in the shift far below and far above.
        off = np.log(means[left] / mean)
        far = np.abs(off) > CLOSE
        if not far.any():
            break
        slope = _mean(link.array_slope(drawn[far]), share)
        left, change = left[far], (mean * off)[far] / slope
        shift[left] = np.clip(shift[left] + change, lowest[left], highest[left])
    # What is left is far below what a sample more or less would change.
    losses *= (means / found)[:, None].astype(latent.dtype)
    return losses


def _mean(losses: np.ndarray, share: np.ndarray) -> np.ndarray:
    # Added pairwise, which rounds less than a product with a vector in single precision.
    return (losses * share).sum(axis=1).astype(float)


def _bounds(link: Link, latent: np.ndarray, means: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find shifts that lead to means at most and at least as large as those wanted, [new] each.

    The mean lies between the largest loss and what that loss alone adds to it.
    """
    place = latent.argmax(axis=1)
    top = latent[np.arange(len(latent)), place].astype(float)
    return link.array_latent(means) - top, link.array_latent(means / share[place].astype(float)) - top
