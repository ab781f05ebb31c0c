r"""Weights of a mixture of whole samples that lose least: a concave problem, solved until its conditions hold.

With :math:`e_{sm} = \exp(-nll_{sm})` and counts :math:`c_s`, the mean log-likelihood
:math:`\sum_s c_s \log \sum_m w_m e_{sm} / \sum_s c_s` is concave in the weights. With
:math:`a_m = \sum_s c_s e_{sm} / (e_s \cdot w) / \sum_s c_s`, weights on the simplex are those of a maximum where
:math:`a_m = 1` for every member of positive weight and :math:`a_m \le 1` for the others (Karush, Kuhn and Tucker), and
no weights are better than those found by more than :math:`\log \max_m a_m` nats per sample (Lindsay 1983). Under a
uniform Dirichlet prior of the weights, the posterior's mode is this maximum.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

TOLERANCE = 1e-10
STEPS = 200
FIRST = 4
HALVINGS = 60
# Of a member's likelihood to the mixture's on some sample: beyond it the slope is not that of a parabola.
STEEP = 1e6
# Of the trace of the curvature: what keeps members that lose alike on every sample from making it singular.
RIDGE = 1e-13
START = 1e-3
ROUNDING = 1e-15


@dataclass(frozen=True)
class SimplexWeights:
    """Weights found.

    Parameters
    ----------
    weights
        On the simplex, [member].
    residual
        By how much the conditions of a maximum are missed: the largest ``a - 1``, and ``|a - 1| w`` of members of
        positive weight. Other weights are better by less than this many nats per sample, to first order.
    """

    weights: np.ndarray
    residual: float


def relative_likelihoods(nll: np.ndarray) -> np.ndarray:
    """Return the members' likelihoods beside the best of each sample.

    Parameters
    ----------
    nll
        Losses in nats, [sample, member].

    Returns
    -------
    numpy.ndarray
        Between zero and one, one for the best, [sample, member].
    """
    return np.exp(nll.min(axis=1, keepdims=True) - nll)


def simplex_weights(
    likelihoods: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> SimplexWeights:
    """Find the weights by sequential quadratic programming (Kim, Carbonetto, Stephens and Anitescu 2020).

    Parameters
    ----------
    likelihoods
        Likelihoods of the members, each sample in a scale of its own, [sample, member].
    counts
        How often each sample counts, [sample]; all once by default.
    start
        Weights near those looked for, [member].
    tolerance
        Residual at which the search ends.

    Returns
    -------
    SimplexWeights
        The weights. Where members lose alike on every sample these are some of many that lose least.
    """
    members = likelihoods.shape[1]
    if counts is not None:
        likelihoods, counts = likelihoods[counts > 0], counts[counts > 0]
    share = np.full(len(likelihoods), 1 / len(likelihoods)) if counts is None else counts / counts.sum()
    weights = np.full(members, 1 / members)
    if start is not None:
        # Off the faces, so that no sample has a likelihood of zero.
        weights = (1 - START) * start + START * weights
    value, fell, last = _value(likelihoods, share, weights), True, np.inf
    for number in range(STEPS):
        ratios = likelihoods / (likelihoods @ weights)[:, None]
        slope = share @ ratios
        residual = _residual(slope, weights)
        # Near the maximum the value no longer falls for all that it can be told, and the residual still does.
        if residual <= tolerance or not (fell or residual < last):
            break
        if number < FIRST and np.isfinite(slope).all():
            # Expectation-maximisation is exact for members that win apart, where a parabola is off by orders.
            moved = weights * slope
            there = _value(likelihoods, share, moved)
        else:
            moved, there = _step(likelihoods, share, weights, value, ratios, slope)
        weights, value, fell, last = moved, min(there, value), there < value, residual
    # At the maximum they add up to one by themselves; what rounding leaves is taken off.
    weights = weights / weights.sum()
    slope = share @ (likelihoods / (likelihoods @ weights)[:, None])
    return SimplexWeights(weights, _residual(slope, weights))


def _value(likelihoods: np.ndarray, share: np.ndarray, weights: np.ndarray) -> float:
    """Return what is minimised over weights of zero or more: its minimum lies on the simplex."""
    mixed = likelihoods @ weights
    return float(weights.sum() - share @ np.log(mixed)) if mixed.min() > 0 else np.inf


def _residual(slope: np.ndarray, weights: np.ndarray) -> float:
    return float(max((slope - 1).max(), (np.abs(slope - 1) * (weights > 0) * weights).max()))


def _step(
    likelihoods: np.ndarray,
    share: np.ndarray,
    weights: np.ndarray,
    value: float,
    ratios: np.ndarray,
    slope: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Minimise the quadratic model over weights of zero or more, and go there as far as the value falls."""
    if ratios.max() > STEEP:
        return _toward(likelihoods, share, weights, value, int(slope.argmax()))
    curvature = (ratios * share[:, None]).T @ ratios
    root = np.linalg.cholesky(curvature + RIDGE * np.trace(curvature) * np.eye(len(weights)))
    target = np.linalg.solve(root, 2 * slope - 1)
    direction = nnls(root.T, target)[0] - weights
    decrease, length = float((1 - slope) @ direction), 1.0
    for _ in range(HALVINGS):
        moved = np.maximum(weights + length * direction, 0.0)
        there = _value(likelihoods, share, moved)
        if there <= value + 0.01 * length * decrease + ROUNDING * abs(value):
            return moved, there
        length /= 2
    return weights, value


def _toward(
    likelihoods: np.ndarray, share: np.ndarray, weights: np.ndarray, value: float, member: int
) -> tuple[np.ndarray, float]:
    """Give one member the weight that lowers the value most: it alone finds some sample possible at all.

    A quadratic model is of no use there: the slope changes by orders of magnitude over the least of weights.
    """
    added = 0.5 ** np.arange(1, HALVINGS + 1)
    tried = (1 - added[:, None]) * weights + added[:, None] * np.eye(len(weights))[member]
    values = np.array([_value(likelihoods, share, each) for each in tried])
    lowest = int(values.argmin())
    return (tried[lowest], float(values[lowest])) if values[lowest] < value else (weights, value)
