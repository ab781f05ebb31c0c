"""Where one linear map of all experts lies as the rows of one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class ExpertRows:
    """A tensor that holds one linear map of all experts as rows that follow each other, [experts x inner width, width].

    Attributes
    ----------
    name
        Its name.
    transposed
        Whether each expert's matrix lies as [in, out].
    """

    name: str
    transposed: bool = False

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape where the map's parameter is [expert, out, in]."""
        experts, outputs, inputs = shape
        return (experts * inputs, outputs) if self.transposed else (experts * outputs, inputs)

    def take(self, stored: np.ndarray, experts: int) -> np.ndarray:
        """Return the map, [expert, out, in], of the tensor."""
        whole = stored.reshape(experts, -1, stored.shape[-1])
        return whole.swapaxes(1, 2) if self.transposed else whole
