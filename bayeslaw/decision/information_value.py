r"""What there is to gain from knowing more before one of several actions is chosen: preposterior analysis by draws.

Actions have unknown losses. At every draw of what is not known an action has a *truth*, and an *expectation*, which is
what a reader of the outcomes at that draw would still expect of it. The regret that is expected of choosing now is

.. math:: \min_a E[L_a] - E[\min_a L_a],

and after an outcome :math:`y`, which is itself drawn (Raiffa and Schlaifer 1961),

.. math:: E_y \min_a E[L_a \mid y] - E[\min_a L_a].

Their difference is the expected value of sample information. Means of draws differ from each other by Monte Carlo
error; all arrays are shifted to the same means, so that knowing more never looks harmful.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class RegretAfter(NamedTuple):
    """The regret that is expected after an outcome.

    Attributes
    ----------
    regret
        The regret.
    error
        Monte Carlo standard error of how much less it is than that of choosing now.
    regret_error
        Monte Carlo standard error of the regret.
    """

    regret: float
    error: float
    regret_error: float


@dataclass(frozen=True)
class Actions:
    """Actions to choose among, at draws of what is not known.

    Parameters
    ----------
    scored
        Loss of each action on the samples at hand, were all models scored, [draw, action].
    expected
        Its loss on all samples of this kind, [draw, action].
    candidate
        Which model that is not scored yet an action needs, [action]; -1 for none.
    """

    scored: np.ndarray
    expected: np.ndarray
    candidate: np.ndarray

    @cached_property
    def prior(self) -> np.ndarray:
        """Expected loss of each action as things are, [action]."""
        return self.scored.mean(axis=0)

    @cached_property
    def truth(self) -> np.ndarray:
        """Losses on all samples, of mean `prior`, [draw, action]."""
        return _shifted(self.expected, self.prior)

    @property
    def best(self) -> int:
        """The action to take as things are."""
        return int(self.prior.argmin())

    @property
    def regret(self) -> float:
        """Expected regret of choosing as things are."""
        return max(float(self.prior.min() - self.truth.min(axis=1).mean()), 0.0)

    @property
    def regret_error(self) -> float:
        """Monte Carlo standard error of that regret."""
        return _error(self.scored[:, self.best] - self._told_of_least(self.expected))

    def _after(self, expectations: np.ndarray) -> RegretAfter:
        """Average the regret over outcomes, [outcome, action]."""
        least = _shifted(expectations, self.prior).min(axis=1)
        told, of_truth = self._told_of_least(expectations), self._told_of_least(self.expected)
        return RegretAfter(
            regret=max(float(least.mean() - self.truth.min(axis=1).mean()), 0.0),
            error=_error(self.scored[:, self.best] - told),
            regret_error=_error(told - of_truth),
        )

    def _told_of_least(self, values: np.ndarray) -> np.ndarray:
        """By how much each draw moves the mean of the least of some losses, [draw, action], shifted to the prior.

        The influence function of that mean: a draw moves it by the least loss that it has, less what the shift takes
        from it, and by the prior that is shifted to; [draw].
        """
        shifted = _shifted(values, self.prior)
        share = np.bincount(shifted.argmin(axis=1), minlength=values.shape[1]) / len(values)
        return shifted.min(axis=1) + (self.scored - values) @ share

    def after_scoring(self, candidate: int, log_densities: np.ndarray) -> RegretAfter:
        """Find the regret that is expected after a model is scored.

        Actions that need it are then known but for the sampling error. Of actions that need another candidate the
        expectation is that of draws weighted by how probable they made the mean loss found.

        Parameters
        ----------
        candidate
            The model.
        log_densities
            Log density at each draw of the mean loss that it has at each draw, [draw, outcome].

        Returns
        -------
        RegretAfter
            The regret, with Monte Carlo errors.
        """
        expectations = np.tile(self.prior, (len(self.scored), 1))
        found = self.candidate == candidate
        expectations[:, found] = self.scored[:, found]
        others = (self.candidate >= 0) & ~found
        if others.any():
            expectations[:, others] = importance_weights(log_densities).T @ self.scored[:, others]
        return self._after(expectations)

    def after_samples(self, growth: float) -> RegretAfter:
        r"""Find the regret that is expected after all scored models are scored on more samples.

        Means over `growth` times as many new samples as there are move what is expected of an action by
        :math:`\sqrt{g / (1 + g)}` of what it is off (normal means of known variance). What new samples tell of an
        action that needs a candidate is what the errors of the others tell of its error, by least squares over draws.

        Parameters
        ----------
        growth
            New samples as a share of those at hand.

        Returns
        -------
        RegretAfter
            The regret, with Monte Carlo errors.
        """
        away = self.expected - self.scored
        away = away - away.mean(axis=0)
        known = self.candidate < 0
        told = np.where(known, away, 0.0)
        if not known.all() and known.any():
            basis = _leading(away[:, known])
            told[:, ~known] = basis @ (basis.T @ away[:, ~known])
        return self._after(self.prior + np.sqrt(growth / (1 + growth)) * told)


def importance_weights(log_densities: np.ndarray) -> np.ndarray:
    """Turn densities of outcomes at draws into weights of the draws, which sum to one: both [draw, outcome]."""
    return np.exp(log_densities - logsumexp(log_densities, axis=0))


def effective_draws(log_densities: np.ndarray) -> float:
    """How many draws of equal weight those of an outcome are worth, averaged over outcomes [draw, outcome]."""
    return float((1 / (importance_weights(log_densities) ** 2).sum(axis=0)).mean())


def _error(values: np.ndarray) -> float:
    """Give the standard error of a mean over draws; NaN of one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _shifted(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0) + means


def _leading(columns: np.ndarray) -> np.ndarray:
    """Directions over draws in which the columns lie, with far fewer of them than draws: [draw, direction]."""
    vectors, lengths, _ = np.linalg.svd(columns, full_matrices=False)
    most = max(1, min(len(columns) // 10, int((lengths > 1e-6 * max(lengths[0], 1e-300)).sum())))
    return vectors[:, :most]
