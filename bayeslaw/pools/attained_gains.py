"""What a rule gains over the best member of a pool, beside what the oracle gains: differences on the same clusters."""

import math
from dataclasses import dataclass

import numpy as np

from bayeslaw.losses.loss_text import loss_text
from bayeslaw.pools.best_member import best_sums, kept_fold_sums
from bayeslaw.pools.cluster_intervals import INTERVAL_KIND, ClusterDifferences, Estimate
from bayeslaw.pools.rule_functions import Redrawn

LEAST_SHARE = 0.01
"""Share of the best member's loss below which a gain is too small to be divided by."""
LEAST_ERRORS = 2
ROUNDING = 1e-12
UNDEFINED = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Attainability:
    """What a rule gains over the best member, and how much of the way to the oracle that is.

    Attributes
    ----------
    difference
        Loss of the rule minus loss of the best member (cross-fitted), in `loss_unit`, with its interval: below zero the
        rule is better.
    gain
        Loss of the best member minus loss of the oracle, in `loss_unit`, with its interval.
    value
        The share ``-difference / gain``, with the oracle of whole samples; 1 where the rule is as good as the oracle,
        above 1 where a rule of tokens is better, negative where it is worse than the best member. NaN where the gain is
        too small or too uncertain to be divided by.
    lower, upper
        Ends of the interval of `value`, infinite where the clusters are too few to bound it; NaN where `value` is.
    interval
        Level of the intervals.
    best, rule_loss, oracle
        Mean losses in `loss_unit`: the best member (cross-fitted), the rule and the oracle.
    loss_unit
        Unit of the losses.
    rule
        The rule.
    reason
        Why `value` is NaN; empty where it is not.
    interval_kind
        What the intervals are.
    """

    difference: Estimate
    gain: Estimate
    value: float
    lower: float
    upper: float
    interval: float
    best: float
    rule_loss: float
    oracle: float
    loss_unit: str
    rule: str
    reason: str = ""
    interval_kind: str = INTERVAL_KIND

    def share_text(self, digits: int = 0) -> str:
        """Write the share with its interval, whose ends may be missing, in per cent with some digits."""
        value, lower, upper = (f"{number:.{digits}%}" for number in (self.value, self.lower, self.upper))
        if math.isfinite(self.lower) and math.isfinite(self.upper):
            return f"{value} ({lower} to {upper})"
        if math.isfinite(self.lower):
            return f"{value} ({lower} or more)"
        return f"{value} ({upper} or less)" if math.isfinite(self.upper) else f"{value} (not bounded)"

    def __str__(self) -> str:
        if math.isnan(self.difference.value):
            return f"no attainability: {self.reason}"
        level = f"{self.interval:.0%} interval"

        def ends(lower: float, upper: float) -> str:
            return f"({loss_text(lower)} to {loss_text(upper)})"

        difference = (
            f"{loss_text(self.difference.value)} {self.loss_unit} {ends(self.difference.lower, self.difference.upper)}"
        )
        gain = f"{loss_text(self.gain.value)} {ends(self.gain.lower, self.gain.upper)}"
        share = f"no share: {self.reason}" if self.reason else f"share {self.share_text(1)}"
        return f"{self.rule} minus best member {difference}; best member minus oracle {gain}; {share} ({level}s)"


def gain_differences(
    columns: np.ndarray,
    weights: np.ndarray,
    clusters: np.ndarray,
    folds: np.ndarray,
    redrawn: Redrawn | None,
    seed: int,
) -> ClusterDifferences:
    """Set up the differences of the best member to the rule and to the oracle.

    Parameters
    ----------
    columns
        Losses in nats of the members, then of the rule, the oracle and the best member (cross-fitted), [sample,
        column].
    weights, clusters, folds
        What losses are divided by, number of the cluster and number of the fold of each sample, [sample]; clusters are
        in one fold each.
    redrawn
        For a rule that itself chooses by folds, as in `bayeslaw.pools.rule_functions.RuleFunctions`.
    seed
        Seed of the clusters left out and of the bootstrap.

    Returns
    -------
    ClusterDifferences
        The best member minus the rule, and minus the oracle.
    """
    count, members = int(clusters.max()) + 1, columns[:, :-3]
    sums = np.stack([np.bincount(clusters, column, count) for column in columns[:, -3:].T], axis=1)
    weight = np.bincount(clusters, weights, count)

    def chosen_anew(kept: np.ndarray) -> np.ndarray:
        best = best_sums(kept_fold_sums(members, folds, clusters, kept))
        rule = kept @ sums[:, 0] if redrawn is None else redrawn(members, folds, clusters, kept)
        differences = np.stack([best - rule, best - kept @ sums[:, 1]], axis=1)
        # Sums of the same losses in another order are the same.
        differences[np.abs(differences) < ROUNDING * np.abs(best)[:, None]] = 0.0
        return differences / (kept @ weight)[:, None]

    return ClusterDifferences(sums[:, -1:] - sums[:, :-1], weight, chosen_anew, seed)


def negated(estimate: Estimate) -> Estimate:
    """Return a difference the other way round; zero has no sign."""
    return Estimate(*(0.0 - end for end in (estimate.value, estimate.upper, estimate.lower)))


def too_small(gain: float, error: float, loss: float, unit: str) -> str:
    """Say why a gain is too small to be divided by; empty where it is not.

    Parameters
    ----------
    gain, error
        The oracle's gain over the best member and its standard error.
    loss
        The best member's loss.
    unit
        Unit of all three.

    Returns
    -------
    str
        The reason.
    """
    words = f"the oracle is only {loss_text(gain)} {unit} better than the best member"
    if not gain >= LEAST_ERRORS * error or gain <= 0:
        return f"{words}, under two of that difference's standard errors ({loss_text(error)})"
    if gain < LEAST_SHARE * loss:
        return f"{words}, under {LEAST_SHARE:.0%} of that member's loss ({loss_text(loss)})"
    return ""
