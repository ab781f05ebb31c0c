"""The cheapest pool that is not told apart from the one chosen."""

from dataclasses import dataclass

import numpy as np

from bayeslaw.decision.limits import COSTS
from bayeslaw.losses.loss_text import loss_text


@dataclass(frozen=True)
class CheaperPool:
    """A pool that costs less than the one chosen, and may lose no more.

    Attributes
    ----------
    members
        Names.
    cost
        What it costs, of the kind `cost_name`.
    share
        That as a share of what the one chosen costs.
    cost_name
        A key of `bayeslaw.decision.limits.COSTS`.
    difference, lower, upper
        What it loses more than the one chosen in truth, with its interval over draws, which holds zero.
    interval
        Level of that interval.
    unit
        Unit of the losses.
    """

    members: tuple[str, ...]
    cost: float
    share: float
    cost_name: str
    difference: float
    lower: float
    upper: float
    interval: float
    unit: str

    def __str__(self) -> str:
        cost = COSTS[self.cost_name]
        of = "is free" if not self.cost else f"has {self.share:.0%} of its {cost.words}, {cost.label(self.cost)}"
        more, less = loss_text(abs(self.difference)), "less" if self.difference < 0 else "more"
        return (
            f"As good for all that these samples tell, and cheaper: {' + '.join(self.members)} {of}, and is expected "
            f"to lose {more} {self.unit} {less} ({self.interval:.0%} interval of the difference "
            f"{loss_text(self.lower)} to {loss_text(self.upper)}). No other that is cheaper still comes as near."
        )


def cheapest_as_good(away: np.ndarray, costs: np.ndarray, interval: float) -> tuple[int, float, float, float] | None:
    """Find the cheapest pool whose paired difference to the first does not exclude zero.

    Parameters
    ----------
    away
        What pools lose more than the first, [draw, pool].
    costs
        What they cost, [pool]; NaN where that is not known.
    interval
        Level of the equal-tailed interval.

    Returns
    -------
    tuple or None
        Its number, and the mean and ends of the difference; None where none is cheaper than the first.

    Examples
    --------
    >>> away = np.array([[0.0, 0.2, 0.5], [0.0, -0.1, 0.4]])
    >>> cheapest_as_good(away, np.array([3.0, 2.0, 1.0]), 0.9)[0]
    1
    """
    cheaper = np.flatnonzero(costs < costs[0])
    # Of one cost the one that loses least.
    order = cheaper[np.lexsort([away[:, cheaper].mean(axis=0), costs[cheaper]])]
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    lower, upper = np.quantile(away[:, order], tails, axis=0)
    near = np.flatnonzero((lower <= 0) & (upper >= 0) | (upper < 0))
    if not len(near):
        return None
    place = near[0]
    return int(order[place]), float(away[:, order[place]].mean()), float(lower[place]), float(upper[place])
