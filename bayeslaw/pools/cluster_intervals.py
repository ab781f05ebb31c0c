r"""Intervals of mean differences over clusters of samples, where members of pools are chosen by the same samples.

A difference is a ratio of sums over clusters, :math:`\hat\theta = \sum_c d_c / \sum_c w_c`. Its interval is for other
clusters of the same kind, in as large a number, and takes three things into account.

1. Clusters, not samples, are independent: the variance is that of a ratio of sums over clusters.
2. Which member is chosen is chance as well where members lose nearly alike. What that adds to the variance is measured
   by leaving out about a tenth of the clusters at a time and choosing anew: the delete-d jackknife (Shao and Wu 1989),
   which unlike the leave-one-out jackknife is consistent for statistics that are not smooth, and whose expectation is
   not below the variance (Efron and Stein 1981). Where one member is clearly best nothing is added.
3. With few clusters a standard error is itself uncertain, and losses are skewed: quantiles are those of the studentised
   difference over bootstrap samples of clusters (bootstrap-t; Efron and Tibshirani 1993, section 12.5), and with fewer
   than `FEWEST_RESAMPLED` clusters those of Student's t with one degree of freedom less than clusters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import stats

INTERVAL_KIND = "equal-tailed, studentised bootstrap over clusters of samples"
FEWEST_RESAMPLED = 5
FEWEST_TO_CHOOSE = 3
LEFT_OUT_SHARE = 10
LEFT_OUT_TIMES = 200
DRAW_BLOCK = 64
NO_VARIANCE = 1e-10
"""Share of the variance below which a bootstrap sample, nearly all of one cluster, tells no standard error."""


@dataclass(frozen=True)
class Estimate:
    """A mean difference with its interval, in the unit of the losses.

    Parameters
    ----------
    value
        Of the table.
    lower, upper
        Ends of the interval.
    """

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ClusterDifferences:
    """Several differences on the same clusters.

    Parameters
    ----------
    sums
        Sum over each cluster of what is averaged, with the members chosen by the table, [cluster, difference].
    weights
        Weight of each cluster, [cluster].
    chosen_anew
        From clusters kept, one where kept and else zero, [subset, cluster], to the differences of the subsets, with
        members chosen by them, [subset, difference].
    seed
        Seed of the clusters left out.
    """

    sums: np.ndarray
    weights: np.ndarray
    chosen_anew: Callable[[np.ndarray], np.ndarray]
    seed: int = 0

    @property
    def values(self) -> np.ndarray:
        """The differences, [difference]."""
        return self.sums.sum(axis=0) / self.weights.sum()

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the differences, estimated from two clusters or more, [difference, difference]."""
        count = len(self.weights)
        residual = (self.sums - self.values * self.weights[:, None]) / self.weights.sum()
        return count / (count - 1) * residual.T @ residual + self._of_choosing()

    def _of_choosing(self) -> np.ndarray:
        """Add up what choosing members by chance adds to the covariance, [difference, difference].

        Nothing with two clusters: without one of them there is none left to choose on for the other.
        """
        if len(self.weights) < FEWEST_TO_CHOOSE:
            return np.zeros((self.sums.shape[1],) * 2)
        kept, left_out = self._kept()
        as_chosen = kept @ self.sums / (kept @ self.weights)[:, None]
        added = _covariance(self.chosen_anew(kept)) - _covariance(as_chosen)
        eigenvalues, vectors = np.linalg.eigh((len(self.weights) - left_out) / left_out * added)
        return vectors * np.maximum(eigenvalues, 0.0) @ vectors.T

    def _kept(self) -> tuple[np.ndarray, int]:
        """Clusters kept, [subset, cluster], and how many are left out: each by itself, or a tenth of them."""
        count = len(self.weights)
        left_out = max(1, round(count / LEFT_OUT_SHARE))
        if left_out == 1:
            return 1.0 - np.eye(count), 1
        generator = np.random.default_rng([self.seed, 2])
        kept = np.ones((LEFT_OUT_TIMES, count))
        for row in kept:
            row[generator.permutation(count)[:left_out]] = 0
        return kept, left_out

    def quantiles(self, contrasts: np.ndarray, level: float, draws: int) -> np.ndarray:
        """Find quantiles of studentised linear combinations of the differences.

        Parameters
        ----------
        contrasts
            The combinations, [combination, difference].
        level
            Level of equal-tailed intervals.
        draws
            Bootstrap samples of clusters, the same for all combinations.

        Returns
        -------
        numpy.ndarray
            Lower and upper quantile of each, [combination, 2].
        """
        tails, count = np.array([(1 - level) / 2, (1 + level) / 2]), len(self.weights)
        usual = np.broadcast_to(stats.t.ppf(tails, count - 1), (len(contrasts), 2)).copy()
        if count < FEWEST_RESAMPLED:
            return usual
        columns = self.sums @ contrasts.T
        columns = columns - self.weights[:, None] * columns.sum(axis=0) / self.weights.sum()
        studentised = _studentised(columns, self.weights, draws, np.random.default_rng([self.seed, 1]))
        for row, found in zip(usual, studentised.T, strict=True):
            if np.isfinite(found).any():
                row[:] = np.quantile(found[np.isfinite(found)], tails)
        return usual

    def estimates(self, level: float, draws: int) -> list[Estimate]:
        """Return every difference with its interval; arguments as of `quantiles`."""
        return self.estimates_at(self.quantiles(np.eye(self.sums.shape[1]), level, draws))

    def estimates_at(self, quantiles: np.ndarray) -> list[Estimate]:
        """Return every difference with its interval, from the quantiles of each, [difference, 2]."""
        values, errors = self.values, np.sqrt(np.diag(self.covariance))
        ends = values[:, None] - errors[:, None] * quantiles[:, ::-1]
        return [
            Estimate(float(value), float(lower), float(upper))
            for value, (lower, upper) in zip(values, ends, strict=True)
        ]

    @property
    def of_ratio(self) -> np.ndarray:
        """The combination whose quantiles give the interval of the ratio of the first two differences, [difference]."""
        contrast = np.zeros(self.sums.shape[1])
        contrast[:2] = 1, -self.values[0] / self.values[1]
        return contrast

    def ratio(self, level: float, draws: int) -> Estimate:
        r"""Divide the first difference by the second, which is positive.

        The interval holds every ratio :math:`\rho` for which the difference :math:`\theta_1 - \rho \theta_2` is not
        told from zero (Fieller 1954), by the studentised bootstrap of that difference at the ratio found.

        Parameters
        ----------
        level, draws
            As of `quantiles`.

        Returns
        -------
        Estimate
            The ratio; an end is infinite where the second difference is too uncertain to bound it.
        """
        return self.ratio_at(self.quantiles(self.of_ratio[None], level, draws)[0])

    def ratio_at(self, quantiles: np.ndarray) -> Estimate:
        """Divide the first difference by the second, from the quantiles of `of_ratio`, [2]."""
        (first, second), covariance, (low, high) = self.values[:2], self.covariance, quantiles
        lower, upper = (_fieller(first, second, covariance, quantile) for quantile in (high, low))
        return Estimate(float(first / second), lower, upper)


def quantiles_together(
    several: Sequence[ClusterDifferences], contrasts: Sequence[np.ndarray], level: float, draws: int
) -> list[np.ndarray]:
    """Find quantiles of combinations of several sets of differences on the same clusters, which are drawn once for all.

    Parameters
    ----------
    several
        The differences, of the same clusters and seed.
    contrasts
        Combinations of each, [combination, difference].
    level, draws
        As of `ClusterDifferences.quantiles`.

    Returns
    -------
    list of numpy.ndarray
        The same as by `ClusterDifferences.quantiles` of each, [combination, 2].
    """
    combined = [differences.sums @ each.T for differences, each in zip(several, contrasts, strict=True)]
    one = replace(several[0], sums=np.hstack(combined))
    found = one.quantiles(np.eye(one.sums.shape[1]), level, draws)
    return np.split(found, np.cumsum([len(each) for each in contrasts])[:-1])


def _covariance(values: np.ndarray) -> np.ndarray:
    off = values - values.mean(axis=0)
    return off.T @ off / len(off)


def _fieller(first: float, second: float, covariance: np.ndarray, quantile: float) -> float:
    """Solve ``first - ratio * second = quantile * error(ratio)`` for the ratio."""
    square = quantile**2
    leading = second**2 - square * covariance[1, 1]
    if leading <= 0:
        return float(-np.copysign(np.inf, quantile))
    middle = first * second - square * covariance[0, 1]
    last = first**2 - square * covariance[0, 0]
    return float((middle - np.copysign(np.sqrt(max(middle**2 - leading * last, 0.0)), quantile)) / leading)


def _studentised(columns: np.ndarray, weights: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draw ratios of sums, of mean zero over the table, over their errors: [draw, column], NaN where there is none."""
    count, number = len(weights), columns.shape[1]
    moments = np.column_stack([columns, columns**2, columns * weights[:, None], weights, weights**2])
    least = NO_VARIANCE * (columns**2).sum(axis=0) / weights.sum() ** 2
    found = []
    for start in range(0, draws, DRAW_BLOCK):
        counts = generator.multinomial(count, np.full(count, 1 / count), size=min(DRAW_BLOCK, draws - start))
        drawn = counts @ moments
        total, square = drawn[:, -2:-1], drawn[:, -1:]
        value = drawn[:, :number] / total
        spread = drawn[:, number : 2 * number] - 2 * value * drawn[:, 2 * number : 3 * number] + value**2 * square
        variance = count / (count - 1) * spread / total**2
        usable = variance > least
        found.append(np.where(usable, value / np.sqrt(np.where(usable, variance, 1.0)), np.nan))
    return np.concatenate(found)
