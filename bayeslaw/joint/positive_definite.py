"""Inverses and log determinants of many positive definite matrices."""

import numpy as np
from scipy.linalg import get_lapack_funcs

factorise, invert = get_lapack_funcs(("potrf", "potri"), dtype=np.float64)
BATCHED_UP_TO = 48
"""Largest matrices for which one call for all is faster than one call of LAPACK for each."""


def inverse_and_log_determinant(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert symmetric matrices.

    Parameters
    ----------
    matrices
        Shape ``[matrix, row, row]``.

    Returns
    -------
    inverse : np.ndarray
        Of the same shape; the identity where a matrix is not positive definite.
    log_determinant : np.ndarray
        Of the matrices, shape ``[matrix]``; not a number where one is not positive definite.
    """
    count, size = matrices.shape[:2]
    if size <= BATCHED_UP_TO:
        try:
            diagonal = np.diagonal(np.linalg.cholesky(matrices), axis1=1, axis2=2)
            return np.linalg.inv(matrices), 2 * np.log(diagonal).sum(axis=1)
        except np.linalg.LinAlgError:
            pass
    inverse, log_determinant = np.empty_like(matrices), np.empty(count)
    for number, matrix in enumerate(matrices):
        # Rows of one order are columns of the other: a symmetric matrix needs no copy.
        factor, failed = factorise(matrix.T, lower=0, clean=0)
        if failed or not np.isfinite(np.diagonal(factor)).all():
            inverse[number], log_determinant[number] = np.eye(size), np.nan
            continue
        log_determinant[number] = 2 * np.log(np.diagonal(factor)).sum()
        inverse[number] = invert(factor, lower=0, overwrite_c=True)[0].T
    # LAPACK fills one triangle, in its order of columns.
    np.copyto(inverse, inverse.swapaxes(1, 2), where=np.triu(np.ones((size, size), dtype=bool), 1))
    return inverse, log_determinant
