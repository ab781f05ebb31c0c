"""The rule ``majority``: right where more than half of the members are right, and half right where just half are.

Of losses that are 1 for a wrong answer and 0 for a right one that is the median of the members' losses, for an even
number the mean of the middle two: so written, what all members lose passes through it, as through all rules. Members
that are wrong need not agree, so that of more than two answers a plurality may be right where no majority is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayeslaw.pools.median_kernels import median_sums
from bayeslaw.pools.pool_parts import Part
from bayeslaw.pools.rule_functions import one_by_one


def _losses(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return np.median(nll, axis=1)


def _gradients(nll: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Each sample is lost by those members who lose what a middle one does, in equal parts."""
    ordered, members = np.sort(nll, axis=1), nll.shape[1]
    middle = [ordered[:, [place]] == nll for place in ((members - 1) // 2, members // 2)]
    return np.mean([each / each.sum(axis=1, keepdims=True) for each in middle], axis=0)


def _sums(columns: np.ndarray, parts: Sequence[Part], folds: np.ndarray) -> np.ndarray:
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    found = []
    for part in parts:
        sums = np.zeros(len(part.sizes))
        median_sums(columns, np.ascontiguousarray(part.pools), part.sizes, sums)
        found.append(sums)
    return np.concatenate(found)


MAJORITY = replace(one_by_one(_losses, _gradients), sums=_sums)
