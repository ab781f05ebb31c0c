r"""Correlations of normal variables of which only is seen whether they lie above a threshold (Pearson 1900).

Two normal variables of unit variance with correlation :math:`r` both lie above thresholds with a probability of

.. math:: \Phi_2(h, k; r) = \Phi(h) \Phi(k) + \frac{1}{2 \pi} \int_0^{\arcsin r}
    e^{-(h^2 + k^2 - 2 h k \sin\theta) / (2 \cos^2\theta)}\, \mathrm{d}\theta,

with :math:`\Phi(h)` and :math:`\Phi(k)` the probabilities of either (Drezner and Wesolowsky 1990). A table of two by
two has three free counts, so that the maximum of its likelihood is where both margins and the joint share are met.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(80)
STEPS = 60
LARGEST_ANGLE = np.pi / 2 - 1e-4
SMALLEST_EIGENVALUE_SHARE = 0.2


@dataclass(frozen=True)
class Tetrachoric:
    """Tetrachoric correlations of several variables.

    Parameters
    ----------
    correlation
        The correlations, [variable, variable]; each pair by itself, so that the matrix may have negative eigenvalues.
    variance
        Their sampling variances for independent samples, of zeros on the diagonal, [variable, variable].
    """

    correlation: np.ndarray
    variance: np.ndarray


def both_above(one: np.ndarray, other: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Probability that two normal variables both lie above their thresholds.

    Parameters
    ----------
    one, other
        Normal quantiles of the probability of either, any shape.
    angle
        Arc sine of their correlation, of the same shape.

    Returns
    -------
    numpy.ndarray
        The probability, of the same shape.
    """
    theta = angle[..., None] / 2 * (1 + NODES)
    h, k = one[..., None], other[..., None]
    inside = np.exp(-(h**2 + k**2 - 2 * h * k * np.sin(theta)) / (2 * np.cos(theta) ** 2))
    return special.ndtr(one) * special.ndtr(other) + angle / (4 * np.pi) * (inside @ NODE_WEIGHTS)


def tetrachoric(above: np.ndarray) -> Tetrachoric:
    """Estimate tetrachoric correlations, pair by pair, by maximum likelihood.

    Parameters
    ----------
    above
        Whether each variable is above its threshold, 0 or 1, [sample, variable]; every variable on some samples and not
        on all.

    Returns
    -------
    Tetrachoric
        Correlations and their variances. Where a cell of a pair's table is empty, half a sample stands in it, without
        which the correlation were one or minus one (Brown and Benedetti 1977).
    """
    samples, count = above.shape
    share = above.mean(axis=0)
    first, second = np.triu_indices(count, 1)
    p, q = share[first], share[second]
    least, most = np.maximum(p + q - 1, 0), np.minimum(p, q)
    half = np.minimum(0.5 / samples, (most - least) / 4)
    both = np.clip((above.T @ above / samples)[first, second], least + half, most - half)
    h, k = special.ndtri(p), special.ndtri(q)
    low, high = np.full(len(h), -LARGEST_ANGLE), np.full(len(h), LARGEST_ANGLE)
    for _ in range(STEPS):
        middle = (low + high) / 2
        under = both_above(h, k, middle) < both
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    angle = (low + high) / 2
    correlation, variance = np.eye(count), np.zeros((count, count))
    for matrix, values in ((correlation, np.sin(angle)), (variance, _variances(p, q, both, angle) / samples)):
        matrix[first, second] = matrix[second, first] = values
    return Tetrachoric(correlation, variance)


def _variances(p: np.ndarray, q: np.ndarray, both: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return the variance of a correlation times the number of samples, by the delta method from the three shares."""
    h, k = special.ndtri(p), special.ndtri(q)
    sine, cosine = np.sin(angle), np.cos(angle)
    density = np.exp(-(h**2 + k**2 - 2 * h * k * sine) / (2 * cosine**2)) / (2 * np.pi * cosine)
    # How the joint share moves with either margin at the same correlation.
    by_p, by_q = special.ndtr((k - sine * h) / cosine), special.ndtr((h - sine * k) / cosine)
    cells = np.stack([both, p - both, q - both, 1 - p - q + both])
    slopes = np.stack([1 - by_p - by_q, -by_p, -by_q, np.zeros_like(p)])
    mean = (cells * slopes).sum(axis=0)
    return ((cells * slopes**2).sum(axis=0) - mean**2) / density**2


def positive_definite(correlation: np.ndarray) -> np.ndarray:
    r"""Mix a matrix of correlations with that of their mean until its smallest eigenvalue is well above zero.

    Parameters
    ----------
    correlation
        Correlations of pairs, of which each was estimated by itself, [variable, variable].

    Returns
    -------
    numpy.ndarray
        :math:`(1 - w) R + w T`, with :math:`T` of equal correlations and the smallest :math:`w` for which no eigenvalue
        is under `SMALLEST_EIGENVALUE_SHARE` of the smallest of :math:`T`: a shrinkage towards the target of Ledoit and
        Wolf (2004), by as much as it takes.
    """
    count = len(correlation)
    mean = np.clip(correlation[np.triu_indices(count, 1)].mean(), 0.0, 0.99)
    target = np.full((count, count), mean) + (1 - mean) * np.eye(count)
    wanted = SMALLEST_EIGENVALUE_SHARE * (1 - mean)
    low, high = 0.0, 1.0
    if np.linalg.eigvalsh(correlation)[0] >= wanted:
        return correlation
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = np.linalg.eigvalsh((1 - middle) * correlation + middle * target)[0] >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return (1 - high) * correlation + high * target
