"""Which weight of some samples each member of a pool wins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.pools import win_kernels

if TYPE_CHECKING:
    from bayeslaw.pools.pool_parts import Part

BIT_WORDS = 256
MOST_BIT_MODELS = 128
LARGEST_BIT_WEIGHT = 1 << 20


@dataclass(frozen=True)
class WinCounts:
    """Who beats whom on some samples: by bits where no models tie and weights are whole numbers, by losses elsewhere.

    Attributes
    ----------
    bit_tables
        Arguments of `win_kernels.bit_wins`, of some samples each.
    tied, tied_weights
        Losses [lm, sample] and weights [sample] of the other samples.
    """

    bit_tables: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    tied: np.ndarray
    tied_weights: np.ndarray

    @classmethod
    def of(cls, losses: np.ndarray, weights: np.ndarray) -> "WinCounts":
        """Compare models by their losses, [lm, sample], on samples of some weights, [sample]."""
        whole = (weights == np.round(weights)).all() and weights.max() < LARGEST_BIT_WEIGHT
        tables, tied = [], np.ones(len(weights), dtype=bool)
        if whole and len(losses) <= MOST_BIT_MODELS:
            for start in range(0, len(weights), 64 * BIT_WORDS):
                rows = slice(start, start + 64 * BIT_WORDS)
                less, tied[rows] = _compare(losses[:, rows])
                tables.append((less, *_bit_planes(np.where(tied[rows], 0, weights[rows]).astype(np.int64))))
        tied &= weights > 0
        return cls(tables, np.ascontiguousarray(losses[:, tied]), weights[tied])

    def add_up(self, part: "Part") -> np.ndarray:
        """Return the weight that each member of a part's pools wins, [pool, slot]."""
        wins = np.zeros(part.pools.shape)
        for tables in self.bit_tables:
            win_kernels.bit_wins(*tables, part.pools, part.sizes, part.shared, wins)
        if len(self.tied_weights):
            win_kernels.tied_wins(self.tied, self.tied_weights, part.pools, part.sizes, wins)
        return wins


def _compare(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack who beats whom, [lm, lm, word], and say on which samples any two tie, [sample]."""
    columns = np.ascontiguousarray(columns)
    models, samples = columns.shape
    less = np.empty((models, models, -(-samples // 64)), dtype=np.uint64)
    tied = np.zeros(less.shape[2], dtype=np.uint64)
    win_kernels.compare_models(columns, less, tied)
    bits = np.unpackbits(tied.astype("<u8").view(np.uint8), bitorder="little")
    return less, bits[:samples].astype(bool)


def _bit_planes(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack whole-number weights bit by bit, [plane, word], with what a bit of each plane is worth, [plane]."""
    present, largest = weights > 0, int(weights.max())
    if (weights[present] == largest).all():
        bits, values = present[None, :], np.array([float(largest)])
    else:
        levels = np.arange(largest.bit_length())
        bits, values = (weights >> levels[:, None]) & 1 == 1, 2.0**levels
    packed = np.packbits(bits, axis=1, bitorder="little")
    planes = np.zeros((len(values), -(-len(weights) // 64) * 8), dtype=np.uint8)
    planes[:, : packed.shape[1]] = packed
    return planes.view("<u8").astype(np.uint64), values
