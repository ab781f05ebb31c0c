"""Densities of draws by Gaussian kernels, for pictures."""

import numpy as np


def kernel_density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Estimate a density by Gaussian kernels of Silverman's width.

    Parameters
    ----------
    draws
        Shape ``[..., draw]``; each row is a sample of its own.
    grid
        Where to, ascending, ``[point]``.

    Returns
    -------
    np.ndarray
        Densities per unit of the draws, ``[..., point]``; no kernel is narrower than half a step of the grid.
    """
    rows = draws.reshape(-1, draws.shape[-1]).astype(float)
    found = np.stack([_of_one(row, grid) for row in rows])
    return found.reshape(*draws.shape[:-1], len(grid))


def _of_one(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    quartiles = np.quantile(draws, [0.25, 0.75])
    spread = min(draws.std(), float(np.ptp(quartiles)) / 1.34) or draws.std()
    width = max(0.9 * spread * len(draws) ** -0.2, float(np.ptp(grid)) / len(grid) / 2)
    total = np.exp(-0.5 * ((grid[:, None] - draws) / width) ** 2).sum(axis=1)
    return total / (len(draws) * width * np.sqrt(2 * np.pi))
