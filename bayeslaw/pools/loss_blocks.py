"""Losses of all models on some samples at a time, and work on them that is spread over cores."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayeslaw.pools.pool_parts import Part

# Samples that are worked on together: their losses are small beside the table's, and take long beside a task's start.
SAMPLES = 1 << 16
UNDER_WAY = 3


@dataclass(frozen=True)
class LossColumns:
    """Losses less a common shift: what every rule passes through, and squares of sums over clusters want small.

    Attributes
    ----------
    nll
        Losses in nats, [sample, lm].
    weights
        Weight of each sample, [sample].
    shift
        What is taken off per unit of weight.
    """

    nll: np.ndarray
    weights: np.ndarray
    shift: float

    @property
    def models(self) -> int:
        """Number of models."""
        return self.nll.shape[1]

    def block(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the shifted losses of some samples, [lm, row]."""
        return np.ascontiguousarray((self.nll[rows] - self.shift * self.weights[rows, None]).T)

    def column(self, model: int) -> np.ndarray:
        """Return the shifted losses of a model, [sample]."""
        return self.nll[:, model] - self.shift * self.weights

    def means(self) -> np.ndarray:
        """Return the mean over models of each sample's shifted losses, [sample]."""
        return self.nll.mean(axis=1) - self.shift * self.weights


def stream[Block, Found](
    executor: Executor,
    makers: Iterable[Callable[[], Block]],
    parts: Sequence["Part"],
    work: Callable[[Block, "Part"], Found],
    add: Callable[["Part", Found], None],
) -> None:
    """Work on all pools for one block of samples after the other.

    Parameters
    ----------
    executor
        Runs makers and work.
    makers
        Each makes a block; a few blocks are there at a time.
    parts
        The pools.
    work
        Finds something of a block for the pools of a part.
    add
        Takes it in; called by this thread in the order of the blocks, so that sums are the same whatever ends first.
    """
    under_way: deque[list[Future[Found]]] = deque()

    def finish() -> None:
        for part, task in zip(parts, under_way.popleft(), strict=True):
            add(part, task.result())

    for maker in makers:
        made = executor.submit(maker)
        under_way.append([executor.submit(lambda made=made, part=part: work(made.result(), part)) for part in parts])
        del made
        if len(under_way) >= UNDER_WAY:
            finish()
    while under_way:
        finish()
