"""Weights of laws in a mixture, by what each predicts of what was left out."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from bayeslaw.comparison.left_out import LeftOut
from bayeslaw.errors import InputError

TOLERANCE = 1e-12
STEPS = 1000
NEGLIGIBLE = 1e-6


def fold_weights(left_out: Sequence[LeftOut]) -> list[float]:
    """Stack laws on the rows left out of each, every fold counting once.

    Parameters
    ----------
    left_out
        One entry a law.

    Returns
    -------
    list of float
        Weight of each law.

    Raises
    ------
    InputError
        If other rows were left out of one of them.
    """
    first = left_out[0]
    shape = [(fold.name, fold.rows) for fold in first.folds]
    for other in left_out:
        if [(fold.name, fold.rows) for fold in other.folds] != shape:
            raise InputError(
                f"different rows were left out: by {first.by} and by {other.by}",
                "the same folds for every law",
                "leave out the same of every fit",
            )
    densities = np.stack([np.concatenate([fold.densities for fold in law.folds]) for law in left_out], axis=1)
    share = np.concatenate([np.full(fold.rows, 1 / fold.rows) for fold in first.folds])
    return stacking_weights(densities, share).tolist()


def stacking_weights(log_densities: np.ndarray, share: np.ndarray | None = None) -> np.ndarray:
    """Maximise the log density of a mixture, which is concave in its weights.

    Parameters
    ----------
    log_densities
        Shape ``[row, law]``.
    share
        How much each row counts, shape ``[row]``; all alike where None.

    Returns
    -------
    np.ndarray
        Weights, shape ``[law]``; equal ones where the laws cannot be told apart.
    """
    rows, laws = log_densities.shape
    count = np.ones(rows) if share is None else share
    highest = log_densities.max(axis=1, keepdims=True)
    # A row that no law holds possible does not tell them apart.
    told = np.isfinite(highest[:, 0])
    if not told.any():
        return np.full(laws, 1 / laws)
    densities, count = np.exp(log_densities[told] - highest[told]), count[told] / count[told].sum()

    def minus_score(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixture = densities @ weights
        return -float(count @ np.log(mixture)), -(count / mixture) @ densities

    found = optimize.minimize(
        minus_score,
        np.full(laws, 1 / laws),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * laws,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones(laws)},
        options={"ftol": TOLERANCE, "maxiter": STEPS},
    )
    weights = np.where(found.x < NEGLIGIBLE, 0, found.x)
    return weights / weights.sum()


def share_draws(weights: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Choose a law for every draw of a mixture, each as often as its weight says.

    Parameters
    ----------
    weights
        Shape ``[law]``.
    count
        Number of draws.
    seed
        Seed of their order.

    Returns
    -------
    np.ndarray
        Index of the law of each draw, shape ``[draw]``; its counts are the weights' to the nearest draw.
    """
    places = (np.arange(count) + 0.5) / count
    law = np.searchsorted(np.cumsum(weights)[:-1], places)
    return np.random.default_rng([seed, 2]).permutation(law)
