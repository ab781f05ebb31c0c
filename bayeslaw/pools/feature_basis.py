"""Columns that a linear router is trained on, made of features."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

MOST_BENT = 32
"""Columns of numbers above which each is taken as it is, and not bent at its quartiles."""
MOST_COLUMNS = 128
QUARTILES = (0.25, 0.5, 0.75)


def feature_basis(numbers: Sequence[np.ndarray], shares: Sequence[np.ndarray]) -> np.ndarray:
    """Make columns of features: none of it looks at losses.

    Parameters
    ----------
    numbers
        Columns of numbers, each [sample]. Where they are few, what depends on one of them may bend at its quartiles.
    shares
        Columns that are taken as they are, each [sample].

    Returns
    -------
    numpy.ndarray
        Standard scores, [sample, column]; the leading principal components where there are more than `MOST_COLUMNS`.
    """
    columns = [*numbers, *shares]
    if len(numbers) <= MOST_BENT:
        for column in numbers:
            # At the lowest and highest value there is nothing to bend.
            bends = [bend for bend in np.unique(np.quantile(column, QUARTILES)) if column.min() < bend < column.max()]
            columns += [np.maximum(column - bend, 0.0) for bend in bends]
    basis = np.column_stack(columns).astype(np.float64)
    basis = basis - basis.mean(axis=0)
    spread = basis.std(axis=0)
    basis = basis[:, spread > 0] / spread[spread > 0]
    if basis.shape[1] <= MOST_COLUMNS:
        return basis
    count = basis.shape[1]
    _, vectors = eigh(basis.T @ basis, subset_by_index=[count - MOST_COLUMNS, count - 1])
    basis = basis @ vectors[:, ::-1]
    spread = basis.std(axis=0)
    # In one scale: a component of little spread says little.
    return basis[:, spread > 0] / spread.max()
