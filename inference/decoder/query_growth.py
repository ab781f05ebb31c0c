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
    """How much queries grow: by ``1 + rate log(1 + floor(position / step))``, positions from 0.

    Attributes
    ----------
    rate
        Factor on the logarithm.
    step
        Positions within which nothing changes, those that the model was first made for.

    Raises
    ------
    InputError
        If the rate is no number above 0, or the step none of at least 1.

    Examples
    --------
    >>> QueryGrowth(rate=0.1, step=2).factors(5).round(3).tolist()
    [1.0, 1.0, 1.069000005722046, 1.069000005722046, 1.1100000143051147]
    """

    rate: float
    step: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0 and self.step >= 1):
            problem = f"the growth of queries has the rate {self.rate!r} and the step {self.step!r}"
            raise InputError(problem, "a rate above 0 and a step of at least 1", "correct config.json")

    def factors(self, length: int) -> np.ndarray:
        """Return the factor on the query at each position, [length], float32."""
        # Families are listed without it.
        import numpy as np

        steps = np.floor(np.arange(length, dtype=np.float32) / np.float32(self.step))
        return np.float32(1) + np.float32(self.rate) * np.log(np.float32(1) + steps)
