"""How much the own parts of models vary from sample to sample: the tails of their distribution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
from bayeslaw.joint.joint_model import JointModel

LEAST_FREEDOM = 2.05
MOST_FREEDOM = 400.0
NO_TAILS = 200.0


@dataclass(frozen=True)
class SampleScales:
    """How much the own parts of models vary on each sample: the tails of their distribution.

    Parameters
    ----------
    squares
        Sum over models of the squared standardised leave-one-out residuals of each sample, [sample].
    models
        Number of models.
    freedom
        Degrees of freedom of the multivariate Student t that the residuals follow; infinite where they are normal.
    """

    squares: np.ndarray
    models: int
    freedom: float

    def draw(self, generator: np.random.Generator, mean_is_finite: bool) -> np.ndarray:
        """Draw variances of the own parts on the samples seen, relative to their average.

        Parameters
        ----------
        generator
            Source of randomness.
        mean_is_finite
            Whether losses have a mean under Student-t latent losses; where not, the expected variances are returned.

        Returns
        -------
        np.ndarray
            [sample], of mean 1.
        """
        if not np.isfinite(self.freedom):
            return np.ones(len(self.squares))
        evidence = self.freedom - 2 + self.squares
        if mean_is_finite:
            evidence = evidence / (2 * generator.standard_gamma((self.freedom + self.models) / 2, evidence.shape))
        return evidence / evidence.mean()

    def draw_new(self, generator: np.random.Generator, mean_is_finite: bool) -> np.ndarray:
        """Draw variances of the own parts on as many new samples; as `draw`."""
        if not np.isfinite(self.freedom):
            return np.ones(len(self.squares))
        if mean_is_finite:
            drawn = 1 / generator.standard_gamma(self.freedom / 2, self.squares.shape)
        else:
            drawn = generator.permutation(self.freedom - 2 + self.squares)
        return drawn / drawn.mean()


def scales_at_mean(model: JointModel, values: Mapping[str, np.ndarray]) -> SampleScales:
    """Estimate the scales under the structure at the mean of draws of every site, each [draw, ...]."""
    middle = {name: np.asarray(values[name], dtype=float).mean(axis=0, keepdims=True) for name in model.sites}
    return sample_scales(model, DependenceAtDraws(model.dependence, middle).structure[0])


def sample_scales(model: JointModel, structure: np.ndarray) -> SampleScales:
    """Estimate how the own parts vary from sample to sample, from what the other models do not tell of each.

    Parameters
    ----------
    model
        The model.
    structure
        Correlation matrix of the latent losses by the structure, [lm, lm].

    Returns
    -------
    SampleScales
        With the degrees of freedom of highest likelihood, beyond `NO_TAILS` none, and none where latent losses are
        normal by the link.
    """
    if not model.table.link.tails:
        return SampleScales(np.ones(len(model.table.weights)), len(structure), np.inf)
    precision = np.linalg.inv(structure)
    residual = model.table.standardised @ precision / np.sqrt(np.diag(precision))
    squares = (residual**2 / (residual**2).mean(axis=0)).sum(axis=1)
    count = residual.shape[1]

    def cost(log_excess: float) -> float:
        freedom = LEAST_FREEDOM + np.exp(log_excess)
        scale = freedom - 2
        constant = special.gammaln((freedom + count) / 2) - special.gammaln(freedom / 2) - count / 2 * np.log(scale)
        return float(-(constant - (freedom + count) / 2 * np.log1p(squares / scale)).mean())

    bounds = (-3.0, float(np.log(MOST_FREEDOM)))
    found: Any = optimize.minimize_scalar(cost, bounds=bounds, method="bounded")
    freedom = LEAST_FREEDOM + float(np.exp(found.x))
    return SampleScales(squares, count, freedom if freedom < NO_TAILS else np.inf)
