"""What the rows of pools share, as loadings: how samples, the choice of models and single members move them.

Loadings are split at the *trend* of the rows: what the law, at its fit to the rows of a group, can tell of them by its
parameters. Effects on the trend make the law uncertain; effects beside it make the rows scatter about it. Were one
effect to enter both, the scatter of thousands of pools would move the law: a draw of the texts that weighs more on
pools above the law (Peelle's pertinent puzzle; D'Agostini 1994), or members that are larger and so both better and more
often winners, would explain the scatter best with a law that lies far from all pools. As between and within effects
(Mundlak 1978) the parts are therefore kept apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHARE_HELD = 0.99


@dataclass(frozen=True)
class Trend:
    """Where the rows of a group can go smoothly.

    Parameters
    ----------
    rows
        The group's rows, shape ``[group row]``.
    basis
        Orthonormal directions that the law has by its parameters at its fit to the rows, shape ``[group row, term]``.
    beyond
        Orthonormal directions, orthogonal to those, that it takes further away, shape ``[group row, direction]``.
    residual
        Response less the law at that fit, shape ``[group row]``.
    models
        Number of different models in them.
    """

    rows: np.ndarray
    basis: np.ndarray
    beyond: np.ndarray
    residual: np.ndarray
    models: int

    @property
    def smooth(self) -> np.ndarray:
        """All directions together, orthonormal, shape ``[group row, direction]``."""
        return np.concatenate([self.basis, self.beyond], axis=1)

    @property
    def inflation(self) -> float:
        """Ratio of the variance about a trend to the one about its fit, which takes a model for each direction."""
        directions = self.smooth.shape[1]
        return self.models / (self.models - directions) if self.models > directions else 1.0


def smooth_part(loadings: np.ndarray, trends: Sequence[Trend], part: str = "smooth") -> np.ndarray:
    """Fit every column by the trend of each group.

    Parameters
    ----------
    loadings
        Shape ``[row, column]``.
    trends
        One for each group.
    part
        Which directions of the trends: ``"basis"``, ``"beyond"``, or both of them, ``"smooth"``.

    Returns
    -------
    np.ndarray
        Least-squares fit, shape ``[row, column]``.
    """
    smooth = np.zeros_like(loadings, dtype=float)
    for trend in trends:
        directions = getattr(trend, part)
        smooth[trend.rows] = directions @ (directions.T @ loadings[trend.rows])
    return smooth


def leading_directions(loadings: np.ndarray, share: float = SHARE_HELD) -> np.ndarray:
    """Turn loadings into the fewest directions that hold a share of their squares; ``F F'`` is then nearly the same.

    Parameters
    ----------
    loadings
        Shape ``[row, column]``.
    share
        The share, at most one.

    Returns
    -------
    np.ndarray
        Shape ``[row, direction]``, the leading one first.
    """
    left, values, _ = np.linalg.svd(loadings, full_matrices=False)
    held = np.cumsum(values**2)
    number = 0 if held[-1:].sum() == 0 else 1 + int(np.searchsorted(held, share * held[-1]))
    return left[:, :number] * values[:number]


def sampling_factor_of(factor: np.ndarray, trends: Sequence[Trend]) -> np.ndarray:
    """Find how the sampling error moves the trends.

    What a pool's sampling error has beside them, of its own or of its members, is left to the nugget and to the member
    effects, which are learnt from the scatter that is there.

    Parameters
    ----------
    factor
        Loadings of the rows on the sampling error, shape ``[row, direction]``.
    trends
        One for each group.

    Returns
    -------
    np.ndarray
        Shape ``[row, direction]``, in the unit of `factor`.
    """
    return leading_directions(smooth_part(factor, trends, "basis"))


def model_factors_of(membership: np.ndarray, trends: Sequence[Trend]) -> tuple[np.ndarray, np.ndarray]:
    """Find how the rows would move smoothly had other models of the same kind been scored.

    The models of a table are themselves a sample, and rows that share one are not independent. The influence of a model
    on a group's trend is the trend of its rows' residuals; the sum of their squares over models is the variance of
    the trend, robust to whatever the members do to their pools: the projection of a statistic over subsets (Hoeffding
    1948), and the sandwich for data that share units (Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015).
    Models of one family are taken as different draws.

    Beside the trend, influences are taken along the directions that the law takes away from its fit, and with them what
    the rows go along these that the law at its fit does not: its form is no better known than that.

    Parameters
    ----------
    membership
        Whether each model is in each row, shape ``[row, member]``.
    trends
        One for each group.

    Returns
    -------
    on_trend, beside_trend : np.ndarray
        Each of shape ``[row, direction]``, in the unit of the residuals: all directions.
    """
    residual = np.zeros((len(membership), 1))
    for trend in trends:
        residual[trend.rows, 0] = trend.residual
    missed = smooth_part(residual, trends, "beyond")
    scatter = (residual - smooth_part(residual, trends)) * membership
    for trend in trends:
        scatter[trend.rows] *= np.sqrt(trend.inflation)
    # One draw for each group: what a law misses of one says nothing of another.
    each = np.concatenate([np.where(_within(trend, len(missed)), missed, 0.0) for trend in trends], axis=1)
    beside = np.concatenate([smooth_part(scatter, trends, "beyond"), each], axis=1)
    on_trend = smooth_part(scatter, trends, "basis")
    return leading_directions(on_trend, 1 - 1e-9), leading_directions(beside, 1 - 1e-9)


def _within(trend: Trend, rows: int) -> np.ndarray:
    """Say which rows are of a trend's group, shape ``[row, 1]``."""
    return np.isin(np.arange(rows), trend.rows)[:, None]
