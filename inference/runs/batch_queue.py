"""Batches that wait to be scored elsewhere, handed out in shards that are cheap to lose."""

from collections import Counter, deque
from collections.abc import Sequence

from inference.runs.prepared import Plan

# A shard should last about so long: what a lost worker costs.
SHARD_SECONDS = 10.0
SHARD_BATCHES = 8
SHARD_POSITIONS = 65_536


class BatchQueue:
    """Batches that wait, in order.

    The first shards are single batches; later ones last as long as `SHARD_SECONDS` by what the last ones took, and get
    smaller where few batches are left for many workers.

    Parameters
    ----------
    plan
        The plan that the batches are of.
    batches
        Which of them to score.
    """

    def __init__(self, plan: Plan, batches: Sequence[int]) -> None:
        self._plan, self._waiting = plan, deque(batches)
        self._lost: Counter[int] = Counter()
        self._size = 1

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, workers: int) -> tuple[int, ...]:
        """Take a shard.

        Parameters
        ----------
        workers
            How many workers share what waits.

        Returns
        -------
        tuple of int
            Numbers of batches; none where none waits.
        """
        if not self._waiting:
            return ()
        first = self._plan.batches[self._waiting[0]]
        most = max(1, SHARD_POSITIONS // (first.rows * first.inputs))
        fair = max(1, len(self._waiting) // (2 * max(1, workers)))
        return tuple(self._waiting.popleft() for _ in range(min(self._size, most, fair)))

    def timed(self, seconds: Sequence[float]) -> None:
        """Note how long the batches of a shard took; the quickest counts, since others may have compiled."""
        self._size = int(min(SHARD_BATCHES, max(1.0, SHARD_SECONDS / max(min(seconds), 1e-3))))

    def put_back(self, shard: Sequence[int]) -> int:
        """Put back a shard whose worker was lost.

        Parameters
        ----------
        shard
            Its batches.

        Returns
        -------
        int
            How often one of them was lost.
        """
        self._waiting.extendleft(reversed(shard))
        self._lost.update(shard)
        return max(self._lost[batch] for batch in shard)
