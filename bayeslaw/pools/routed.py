r"""The rule ``routed``: one member for each sample, by a router that sees what is known before any model has run.

The router is a ridge regression of each member's loss less the mean of all members, per unit of weight, on the columns
of `bayeslaw.pools.feature_basis`; it takes the member whose loss it predicts to be lowest. How hard a sample is for all
cancels from the differences, and the intercept is not shrunk: with an infinite penalty the router is the rule ``best``.
Routers are trained on whole clusters of other folds, and so is the penalty chosen: by what routers of each penalty lose
on every other fold when trained on those left. Ridge, since all of that is sums over samples: a router is trained anew
for every subset of clusters that an interval's error asks for, in milliseconds, and to the same digits everywhere.
"""

import numpy as np

from bayeslaw.pools.known import Known
from bayeslaw.pools.rule_functions import RuleFunctions, one_by_one

PENALTIES = (np.inf, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0001)
"""Penalties tried, in units of a column's mean square: of those that lose alike the largest is taken."""
FEWEST_FOLDS = 3


class _Moments:
    """Sums of products over samples that ridge regressions are made of; those of disjoint samples add up.

    Parameters
    ----------
    products
        Of the basis with itself, [..., column, column]; the first column is the intercept.
    targets
        Of the basis with the members' rates, [..., column, member].
    """

    def __init__(self, products: np.ndarray, targets: np.ndarray) -> None:
        self.products, self.targets = products, targets

    @classmethod
    def of(cls, basis: np.ndarray, weights: np.ndarray, lost: np.ndarray) -> "_Moments":
        """Sum over samples: basis [sample, column], weights [sample] and what was lost in all, [sample, member]."""
        return cls(basis.T @ (basis * weights[:, None]), basis.T @ lost)

    def coefficients(self, penalty: float) -> np.ndarray:
        """Solve for the coefficients, [column, member]."""
        total = self.products[0, 0]
        if total <= 0:
            return np.zeros_like(self.targets)
        found = np.zeros_like(self.targets)
        if np.isinf(penalty):
            found[0] = self.targets[0] / total
            return found
        shrunk = np.eye(len(self.products)) * penalty * total
        shrunk[0, 0] = 0.0
        return np.linalg.solve(self.products + shrunk, self.targets)


class _Router:
    """Routers of a pool, one for each fold, trained on the others."""

    def __init__(self, nll: np.ndarray, folds: np.ndarray, known: Known) -> None:
        assert known.features is not None
        basis = known.features.basis
        self.nll, self.folds = nll, folds
        self.basis = np.column_stack([np.ones(len(basis)), basis])
        # Differences between members alone tell where to route.
        self.lost, self.weights = nll - nll.mean(axis=1, keepdims=True), known.weights
        self.rows = [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
        self.moments = [self._moments(rows) for rows in self.rows]
        self.penalties = [self._penalty(fold) for fold in range(len(self.rows))]

    def _moments(self, rows: np.ndarray) -> _Moments:
        return _Moments.of(self.basis[rows], self.weights[rows], self.lost[rows])

    def _penalty(self, fold: int) -> float:
        """Choose the penalty of a fold's router by what is lost on the other folds."""
        others = [other for other in range(len(self.rows)) if other != fold]
        if len(self.rows) < FEWEST_FOLDS:
            return np.inf
        lost = np.zeros(len(PENALTIES))
        for judged in others:
            trained = _added([self.moments[other] for other in others if other != judged])
            for number, penalty in enumerate(PENALTIES):
                chosen = self.choose(self.rows[judged], trained.coefficients(penalty))
                lost[number] += self.nll[self.rows[judged], chosen].sum()
        return PENALTIES[int(lost.argmin())]

    def choose(self, rows: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Choose the member of lowest predicted loss for each of some samples, [row]."""
        return (self.basis[rows] @ coefficients).argmin(axis=1)

    @property
    def chosen(self) -> np.ndarray:
        """Position of the member chosen for each sample, [sample]."""
        found = np.zeros(len(self.nll), dtype=np.int64)
        for fold, rows in enumerate(self.rows):
            trained = _added([moments for other, moments in enumerate(self.moments) if other != fold])
            found[rows] = self.choose(rows, trained.coefficients(self.penalties[fold]))
        return found

    def lost_on(self, kept: np.ndarray) -> float:
        """Sum what is lost on samples kept, by routers trained on them with the penalties chosen on all."""
        moments = []
        for rows, moment in zip(self.rows, self.moments, strict=True):
            # Fewer are left out than are kept; of a fold without any rounding alone would be left.
            less = self._moments(rows[~kept[rows]])
            some = kept[rows].any()
            moments.append(_Moments(some * (moment.products - less.products), some * (moment.targets - less.targets)))
        total = 0.0
        for fold, rows in enumerate(self.rows):
            rows = rows[kept[rows]]
            trained = _added([moment for other, moment in enumerate(moments) if other != fold])
            total += self.nll[rows, self.choose(rows, trained.coefficients(self.penalties[fold]))].sum()
        return total


def _added(moments: list[_Moments]) -> _Moments:
    products, targets = ([getattr(each, name) for each in moments] for name in ("products", "targets"))
    return _Moments(np.sum(products, axis=0), np.sum(targets, axis=0))


def routed(known: Known) -> RuleFunctions:
    """Make the functions of the rule for one pool.

    Parameters
    ----------
    known
        What is known of its samples.

    Returns
    -------
    RuleFunctions
        The functions.
    """

    def losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return nll[np.arange(len(nll)), _Router(nll, folds, known).chosen]

    def gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return np.eye(nll.shape[1])[_Router(nll, folds, known).chosen]

    def redrawn(nll: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
        router = _Router(nll, folds, known)
        return np.array([router.lost_on(subset[clusters] > 0) for subset in kept])

    return one_by_one(losses, gradients, redrawn=redrawn, runs=gradients)
