"""Queries that grow with their position, so that attention stays sharp in long texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayeslaw.errors import InputError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class QueryGrowth:
    """How much queries grow: by ``1 + rate log(1 + floor(position / step))``, or by ``(1 + position / step) ** rate``.

    Attributes
    ----------
    rate
        Factor on the logarithm, or exponent.
    step
        Positions within which nothing changes, those that the model was first made for.
    first
        Number of the first position.
    unrotated
        Whether they grow in layers without rotary positions alone.
    power
        Whether they grow by the power.

    Raises
    ------
    InputError
        If the rate is no number above 0, the step none of at least 1, or the first position none of at least 0.

    Examples
    --------
    >>> QueryGrowth(rate=0.1, step=2).factors(5).round(3).tolist()
    [1.0, 1.0, 1.069000005722046, 1.069000005722046, 1.1100000143051147]
    """

    rate: float
    step: int
    first: int = 0
    unrotated: bool = False
    power: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0 and self.step >= 1 and self.first >= 0):
            settings = f"the rate {self.rate!r}, the step {self.step!r} and the first position {self.first!r}"
            accepted = "a rate above 0, a step of at least 1 and a position of at least 0"
            raise InputError(f"the growth of queries has {settings}", accepted, "correct config.json")

    def factors(self, length: int) -> np.ndarray:
        """Return the factor on the query at each position, [length], float32."""
        # Families are listed without it.
        import numpy as np

        positions = np.arange(self.first, self.first + length, dtype=np.float32)
        if self.power:
            return np.exp(np.float32(self.rate) * np.log1p(positions / np.float32(self.step)))
        steps = np.floor(positions / np.float32(self.step))
        return np.float32(1) + np.float32(self.rate) * np.log(np.float32(1) + steps)
