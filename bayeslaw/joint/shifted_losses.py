"""Latent losses of models on the samples of a table, shifted to the mean losses that are wanted."""

import numpy as np

from bayeslaw.joint.joint_table import JointTable


def with_means(table: JointTable, latent: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Shift latent losses so that the weighted means of the losses are those given.

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
    share = (table.weights / table.weights.sum()).astype(latent.dtype)
    nearest = np.abs(table.mean[None, :] - means[:, None]).argmin(axis=1)
    return table.link.with_means(latent, means, share, table.latent_mean[nearest])
