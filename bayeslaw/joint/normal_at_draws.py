"""Normal distributions of several variables, one for each draw."""

import numpy as np


def factor_of(covariance: np.ndarray) -> np.ndarray:
    """Factorise covariance matrices.

    Parameters
    ----------
    covariance
        Positive semidefinite, [draw, a, a].

    Returns
    -------
    np.ndarray
        Their factors ``L``, of which ``L L'`` is the matrix, [draw, a, a]: lower triangular ones, or roots by
        eigenvectors of all matrices where rounding has left one that is not positive definite.
    """
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        eigenvalues, vectors = np.linalg.eigh(covariance)
        return vectors * np.sqrt(np.maximum(eigenvalues, 0.0))[:, None, :]


def normal_log_density(deviation: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log density of a normal distribution.

    Parameters
    ----------
    deviation
        From the mean, [draw, a].
    covariance
        Positive definite, [draw, a, a].

    Returns
    -------
    np.ndarray
        [draw].
    """
    square = (deviation * np.linalg.solve(covariance, deviation[:, :, None])[:, :, 0]).sum(axis=1)
    return -0.5 * (square + np.linalg.slogdet(covariance)[1] + deviation.shape[1] * np.log(2 * np.pi))
