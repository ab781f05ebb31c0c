"""Draws of a posterior, and those of independent blocks put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayeslaw.posterior.density import Block

ANY_OF_THEM = ("diverging", "reached_max_treedepth")
"""Statistics of which one draw that stands for several has any."""


@dataclass(frozen=True)
class Draws:
    """Draws of all chains.

    Parameters
    ----------
    position
        Flat positions, shape ``[chain, draw, coordinate]``.
    statistics
        ArviZ sampler statistics by name, each of shape ``[chain, draw]``.
    blocks
        Draws of each of the blocks that these are put together from, by name.
    """

    position: np.ndarray
    statistics: dict[str, np.ndarray]
    blocks: Mapping[str, "Draws"] = field(default_factory=dict)

    @property
    def flat(self) -> np.ndarray:
        """Positions of all chains, one after another, shape ``[chain * draw, coordinate]``."""
        return self.position.reshape(-1, self.position.shape[-1])

    @property
    def divergences(self) -> int:
        """Number of divergent trajectories."""
        return int(self.statistics["diverging"].sum())

    def thinned(self, thin: int) -> "Draws":
        """Keep the last of every `thin` successive draws of each chain.

        Parameters
        ----------
        thin
            How many draws make one; the number of draws is a multiple of it.

        Returns
        -------
        Draws
            The draws kept. What went wrong in any of the draws that one stands for (`ANY_OF_THEM`) went wrong in it:
            thinning hides no divergence.
        """
        if thin == 1:
            return self

        def kept(name: str, array: np.ndarray) -> np.ndarray:
            runs = array.reshape(len(array), -1, thin, *array.shape[2:])
            return runs.any(axis=2) if name in ANY_OF_THEM else runs[:, :, -1]

        statistics = {name: kept(name, array) for name, array in self.statistics.items()}
        return Draws(kept("", self.position), statistics)

    def by_chain(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Bring what was worked out at `flat` to the shape ``[chain, draw, ...]``.

        Parameters
        ----------
        arrays
            Arrays by name, each of shape ``[chain * draw, ...]``.

        Returns
        -------
        dict
            The arrays by name.
        """
        chains = self.position.shape[:2]
        return {name: np.asarray(array).reshape(*chains, *array.shape[1:]) for name, array in arrays.items()}


def _sum(parts: np.ndarray) -> np.ndarray:
    return parts.sum(axis=0)


def _largest(parts: np.ndarray) -> np.ndarray:
    return parts.max(axis=0)


def _smallest(parts: np.ndarray) -> np.ndarray:
    return parts.min(axis=0)


JOINED = {
    "diverging": lambda parts: parts.any(axis=0),
    "n_steps": _largest,
    "acceptance_rate": lambda parts: parts.mean(axis=0),
    "energy": _sum,
    "lp": _sum,
    "tree_depth": _largest,
    "reached_max_treedepth": lambda parts: parts.any(axis=0),
    "step_size": _smallest,
}
"""How a statistic of a whole draw follows from those of its blocks, [block, chain, draw]."""


def join_blocks(blocks: Sequence[Block], drawn: Sequence[Draws]) -> Draws:
    """Put the draws of independent blocks together.

    Parameters
    ----------
    blocks
        The blocks.
    drawn
        Draws of each.

    Returns
    -------
    Draws
        Whole positions. Log densities and energies are sums over blocks, as densities of independent blocks multiply;
        a draw diverged, or reached the largest tree, where one of its blocks did; the acceptance rate is the mean over
        blocks, numbers of steps and depths are the largest, step sizes the smallest.
    """
    chains = drawn[0].position.shape[:2]
    position = np.empty((*chains, sum(len(block.coordinates) for block in blocks)))
    for block, draws in zip(blocks, drawn, strict=True):
        position[..., list(block.coordinates)] = draws.position
    names = [name for name in JOINED if all(name in draws.statistics for draws in drawn)]
    statistics = {name: JOINED[name](np.stack([draws.statistics[name] for draws in drawn])) for name in names}
    return Draws(position, statistics, {block.name: draws for block, draws in zip(blocks, drawn, strict=True)})
