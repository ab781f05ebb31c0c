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
