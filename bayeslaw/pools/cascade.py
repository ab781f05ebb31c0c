r"""The rules ``cascade`` and ``cascade_by_feature``: the smallest member first, then the next larger one where needed.

Members run in the order of their parameters. After each, the sample goes on to the next one where a signal is above a
threshold: of ``cascade`` the member's own loss per unit of weight, of ``cascade_by_feature`` one of the features that
are given, such as how unsure the smallest member was of its answer (or below: both sides are tried). Thresholds, and
which feature of which member, are those that lose least on other folds of whole clusters: each in turn, from the
largest member to the smallest, given all others and on the samples that come to it, until none changes. The loss falls
with each, and "always" and "never" are among the thresholds tried: a cascade that loses least may well be one member.
Where two lose alike fewer samples go on. What runs is counted: `bayeslaw.attainability` gives the parameters that run
on a sample on average.

A cascade by own losses sees a part of the losses that it is judged by: it keeps an answer because it turned out well.
That can be done where the text is given, such as to filter or to rank texts; not where it is to be foretold, for which
one would also have to say which member answers. So it counts as not attainable, and lies above the oracle as a router
does that is perfect on a part of the samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayeslaw.pools.known import Known
from bayeslaw.pools.rule_functions import RuleFunctions, one_by_one

MOST_ROUNDS = 20


@dataclass(frozen=True)
class _Signal:
    """Something that tells whether a sample goes on.

    Parameters
    ----------
    values
        Above a threshold the sample goes on, [sample].
    """

    values: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """Samples by ascending values, [sample]."""
        return np.argsort(self.values, kind="stable")

    def best_cut(self, difference: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
        """Find the threshold that loses least.

        Parameters
        ----------
        difference
            What each sample loses more if it stays, [sample].
        counts
            How often each sample counts, [sample]: where it does not, it moves no threshold.

        Returns
        -------
        lost, threshold : float
            Sum of the differences of those that stay, and the highest threshold at which it is lowest, half-way between
            samples that count.
        """
        order = self.order[counts[self.order] > 0]
        ascending = self.values[order]
        ends = 1 + np.flatnonzero(ascending[1:] > ascending[:-1])
        stay = np.concatenate([[0], ends, [len(order)]])
        sums = np.concatenate([[0.0], np.cumsum(difference[order] * counts[order])])[stay]
        lowest = len(sums) - 1 - int(sums[::-1].argmin())
        if lowest in (0, len(sums) - 1):
            return float(sums[lowest]), -np.inf if lowest == 0 and len(order) else np.inf
        end = stay[lowest]
        return float(sums[lowest]), float((ascending[end - 1] + ascending[end]) / 2)


@dataclass(frozen=True)
class _Policy:
    """When samples go on from each member but the largest.

    Parameters
    ----------
    signals, thresholds
        Number of the signal of each member among its own, and the threshold, each [member].
    """

    signals: tuple[int, ...]
    thresholds: tuple[float, ...]


class Cascade:
    """The cascade of a pool.

    Parameters
    ----------
    nll
        Losses of the members in nats, [sample, member].
    known
        What is known of samples and members.
    features
        Columns by which samples may go on, each [sample]; none for the members' own losses.
    tolls
        What running each member on a sample costs, beside what is lost, in nats, [sample, member]; None: nothing.
    """

    def __init__(
        self,
        nll: np.ndarray,
        known: Known,
        features: Sequence[np.ndarray] = (),
        *,
        tolls: np.ndarray | None = None,
    ) -> None:
        assert known.parameters is not None
        self.order = np.argsort(known.parameters, kind="stable")
        self.nll = np.ascontiguousarray(nll[:, self.order].T)
        self.tolls = np.zeros(self.nll.shape) if tolls is None else np.ascontiguousarray(tolls[:, self.order].T)
        weights = np.where(known.weights > 0, known.weights, 1.0)
        shared = [_Signal(side * column) for column in features for side in (1, -1)]
        self.signals = [shared or [_Signal(column / weights)] for column in self.nll[:-1]]

    def fit(self, counts: np.ndarray, held: _Policy | None = None) -> _Policy:
        """Choose the signals and thresholds that lose least.

        Parameters
        ----------
        counts
            How often each sample counts, [sample].
        held
            A policy of nearly the same samples, whose signals are held and whose thresholds are chosen anew.

        Returns
        -------
        _Policy
            The choice.
        """
        stages = len(self.signals)
        policy = held or _Policy((0,) * stages, (-np.inf,) * stages)
        for _ in range(MOST_ROUNDS):
            before, lost, coming = policy, self.nll[-1] + self.tolls[-1], self.reached(policy)
            for stage in reversed(range(stages)):
                # Who comes is up to the stages before, which are changed after this one.
                difference, here = self.nll[stage] - lost, counts * coming[stage]
                tried = range(len(self.signals[stage])) if held is None else (policy.signals[stage],)
                cuts = {number: self.signals[stage][number].best_cut(difference, here) for number in tried}
                number = min(cuts, key=lambda each: cuts[each][0])
                policy = _replaced(policy, stage, number, cuts[number][1])
                lost = np.where(self.goes_on(policy, stage), lost, self.nll[stage]) + self.tolls[stage]
            if policy == before:
                break
        return policy

    def goes_on(self, policy: _Policy, stage: int) -> np.ndarray:
        """Say which samples go on from a member if they come to it, [sample]."""
        return self.signals[stage][policy.signals[stage]].values > policy.thresholds[stage]

    def reached(self, policy: _Policy) -> np.ndarray:
        """Say which samples come to each member, [member, sample], the smallest first."""
        found = np.ones(self.nll.shape, dtype=bool)
        for stage in range(len(self.signals)):
            found[stage + 1] = found[stage] & self.goes_on(policy, stage)
        return found

    def runs(self, policies: list[_Policy], folds: np.ndarray) -> np.ndarray:
        """Say which members run on each sample, [sample, member], by the policy of its fold."""
        found = np.zeros((len(folds), len(self.order)), dtype=bool)
        for fold, policy in enumerate(policies):
            inside = folds == fold
            found[np.ix_(inside, self.order)] = self.reached(policy)[:, inside].T
        return found

    def answers(self, policies: list[_Policy], folds: np.ndarray) -> np.ndarray:
        """Return the member that answers on each sample, [sample]: the largest that runs."""
        last = self.runs(policies, folds)[:, self.order].sum(axis=1) - 1
        return self.order[last]

    def by_fold(self, folds: np.ndarray, counts: np.ndarray, held: list[_Policy] | None = None) -> list[_Policy]:
        """Choose for each fold on the others."""
        found = []
        for fold in range(int(folds.max()) + 1):
            found.append(self.fit(counts * (folds != fold), None if held is None else held[fold]))
        return found


def _replaced(policy: _Policy, stage: int, signal: int, threshold: float) -> _Policy:
    signals, thresholds = list(policy.signals), list(policy.thresholds)
    signals[stage], thresholds[stage] = signal, threshold
    return _Policy(tuple(signals), tuple(thresholds))


def cascade(known: Known) -> RuleFunctions:
    """Make the functions of the rule ``cascade`` for one pool.

    Parameters
    ----------
    known
        What is known of its samples and members.

    Returns
    -------
    RuleFunctions
        The functions.
    """
    return _functions(lambda nll: Cascade(nll, known))


def cascade_by_feature(known: Known) -> RuleFunctions:
    """Make the functions of the rule ``cascade_by_feature`` for one pool.

    Parameters
    ----------
    known
        What is known of its samples and members.

    Returns
    -------
    RuleFunctions
        The functions.
    """
    assert known.given is not None
    features = list(known.given.numbers.values())
    return _functions(lambda nll: Cascade(nll, known, features))


def _functions(built_of: Callable[[np.ndarray], Cascade]) -> RuleFunctions:
    def chosen(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        built = built_of(nll)
        return built.answers(built.by_fold(folds, np.ones(len(nll))), folds)

    def losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return nll[np.arange(len(nll)), chosen(nll, folds)]

    def gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return np.eye(nll.shape[1])[chosen(nll, folds)]

    def runs(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        built = built_of(nll)
        return built.runs(built.by_fold(folds, np.ones(len(nll))), folds).astype(float)

    def redrawn(nll: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
        built, found, rows = built_of(nll), np.empty(len(kept)), np.arange(len(nll))
        held = built.by_fold(folds, np.ones(len(nll)))
        for subset, clusters_kept in enumerate(kept):
            counts = clusters_kept[clusters]
            found[subset] = counts @ nll[rows, built.answers(built.by_fold(folds, counts, held), folds)]
        return found

    return one_by_one(losses, gradients, redrawn=redrawn, runs=runs)
