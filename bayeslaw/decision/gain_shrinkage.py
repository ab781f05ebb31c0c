r"""What pools gain over their members in truth, drawn towards each other as far as the gains on samples are chance.

A gain is what a pool loses less than its members, each with its share of the pool. The gains of pools that have
members in common vary together, over samples and in truth: so the prior of the true gains of pools of one size is
normal around their mean, which is flat, with the sampling covariance times an unknown factor,
:math:`\gamma \sim N(\bar\gamma, \frac{1 - b}{b} \Sigma)` (the g-prior of Zellner 1986), and the share b by which a gain
is drawn to the mean is uniform (Daniels 1999). Squares of gains around their means add up to about
:math:`tr \Sigma / b` times a chi-squared variable over its degrees of freedom
:math:`\nu = (tr \Sigma)^2 / tr \Sigma^2` (Satterthwaite 1946), which tells of b.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

GRID = 400


@dataclass(frozen=True)
class GainShrinkage:
    """Pools of two members or more on the same clusters.

    Parameters
    ----------
    sums
        Sum over each cluster of what a pool loses less its members' shares, [cluster, pool].
    weights
        Weight of each cluster, [cluster].
    sizes
        Number of members, [pool].
    """

    sums: np.ndarray
    weights: np.ndarray
    sizes: np.ndarray

    def centred(self, values: np.ndarray) -> np.ndarray:
        """Take from values their mean over the pools of one size, [..., pool]."""
        found = np.empty(values.shape)
        for size in np.unique(self.sizes):
            some = self.sizes == size
            found[..., some] = values[..., some] - values[..., some].mean(axis=-1, keepdims=True)
        return found

    @cached_property
    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares by which gains are drawn to their means, [grid], and posterior probabilities of these, [grid]."""
        count, total = len(self.weights), self.weights.sum()
        means = self.sums.sum(axis=0) / total
        residual = self.centred(self.sums - means * self.weights[:, None]) * np.sqrt(count / (count - 1)) / total
        short = residual if residual.shape[0] < residual.shape[1] else residual.T
        trace, square = float((residual**2).sum()), float(((short @ short.T) ** 2).sum())
        grid = (np.arange(GRID) + 0.5) / GRID
        if not square > 0:
            # No chance in them.
            return grid, np.eye(GRID)[0]
        freedom, ratio = trace**2 / square, float((self.centred(means) ** 2).sum()) / trace
        logs = 0.5 * freedom * (np.log(grid) - ratio * grid)
        weights = np.exp(logs - logs.max())
        return grid, weights / weights.sum()

    @property
    def degenerate(self) -> bool:
        """Whether there is nothing to shrink: no pools, or one."""
        return self.sums.shape[1] < 2

    @property
    def expected_share(self) -> float:
        """Expected share by which gains are drawn to their means; 0 where there is nothing to shrink."""
        grid, probabilities = self._posterior if not self.degenerate else (np.zeros(1), np.ones(1))
        return float(grid @ probabilities)

    def shifts(self, weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw by how much pools lose more than in draws that know no prior; as of `ModelShrinkage`, [draw, pool]."""
        if self.degenerate:
            return np.zeros((len(weights), self.sums.shape[1]))
        grid, probabilities = self._posterior
        share = generator.choice(grid, size=(len(weights), 1), p=probabilities)
        others = generator.standard_exponential(weights.shape)
        means = self.sums.sum(axis=0) / self.weights.sum()
        # A draw of the prior is the sampling error of another draw, scaled.
        lost, error = (each @ self.sums / (each @ self.weights)[:, None] for each in (weights, others))
        return self.centred(np.sqrt(share * (1 - share)) * (error - means) - share * lost)
