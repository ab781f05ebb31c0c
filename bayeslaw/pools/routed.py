r"""The rule ``routed``: one member for each sample, by a router that sees what is known before any model has run.

The router is a ridge regression of each member's loss less the mean of all members, per unit of weight, on the columns
of `bayeslaw.pools.feature_basis`; it takes the member whose loss it predicts to be lowest. How hard a sample is for all
cancels from the differences, and the intercept is not shrunk: with an infinite penalty the router is the rule ``best``.
Routers are trained on whole clusters of other folds, and so is the penalty chosen: by what routers of each penalty lose
on every other fold when trained on those left. Ridge, since all of that is sums over samples: a router is trained anew
for every subset of clusters that an interval's error asks for, in milliseconds, and to the same digits everywhere.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bayeslaw.pools.known import Known
from bayeslaw.pools.rule_functions import RuleFunctions, one_by_one

PENALTIES = (np.inf, 10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)
"""Penalties tried, in units of a column's mean square: of those that lose alike the largest is taken."""
FEWEST_FOLDS = 3


class _Moments:
    """Sums of products over samples that ridge regressions are made of; those of disjoint samples add up.

    Parameters
    ----------
    products
        Of the basis with itself, [column, column]; the first column is the intercept.
    targets
        Of the basis with the members' rates, [column, member].
    """

    def __init__(self, products: np.ndarray, targets: np.ndarray) -> None:
        self.products, self.targets = products, targets

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(self.products + other.products, self.targets + other.targets)

    def __sub__(self, other: "_Moments") -> "_Moments":
        return _Moments(self.products - other.products, self.targets - other.targets)

    def coefficients(self, penalties: Sequence[float]) -> np.ndarray:
        """Solve for the coefficients, [penalty, column, member]."""
        total, found = self.products[0, 0], np.zeros((len(penalties), *self.targets.shape))
        if total <= 0:
            return found
        given = np.array(penalties)
        some = np.isfinite(given)
        found[~some, 0] = self.targets[0] / total
        shrunk = np.eye(len(self.products))
        shrunk[0, 0] = 0.0
        systems = self.products + given[some, None, None] * total * shrunk
        found[some] = np.linalg.solve(systems, np.broadcast_to(self.targets, (some.sum(), *self.targets.shape)))
        return found


class _Routing:
    """What routers of a pool are trained and judged on.

    Parameters
    ----------
    nll
        Losses of the members in nats, [sample, member].
    folds
        Number of each sample's fold, [sample].
    known
        What is known of the samples.
    """

    def __init__(self, nll: np.ndarray, folds: np.ndarray, known: Known) -> None:
        assert known.features is not None
        basis = known.features.basis
        self.nll, self.weights = nll, known.weights
        self.basis = np.column_stack([np.ones(len(basis)), basis])
        # Differences between members alone tell where to route.
        self.lost = nll - nll.mean(axis=1, keepdims=True)
        self.rows = [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
        self.moments = [self._moments(rows) for rows in self.rows]

    def _moments(self, rows: np.ndarray) -> _Moments:
        basis = self.basis[rows]
        return _Moments(basis.T @ (basis * self.weights[rows, None]), basis.T @ self.lost[rows])

    def chosen(self, kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Route samples by routers trained on other folds.

        Parameters
        ----------
        kept
            Which samples are there, [sample]; all by default.

        Returns
        -------
        rows, chosen : numpy.ndarray
            The samples that are there, and the member chosen for each.
        """
        rows, moments = self.rows, self.moments
        if kept is not None:
            # Fewer are left out than are kept.
            moments = [
                whole - self._moments(inside[~kept[inside]]) for inside, whole in zip(rows, moments, strict=True)
            ]
            rows = [inside[kept[inside]] for inside in rows]
        there = [fold for fold, inside in enumerate(rows) if len(inside)]
        rows, moments = [rows[fold] for fold in there], [moments[fold] for fold in there]
        penalties = self._penalties(rows, moments)
        whole, found = sum(moments[1:], moments[0]), []
        for inside, own, penalty in zip(rows, moments, penalties, strict=True):
            found.append(self._route(inside, (whole - own).coefficients([penalty]))[0])
        return np.concatenate(rows), np.concatenate(found)

    def _route(self, rows: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Take the member of lowest predicted loss, [router, row], by coefficients [router, column, member]."""
        return (self.basis[rows] @ coefficients).argmin(axis=-1)

    def _lost(self, rows: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Sum what routers lose on samples, [router], as by `_route`: the same for many routers, in one product."""
        routers, columns, members = coefficients.shape
        predicted = self.basis[rows] @ coefficients.transpose(1, 2, 0).reshape(columns, members * routers)
        lowest, nll = predicted[:, :routers].copy(), self.nll[rows]
        lost = np.repeat(nll[:, :1], routers, axis=1)
        for member in range(1, members):
            values = predicted[:, member * routers : (member + 1) * routers]
            better = values < lowest
            np.copyto(lowest, values, where=better)
            np.copyto(lost, nll[:, member, None], where=better)
        return lost.sum(axis=0)

    def _penalties(self, rows: Sequence[np.ndarray], moments: Sequence[_Moments]) -> list[float]:
        """Choose the penalty of each fold's router, by what is lost on each of the others when trained on the rest."""
        count = len(rows)
        if count < FEWEST_FOLDS:
            return [np.inf] * count
        lost, whole = np.zeros((count, len(PENALTIES))), sum(moments[1:], moments[0])
        for one, other in combinations(range(count), 2):
            coefficients = (whole - moments[one] - moments[other]).coefficients(PENALTIES)
            for judged, fold in ((one, other), (other, one)):
                lost[fold] += self._lost(rows[judged], coefficients)
        return [PENALTIES[best] for best in lost.argmin(axis=1)]


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

    def chosen(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        rows, found = _Routing(nll, folds, known).chosen()
        members = np.empty(len(nll), dtype=np.int64)
        members[rows] = found
        return members

    def losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return nll[np.arange(len(nll)), chosen(nll, folds)]

    def gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return np.eye(nll.shape[1])[chosen(nll, folds)]

    def redrawn(nll: np.ndarray, folds: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> np.ndarray:
        routing = _Routing(nll, folds, known)
        return np.array([nll[routing.chosen(subset[clusters] > 0)].sum() for subset in kept])

    return one_by_one(losses, gradients, redrawn=redrawn, runs=gradients)
