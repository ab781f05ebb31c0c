"""The sampling error that pools share, since all of them are scored on the same clusters of samples.

With ``e[p, c]`` the residual sums of the ratio estimator over clusters (see `bayeslaw.clustered_standard_error`), the
losses of pools p and q have the sampling covariance ``C / (C - 1) sum_c e[p, c] e[q, c] / (sum_s weight[s]) ** 2``. It
is held as a factor of pools times directions: the leading directions of a spread of the pools, in the space of
clusters, onto which all pools are projected in one pass over the samples. What a pool has outside of them is missing
from the factor, so that the squares of its row never exceed the pool's variance.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bayeslaw.pools.loss_blocks import SAMPLES, LossColumns, stream

if TYPE_CHECKING:
    from bayeslaw.pools.pool_parts import Part

MOST_DIRECTIONS = 16
SHARE_HELD = 0.999
POOLS_LOOKED_AT = 256
# Residuals of the pools looked at that are kept from the first pass over the samples to the second.
KEPT = 1 << 22
# Residuals of them that are worked out together.
TOGETHER = 1 << 20

PoolLosses = Callable[["Block", int], np.ndarray]
Products = Callable[["Block", np.ndarray], Callable[["Part"], np.ndarray]]


@dataclass(frozen=True)
class Block:
    """The samples of some clusters.

    Attributes
    ----------
    rows
        Which samples, cluster by cluster.
    clusters
        Number of each sample's cluster among those of the block, [row].
    cluster_weights
        Weights of the clusters, [cluster].
    weights
        Weight of each sample, [row].
    losses
        Losses, [lm, row].
    """

    rows: np.ndarray
    clusters: np.ndarray
    cluster_weights: np.ndarray
    weights: np.ndarray
    losses: np.ndarray


class Blocks(Protocol):
    """Samples cluster by cluster."""

    @property
    def count(self) -> int:
        """Number of clusters."""
        ...

    @property
    def total(self) -> float:
        """Weight of all samples."""
        ...

    def makers(self, size: int) -> Iterator[Callable[[], Block]]:
        """Yield what makes one block of about `size` samples after the other; a cluster is never cut."""
        ...


@dataclass(frozen=True)
class Clusters:
    """Samples cluster by cluster, some clusters at a time.

    Parameters
    ----------
    columns
        The losses.
    clusters
        Number of each sample's cluster, [sample], from 0 without gaps.
    """

    columns: LossColumns
    clusters: np.ndarray
    order: np.ndarray = field(init=False)
    ends: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", np.argsort(self.clusters, kind="stable"))
        object.__setattr__(self, "ends", np.cumsum(np.bincount(self.clusters)))

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.ends)

    @property
    def total(self) -> float:
        """Weight of all samples."""
        return float(self.columns.weights.sum())

    def makers(self, size: int) -> Iterator[Callable[[], Block]]:
        """Yield what makes one block of about `size` samples after the other; a cluster is never cut."""
        first, start = 0, 0
        while first < self.count:
            last = max(int(np.searchsorted(self.ends, start + size, side="right")), first + 1)
            stop = int(self.ends[last - 1])
            yield lambda first=first, last=last, start=start, stop=stop: self._block(first, last, start, stop)
            first, start = last, stop

    def _block(self, first: int, last: int, start: int, stop: int) -> Block:
        rows = self.order[start:stop]
        clusters, weights = self.clusters[rows] - first, self.columns.weights[rows]
        of_clusters = np.bincount(clusters, weights, minlength=last - first)
        return Block(rows, clusters, of_clusters, weights, self.columns.block(rows))


def factor_of(
    blocks: Blocks,
    losses_of: PoolLosses,
    loss: np.ndarray,
    *,
    parts: Sequence["Part"],
    products: Products,
    executor: Executor,
) -> np.ndarray | None:
    """Factor the sampling covariance of pools.

    Parameters
    ----------
    blocks
        The samples.
    losses_of
        Gives the losses of a pool on the samples of a block, [row], from its position.
    loss
        Loss of each pool per unit of weight, [pool].
    parts
        All pools.
    products
        Makes, of a block and directions, [direction, row], what multiplies the losses of a part's pools with these,
        [pool, direction].
    executor
        Runs the parts.

    Returns
    -------
    np.ndarray or None
        The factor, [pool, direction], in the unit of `loss`; None for one cluster.
    """
    count = blocks.count
    if count == 1:
        return None
    looked_at = np.unique(np.linspace(0, len(loss) - 1, min(len(loss), POOLS_LOOKED_AT)).round().astype(int))
    pools = Residuals(blocks, losses_of, looked_at, loss[looked_at])
    turned = find_directions(pools.products(executor, parts))
    whole, moments = np.zeros((len(loss), len(turned))), np.zeros(len(turned))

    def made(make: Callable[[], tuple[Block, np.ndarray]]) -> tuple[Callable[["Part"], np.ndarray], np.ndarray]:
        block, residuals = make()
        on_samples = np.ascontiguousarray((turned @ residuals)[:, block.clusters])
        return products(block, on_samples), on_samples @ block.weights

    def add(part: "Part", found: tuple[np.ndarray, np.ndarray]) -> None:
        nonlocal moments
        whole[part.rows] += found[0]
        if part is parts[0]:
            moments = moments + found[1]

    makers = (lambda make=make: made(make) for make in pools.makers())
    stream(executor, makers, parts, lambda block, part: (block[0](part), block[1]), add)
    return (whole - loss[:, None] * moments) * np.sqrt(count / (count - 1)) / blocks.total


class Residuals:
    """Residual sums over clusters of some pools, some clusters at a time.

    Parameters
    ----------
    blocks
        The samples.
    losses_of
        Gives the losses of a pool on the samples of a block, [row], from its position.
    looked_at, loss
        Positions of the pools, and their losses per unit of weight, [pool].
    """

    def __init__(self, blocks: Blocks, losses_of: PoolLosses, looked_at: np.ndarray, loss: np.ndarray) -> None:
        self.blocks, self.losses_of, self.looked_at, self.loss = blocks, losses_of, looked_at, loss
        self._kept: list[np.ndarray] | None = [] if len(looked_at) * blocks.count <= KEPT else None

    def makers(self) -> Iterator[Callable[[], tuple[Block, np.ndarray]]]:
        """Yield what makes one block and its residuals, [pool, cluster], after the other."""
        size = min(SAMPLES, max(TOGETHER // len(self.looked_at), 1))
        for place, maker in enumerate(self.blocks.makers(size)):
            yield lambda place=place, maker=maker: self._made(place, maker())

    def _made(self, place: int, block: Block) -> tuple[Block, np.ndarray]:
        if self._kept is not None and place < len(self._kept):
            return block, self._kept[place]
        residuals = np.empty((len(self.looked_at), len(block.cluster_weights)))
        for row, pool in enumerate(self.looked_at):
            sums = self.losses_of(block, pool)
            if len(sums) > residuals.shape[1]:
                sums = np.bincount(block.clusters, sums, minlength=residuals.shape[1])
            residuals[row] = sums - self.loss[row] * block.cluster_weights
        return block, residuals

    def products(self, executor: Executor, parts: Sequence["Part"]) -> np.ndarray:
        """Multiply the residuals of each pool with those of each other one, [pool, pool]; keep them where few."""
        products, kept = np.zeros((len(self.looked_at),) * 2), []

        def add(part: "Part", found: tuple[np.ndarray, np.ndarray]) -> None:
            products[:] += found[1]
            if self._kept is not None:
                kept.append(found[0])

        # Not spread over parts: there are few of these pools.
        stream(executor, self.makers(), parts[:1], lambda made, part: (made[1], made[1] @ made[1].T), add)
        self._kept = kept if self._kept is not None else None
        return products


def find_directions(products: np.ndarray) -> np.ndarray:
    """Find the directions in the space of clusters along which the losses of pools vary most.

    Parameters
    ----------
    products
        Products of the residual sums of the pools looked at, [pool, pool].

    Returns
    -------
    np.ndarray
        How much of each pool's residuals makes a direction, [direction, pool], the leading direction first: as many
        orthonormal ones as hold `SHARE_HELD` of the variance of these pools, at most `MOST_DIRECTIONS`.
    """
    values, vectors = np.linalg.eigh(products)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    # Below, there is nothing but rounding.
    present = int((values > 1e-14 * values[0]).sum())
    held = 1 + int(np.searchsorted(np.cumsum(values), SHARE_HELD * values.sum()))
    number = max(1, min(held, present, MOST_DIRECTIONS))
    turned = vectors[:, :number].T / np.sqrt(np.maximum(values[:number, None], 1e-300))
    # The sum of all residuals lies on its side: for a direction it is the sum of its vector, times a positive value.
    return turned * np.where(vectors[:, :number].sum(axis=0) < 0, -1.0, 1.0)[:, None]
