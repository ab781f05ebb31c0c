"""Products of small matrices with long ones, by one thread each."""

import numpy as np

# OpenBLAS lets several threads share larger products, which on busy cores wait for each other.
MOST_OPERATIONS = 2**18
FEWEST_COLUMNS = 64


def thin_product(matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Multiply matrices, some columns at a time.

    Parameters
    ----------
    matrix
        [a, b], of any precision.
    columns
        [b, sample], of the same.

    Returns
    -------
    np.ndarray
        [a, sample], of the same precision.
    """
    step = max(MOST_OPERATIONS // matrix.size, FEWEST_COLUMNS)
    product = np.empty((len(matrix), columns.shape[1]), columns.dtype)
    for start in range(0, columns.shape[1], step):
        part = slice(start, start + step)
        np.matmul(matrix, columns[:, part], out=product[:, part])
    return product
