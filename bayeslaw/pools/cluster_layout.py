"""Where each sample stands while pools are evaluated."""

from dataclasses import dataclass

import numpy as np

from bayeslaw.pools import kernels
from bayeslaw.pools.kernels import BLOCK

LONG_CLUSTER = 64
LANE_MULTIPLE = 8


@dataclass(frozen=True)
class ClusterLayout:
    """An order of the samples in which sums over clusters are sums over neighbours.

    Attributes
    ----------
    order
        Sample at each position, [position]; -1 where there is none.
    blocks, weights
        As `kernels.oracle_sums` takes them.
    """

    order: np.ndarray
    blocks: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, clusters: np.ndarray) -> "ClusterLayout":
        """Lay out the samples of a table.

        Parameters
        ----------
        weights
            Weight of each sample, [sample].
        clusters
            Number of each sample's cluster, [sample], from 0 without gaps.

        Returns
        -------
        ClusterLayout
            Long clusters one after the other, and short ones of about the same length side by side.
        """
        counts = np.bincount(clusters)
        order = np.argsort(clusters, kind="stable")
        starts = np.cumsum(counts) - counts
        totals = np.bincount(clusters, weights)
        parts: list[np.ndarray] = []
        blocks: list[tuple[int, ...]] = []
        lane_weights: list[np.ndarray] = []
        position, entry = 0, 0

        def add(rows: np.ndarray, kind: int, weight: np.ndarray) -> None:
            nonlocal position, entry
            blocks.append((kind, position, *rows.shape, entry))
            parts.append(rows.ravel())
            lane_weights.append(weight)
            position, entry = position + rows.size, entry + len(weight)

        for cluster in np.flatnonzero(counts > LONG_CLUSTER):
            rows = order[starts[cluster] : starts[cluster] + counts[cluster]]
            pieces = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
            for index, piece in enumerate(pieces):
                kind = kernels.LAST_PIECE if index == len(pieces) - 1 else kernels.PIECE
                add(piece[None, :], kind, totals[[cluster]])
        short = np.flatnonzero(counts <= LONG_CLUSTER)
        short = short[np.argsort(-counts[short], kind="stable")]
        while len(short):
            steps = int(counts[short[0]])
            lanes = max(LANE_MULTIPLE, BLOCK // steps // LANE_MULTIPLE * LANE_MULTIPLE)
            group, short = short[:lanes], short[lanes:]
            step = np.arange(steps)[:, None]
            rows = np.where(step < counts[group], order[np.minimum(starts[group] + step, len(order) - 1)], -1)
            uniform = steps == 1 and np.ptp(totals[group]) == 0
            add(rows, kernels.SINGLE if uniform else kernels.LANES, totals[group][:1] if uniform else totals[group])
        return cls(np.concatenate(parts), np.array(blocks, dtype=np.int64), np.concatenate(lane_weights))
