"""The density of `bayeslaw.joint.correlation_density` at many structures at once, in NumPy."""

import numpy as np
from scipy.special import gammaln

from bayeslaw.joint.correlation_density import MOST_STEPS, SMALL_DECREMENT


def correlation_log_densities(correlation: np.ndarray, structure: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Evaluate the log density of a correlation matrix.

    Parameters
    ----------
    correlation
        The correlations seen, positive definite, [lm, lm].
    structure
        Means of the Wishart matrix, positive definite, [draw, lm, lm].
    freedom
        Degrees of freedom, above the number of models minus one, [draw].

    Returns
    -------
    np.ndarray
        [draw]; NaN where a structure is not positive definite.
    """
    count = len(correlation)
    sign, log_determinant = np.linalg.slogdet(structure)
    product = np.linalg.inv(structure) * correlation
    scale = _best_scales(product)
    balanced = product * scale[:, :, None] * scale[:, None, :]
    curvature = np.linalg.slogdet(balanced + np.eye(count))[1] - count * np.log(2.0)
    remainder = (count - balanced.sum(axis=(1, 2))) / 2
    profile = freedom * (np.log(scale).sum(axis=1) + remainder - log_determinant / 2)
    # The logarithm of the multivariate gamma function is a sum of those of gamma functions.
    several = gammaln((freedom[:, None] - np.arange(count)) / 2).sum(axis=1) + count * (count - 1) / 4 * np.log(np.pi)
    normaliser = count * gammaln(freedom / 2) - several
    seen = (freedom - count - 1) / 2 * np.linalg.slogdet(correlation)[1]
    return np.where(sign > 0, normaliser + seen + profile - curvature / 2, np.nan)


def _best_scales(product: np.ndarray) -> np.ndarray:
    """Minimise ``d' Q d / 2 - sum(log d)`` by damped Newton steps, one more after all have arrived; [draw, lm]."""
    count = product.shape[1]
    scale = np.sqrt(count / product.sum(axis=(1, 2)))[:, None].repeat(count, axis=1)
    arrived = False
    for _ in range(MOST_STEPS + 1):
        balanced = product * scale[:, :, None] * scale[:, None, :]
        slope = 1 - balanced.sum(axis=2)
        direction = np.linalg.solve(balanced + np.eye(count), slope[:, :, None])[:, :, 0]
        decrement = np.sqrt(np.maximum((slope * direction).sum(axis=1), 0.0))
        scale = scale * (1 + direction / (1 + decrement)[:, None])
        if arrived:
            break
        arrived = bool((decrement <= SMALL_DECREMENT).all())
    return scale
