"""How blocks of different kinds are cut into runs, each of which is compiled once whatever its length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Longer than any pattern of layers, and short enough that no number of layers takes long to cut.
LONGEST_UNIT = 32
# Where a decoder has the modules whose weights several layers share.
SHARED = "shared"


class BlockKind(NamedTuple):
    """What a block is made of.

    Attributes
    ----------
    mixer
        A name in `inference.decoder.mixers.MIXERS`.
    feed_forward
        A name in `inference.decoder.feed_forwards.FEED_FORWARDS`.
    bare
        Whether the mixer is given hidden states as they are, where those of other blocks are normed first.
    output_biased
        Whether the mixer's output has a bias, where that of other blocks has none.
    memory
        Number of what the mixer hands on to later blocks beside hidden states, or reads of what an earlier one did; -1
        for none.
    settings
        Fields of the decoder's configuration, and the values that they have in these blocks, where others differ.
    """

    mixer: str
    feed_forward: str
    bare: bool = False
    output_biased: bool = False
    memory: int = -1
    settings: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class LayerRun:
    """Neighbouring layers that repeat one unit.

    Attributes
    ----------
    first
        Number of the first layer, from 0.
    unit
        Kinds of the blocks that are repeated.
    repeats
        How many times they come.
    """

    first: int
    unit: tuple[BlockKind, ...]
    repeats: int

    def layers(self, place: int) -> range:
        """Return the numbers of the layers at one place of the unit, in their order."""
        return range(self.first + place, self.first + len(self.unit) * self.repeats, len(self.unit))


def plan_layers(kinds: Sequence[BlockKind]) -> tuple[LayerRun, ...]:
    """Cut layers into runs with as few blocks to compile as there can be.

    Parameters
    ----------
    kinds
        Kind of each layer.

    Returns
    -------
    tuple of LayerRun
        Runs that follow each other. The lengths of their units, at most 32 each, add up to the least that any cut has;
        among cuts of one sum the one with fewest runs is taken.

    Examples
    --------
    >>> from inference.decoder.layer_plan import BlockKind, plan_layers
    >>> dense, routed = BlockKind("attention", "mlp"), BlockKind("attention", "experts")
    >>> [(run.first, len(run.unit), run.repeats) for run in plan_layers([dense] + [routed] * 5)]
    [(0, 1, 1), (1, 1, 5)]
    >>> [(run.first, len(run.unit), run.repeats) for run in plan_layers([dense, routed] * 3)]
    [(0, 2, 3)]
    """
    count = len(kinds)
    # For the layers from each one on: blocks to compile, runs, and the first of the runs.
    best: list[tuple[int, int, tuple[LayerRun, ...]]] = [(0, 0, ())] * (count + 1)
    # How often a unit of each size comes from each layer on.
    repeated = {size: [1] * (count + 1) for size in range(1, LONGEST_UNIT + 1)}
    for first in range(count - 1, -1, -1):
        options = []
        for size in range(1, min(count - first, LONGEST_UNIT) + 1):
            unit, following = tuple(kinds[first : first + size]), first + size
            if tuple(kinds[following : following + size]) == unit:
                repeated[size][first] += repeated[size][following]
            repeats = repeated[size][first]
            blocks, runs, _ = best[first + size * repeats]
            options.append((size + blocks, 1 + runs, (LayerRun(first, unit, repeats),)))
        best[first] = min(options, key=lambda option: option[:2])
    plan: list[LayerRun] = []
    while (first := sum(len(run.unit) * run.repeats for run in plan)) < count:
        plan += best[first][2]
    return tuple(plan)


def sharers(plan: Sequence[LayerRun], memory: int) -> list[int]:
    """Return the numbers of the layers of one memory, from 0, in their order.

    Parameters
    ----------
    plan
        The runs of a decoder.
    memory
        Number of the memory.

    Returns
    -------
    list of int
        The layers.
    """
    places = ((run, place) for run in plan for place, kind in enumerate(run.unit) if kind.memory == memory)
    return sorted(layer for run, place in places for layer in run.layers(place))


class WeightPlace(NamedTuple):
    """Where a parameter belongs.

    Attributes
    ----------
    stem
        Names of the modules that it lies in, within its block or within the decoder.
    leaf
        Its name there: ``"weight"`` or ``"bias"``.
    layers
        Numbers of the layers that it holds one after the other, or None outside of blocks.
    first
        Number of the first layer that reads it, of what several layers share; None for all else.
    """

    stem: tuple[str, ...]
    leaf: str
    layers: range | None
    first: int | None = None


def place_of(path: Sequence[object], plan: Sequence[LayerRun]) -> WeightPlace:
    """Say which layers a parameter of a decoder belongs to.

    Parameters
    ----------
    path
        Its place in `inference.decoder.transformer.Decoder`, such as
        ``("blocks", 0, 0, "attention", "query", "weight")``: run, place within the unit, and within the block.
    plan
        The runs of the decoder.

    Returns
    -------
    WeightPlace
        The place; that of what layers share begins with ``"shared"``, whatever its number.
    """
    if path[0] == SHARED:
        _, number, *stem, leaf = path
        return WeightPlace((SHARED, *map(str, stem)), str(leaf), None, sharers(plan, int(str(number)))[0])
    if path[0] != "blocks":
        return WeightPlace(tuple(map(str, path[:-1])), str(path[-1]), None)
    _, run, place, *stem, leaf = path
    return WeightPlace(tuple(map(str, stem)), str(leaf), plan[int(str(run))].layers(int(str(place))))
