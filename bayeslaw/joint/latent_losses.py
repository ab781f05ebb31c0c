"""The latent losses behind a table's losses: their moments, and their values on the samples seen.

Where a loss tells its latent value the values are computed. Of a score of 0 or 1 only the side of a threshold is seen:
correlations are tetrachoric, and values are drawn given all scores of the sample.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from threading import Lock
from typing import final

import numpy as np
from scipy import special

from bayeslaw.joint.tetrachoric import Tetrachoric, positive_definite, tetrachoric

RIDGE = 1e-6
NO_SPREAD = 1e-9
BURN_IN, STATES, SWEEPS_BETWEEN = 60, 8, 10
SWEEPS_FIRST, SWEEPS = 5, 2
STATES_SEED = 0
SMALLEST_PROBABILITY = 1e-300


class LatentLosses(ABC):
    """Latent losses of the models seen on the samples seen."""

    @cached_property
    @abstractmethod
    def mean(self) -> np.ndarray:
        """Mean of each model, [lm]."""

    @cached_property
    @abstractmethod
    def deviation(self) -> np.ndarray:
        """Standard deviation of each model, [lm]."""

    @cached_property
    @abstractmethod
    def correlation(self) -> np.ndarray:
        """Correlations between models, positive definite, [lm, lm]."""

    @cached_property
    @abstractmethod
    def worth(self) -> float:
        """How many samples whose latent losses are seen tell as much of correlations as one sample does."""

    @cached_property
    @abstractmethod
    def standardised(self) -> np.ndarray:
        """Values of mean zero and variance one in each model, or what is expected of them, [sample, lm]."""

    @abstractmethod
    def draws(self, correlations: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield standardised values, [sample, lm], for each matrix of correlations between models, [draw, lm, lm].

        They are drawn given the losses where these do not tell them. What was yielded last is changed by what follows.
        """


@final
@dataclass(frozen=True)
class SeenLatent(LatentLosses):
    """Latent losses that the losses tell.

    Parameters
    ----------
    values
        The latent losses, [sample, lm].
    """

    values: np.ndarray

    @cached_property
    def worth(self) -> float:
        """One: nothing is hidden."""
        return 1.0

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of each model, [lm]."""
        return self.values.mean(axis=0)

    @cached_property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each model, [lm]."""
        return np.maximum(self.values.std(axis=0), NO_SPREAD)

    @cached_property
    def standardised(self) -> np.ndarray:
        """Values of mean zero and variance one in each model, [sample, lm]."""
        return (self.values - self.mean) / self.deviation

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlations, with a small ridge, [lm, lm]."""
        raw = self.standardised.T @ self.standardised / len(self.values)
        return (raw + RIDGE * np.eye(len(raw))) / (1 + RIDGE)

    def draws(self, correlations: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the values, the same ones for each matrix, of which they have one of their own."""
        del generator
        return repeat(self.standardised, len(correlations))


@final
@dataclass(frozen=True)
class ScoredLatent(LatentLosses):
    """Normal latent losses of variance one, of which a score of 1 says that they are above zero.

    Parameters
    ----------
    scores
        0 or 1, [sample, lm]; every model has both.
    """

    scores: np.ndarray
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of each model: the normal quantile of its share of ones, [lm]."""
        return special.ndtri(self.scores.mean(axis=0))

    @cached_property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each model: one, which is the unit, [lm]."""
        return np.ones(self.scores.shape[1])

    @cached_property
    def tetrachoric(self) -> Tetrachoric:
        """Correlations pair by pair, with their variances."""
        return tetrachoric(self.scores)

    @cached_property
    def correlation(self) -> np.ndarray:
        """Tetrachoric correlations, made positive definite, [lm, lm]."""
        return positive_definite(self.tetrachoric.correlation)

    @cached_property
    def worth(self) -> float:
        """Variance of a correlation of values seen over that of a tetrachoric one: the median over pairs."""
        pairs = np.triu_indices(len(self.correlation), 1)
        seen = (1 - self.tetrachoric.correlation[pairs] ** 2) ** 2 / len(self.scores)
        return float(min(np.median(seen / self.tetrachoric.variance[pairs]), 1.0))

    @cached_property
    def standardised(self) -> np.ndarray:
        """Expected values given the scores, over the states that draws start from, [sample, lm]."""
        return np.mean(self._states, axis=0)

    def draws(self, correlations: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Draw values given the scores of all models on a sample, by Gibbs steps from one of some states."""
        state = self._states[generator.integers(STATES)].astype(float)
        for number, correlation in enumerate(correlations):
            regressions = _regressions(correlation)
            for _ in range(SWEEPS if number else SWEEPS_FIRST):
                self._sweep(state, regressions, generator)
            yield state

    @property
    def _states(self) -> list[np.ndarray]:
        """States of the chain far from its start and from each other, the same whoever asks first."""
        with self._lock:
            return self._chain

    @cached_property
    def _chain(self) -> list[np.ndarray]:
        generator, states = np.random.default_rng(STATES_SEED), []
        state, regressions = np.where(self.scores > 0, 0.8, -0.8) - self.mean, _regressions(self.correlation)
        for number in range(BURN_IN + SWEEPS_BETWEEN * STATES):
            self._sweep(state, regressions, generator)
            if number >= BURN_IN and (number - BURN_IN) % SWEEPS_BETWEEN == 0:
                states.append(state.astype(np.float32))
        return states

    def _sweep(
        self, state: np.ndarray, regressions: tuple[np.ndarray, np.ndarray], generator: np.random.Generator
    ) -> None:
        """Draw every model's values given the others and its scores, in place."""
        coefficients, left = regressions
        for model, sign in enumerate(np.where(self.scores > 0, 1.0, -1.0).T):
            expected = state @ coefficients[model]
            # How far the threshold lies on the side that was not seen: what is drawn lies beyond it.
            above = special.ndtr(sign * (expected + self.mean[model]) / left[model])
            tail = np.maximum(generator.random(len(above)) * above, SMALLEST_PROBABILITY)
            state[:, model] = expected - sign * left[model] * special.ndtri(tail)


def _regressions(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of each model on the others, zero on the diagonal, [lm, lm], and deviation of what is left, [lm]."""
    precision = np.linalg.inv(correlation)
    scale = np.diag(precision)
    coefficients = -precision / scale[:, None]
    np.fill_diagonal(coefficients, 0.0)
    return coefficients, 1 / np.sqrt(scale)
