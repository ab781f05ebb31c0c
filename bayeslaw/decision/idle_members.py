"""Pools of which a member never matters, so that they lose what they would without it, or hardly ever."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HARDLY = 0.01
"""Share of what a pool loses, or of the samples it wins, under which a member hardly matters."""
HARDLY_WIDTH = 0.1
"""Share of an interval's width under which a difference is next to none."""


@dataclass(frozen=True)
class HardlyMatters:
    """A row of a choice with a member that hardly matters.

    Attributes
    ----------
    row
        Number of the row, from 1.
    member
        Name of the member.
    share
        Its share of what the pool loses: of a choice of members how often it wins.
    """

    row: int
    member: str
    share: float

    def __str__(self) -> str:
        share = "under 0.1%" if self.share < 0.001 else f"{self.share:.1%}"
        return f"row {self.row} without {self.member} ({share})"


def hardly_words(rows: Sequence[HardlyMatters]) -> list[str]:
    """Name rows with a member that hardly matters, in a sentence; none where there are none."""
    if not rows:
        return []
    return [
        "For all that these samples tell these rows are the same without a member, whose share of the pool (in "
        f"brackets) is under {HARDLY:.0%}, and without which as much is expected to be lost within a tenth of the "
        "interval: "
        f"{', '.join(map(str, rows))}."
    ]


def hardly_matter(
    pools: np.ndarray, shares: np.ndarray, expected: np.ndarray, widths: np.ndarray
) -> list[tuple[int, int, float]]:
    """Find rows with a member that hardly matters, of pools of which the first are rows.

    Parameters
    ----------
    pools
        Members, [pool, slot], padded with -1.
    shares
        Share of each model in what a pool loses, [pool, model].
    expected
        Expected losses, [pool].
    widths
        Widths of the intervals of the rows, [row].

    Returns
    -------
    list of tuple
        Number of the row, the member, and its share: at most one of a row, the one of the smallest share.

    Examples
    --------
    >>> pools, shares = np.array([[0, 1], [0, -1]]), np.array([[0.995, 0.005], [1.0, 0.0]])
    >>> hardly_matter(pools, shares, np.array([1.0, 1.001]), np.array([0.1, 0.1]))
    [(0, 1, 0.005)]
    """
    place = {frozenset(pool[pool >= 0].tolist()): number for number, pool in enumerate(pools)}
    found = []
    for row, width in enumerate(widths):
        members = pools[row][pools[row] >= 0].tolist()
        for member in sorted(members, key=lambda each, row=row: shares[row, each])[: len(members) - 1]:
            without = place.get(frozenset(members) - {member})
            near = without is not None and abs(expected[row] - expected[without]) < HARDLY_WIDTH * width
            if near and shares[row, member] < HARDLY:
                found.append((row, int(member), float(shares[row, member])))
                break
    return found


def sufficient_parts(pools: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Find for each pool the smallest part of it that is a pool here too and loses the same on every cluster.

    Parameters
    ----------
    pools
        Members, [pool, slot], padded with -1.
    sums
        Sum over each cluster of what a pool loses, [cluster, pool].

    Returns
    -------
    numpy.ndarray
        Numbers of pools, [pool]: its own where all members matter.

    Examples
    --------
    >>> sufficient_parts(np.array([[0, -1], [0, 1], [1, -1]]), np.array([[1.0, 1.0, 2.0]])).tolist()
    [0, 0, 2]
    """
    losing_the_same: dict[bytes, list[int]] = {}
    for number, column in enumerate(np.ascontiguousarray(sums.T)):
        losing_the_same.setdefault(column.tobytes(), []).append(number)
    found = np.arange(len(pools))
    for group in losing_the_same.values():
        members = {number: frozenset(pools[number][pools[number] >= 0].tolist()) for number in group}
        for number, each in members.items():
            parts = [other for other in group if members[other] < each]
            found[number] = min(parts, key=lambda other: len(members[other]), default=number)
    return found
