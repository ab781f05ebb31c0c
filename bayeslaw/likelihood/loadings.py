"""What the rows of pools share, as loadings: how samples, the choice of models and single members move them.

Loadings are split at the *trend* of the rows: what a quadratic in the log budget tells of them within each group,
which a law could mimic. Effects on the trend make the law uncertain; effects beside it make the rows scatter about it.
Were one effect to enter both, the scatter of thousands of pools would move the law: a draw of the texts that weighs
more on pools above the law (Peelle's pertinent puzzle; D'Agostini 1994), or members that are larger and so both better
and more often winners, would explain the scatter best with a law that lies far from all pools. As between and within
effects (Mundlak 1978) the two parts are therefore kept apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHARE_HELD = 0.99
MODELS_PER_TERM = 3


@dataclass(frozen=True)
class Trend:
    """Where the rows of a group can go smoothly.

    Parameters
    ----------
    rows
        The group's rows, shape ``[group row]``.
    basis
        Orthonormal functions of the covariates at them, shape ``[group row, term]``.
    models
        Number of different models in them.
    """

    rows: np.ndarray
    basis: np.ndarray
    models: int

    @property
    def inflation(self) -> float:
        """Ratio of the variance about a trend to the one about its fit, which takes a model for each term."""
        terms = self.basis.shape[1]
        return self.models / (self.models - terms) if self.models > terms else 1.0


def trends_of(
    covariates: Mapping[str, np.ndarray], membership: np.ndarray, group: np.ndarray, groups: int
) -> list[Trend]:
    """Find the trends of groups: quadratics in the log covariates, of fewer terms where models are few.

    Parameters
    ----------
    covariates
        Covariates, each of shape ``[row]``; those that are not positive are taken as they are.
    membership
        Whether each model is in each row, shape ``[row, member]``.
    group
        Index of each row's group, shape ``[row]``.
    groups
        Number of groups.

    Returns
    -------
    list of Trend
        One for each group; of no terms for a group without rows.
    """
    logs = [np.log(values) if (values > 0).all() else values for values in covariates.values()]
    trends = []
    for index in range(groups):
        rows = np.flatnonzero(group == index)
        models = int(membership[rows].any(axis=0).sum())
        varying = [log[rows] for log in logs if len(rows) and np.ptp(log[rows]) > 0]
        linear = [(column - column.mean()) / np.ptp(column) for column in varying]
        columns = [np.ones(len(rows)), *linear, *(column**2 for column in linear)]
        # Fewer models than this for each term would leave little to tell their scatter from.
        columns = columns[: max(1, models // MODELS_PER_TERM)]
        left, values, _ = np.linalg.svd(np.column_stack(columns), full_matrices=False)
        trends.append(Trend(rows, left[:, values > 1e-9 * values.max(initial=0)], models))
    return trends


def smooth_part(loadings: np.ndarray, trends: Sequence[Trend]) -> np.ndarray:
    """Fit every column by the trend of each group.

    Parameters
    ----------
    loadings
        Shape ``[row, column]``.
    trends
        One for each group.

    Returns
    -------
    np.ndarray
        Least-squares fit, shape ``[row, column]``.
    """
    smooth = np.zeros_like(loadings, dtype=float)
    for trend in trends:
        smooth[trend.rows] = trend.basis @ (trend.basis.T @ loadings[trend.rows])
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
    return leading_directions(smooth_part(factor, trends))


def model_factor_of(response: np.ndarray, membership: np.ndarray, trends: Sequence[Trend]) -> np.ndarray:
    """Find how the trends would move had other models of the same kind been scored.

    The models of a table are themselves a sample, and rows that share one are not independent. The influence of a model
    on a group's trend is the trend of its rows' residuals; the sum of their squares over models is the variance of
    the trend, robust to whatever the members do to their pools: the projection of a statistic over subsets (Hoeffding
    1948), and the sandwich for data that share units (Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015).
    Models of one family are taken as different draws.

    Parameters
    ----------
    response
        Response of each row, shape ``[row]``.
    membership
        Whether each model is in each row, shape ``[row, member]``.
    trends
        One for each group.

    Returns
    -------
    np.ndarray
        Shape ``[row, direction]``, in the unit of `response`: all directions.
    """
    residual = response - smooth_part(response[:, None], trends)[:, 0]
    influence = smooth_part(residual[:, None] * membership, trends)
    for trend in trends:
        influence[trend.rows] *= np.sqrt(trend.inflation)
    return leading_directions(influence, 1 - 1e-9)
