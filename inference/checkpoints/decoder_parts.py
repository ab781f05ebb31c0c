"""The parts of a decoder in the order that texts go through them, each read from a checkpoint when it is asked for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from inference.checkpoints.checkpoint import Checkpoint
from inference.checkpoints.sharding import weight_sharding
from inference.checkpoints.weight_memory import WeightMemory
from inference.checkpoints.weights import check_tied_head, fill, plan_weights
from inference.decoder.configuration import DecoderConfig
from inference.decoder.layer_plan import SHARED, BlockKind
from inference.decoder.stored_pieces import Piece

# What the first block is given is made of these; the last part has all else that lies outside of blocks.
EMBEDDING = ("embedding", "positions", "embedding_norm", "project_in", "layer_table", "streams")
# The table of embeddings that layers have besides may be larger than all else: some rows of it are a part.
LAYER_TABLE = ("layer_table", "table", "weight")


@dataclass(frozen=True)
class PartParameter:
    """A parameter of one part.

    Attributes
    ----------
    path
        Its place in the module that the part fills: a block, or the decoder; behind ``"shared"`` that in what a block
        shares with others.
    variable
        The parameter in the whole decoder; only its kind counts.
    shape
        Its shape.
    pieces
        What fills it.
    """

    path: tuple[Any, ...]
    variable: nnx.Variable
    shape: tuple[int, ...]
    pieces: list[Piece]


@dataclass(frozen=True)
class DecoderPart:
    """A part of a decoder: what comes before its blocks, one block, or what comes after them.

    What comes before is one part, after some for the rows of a table of embeddings of layers where there is one.

    Attributes
    ----------
    checkpoint, config
        The decoder that it is a part of.
    name
        What it is called in messages.
    parameters
        Its parameters.
    layer
        Number of the block, from 0; None for another part.
    kind
        What the block is made of.
    first_row
        Number of the first row of the table; None for another part.
    """

    checkpoint: Checkpoint
    config: DecoderConfig
    name: str
    parameters: tuple[PartParameter, ...]
    layer: int | None = None
    kind: BlockKind | None = None
    first_row: int | None = None

    @property
    def count(self) -> int:
        """Number of its parameters."""
        return sum(math.prod(one.shape) for one in self.parameters)

    def read(self, dtype: np.dtype, memory: WeightMemory, mesh: Mesh | None = None) -> nnx.State:
        """Read it.

        Parameters
        ----------
        dtype
            Type of the weights.
        memory
            What it is read into.
        mesh
            Devices that each have all of it; the first device by default.

        Returns
        -------
        flax.nnx.State
            Its parameters by their paths.

        Raises
        ------
        InputError
            If a tensor cannot be read, or holds values that are not finite in `dtype`.
        """
        filled = {}
        for one in self.parameters:
            values = fill(self.checkpoint, one.pieces, one.shape, dtype=dtype, stacked=False, array=memory.array)
            path = [str(step) for step in one.path]
            place = None if mesh is None else weight_sharding(mesh, path, one.shape, self.config)
            filled[one.path] = one.variable.replace(jax.device_put(values, place, may_alias=True))
        return nnx.from_flat_state(filled)


def decoder_parts(checkpoint: Checkpoint) -> list[DecoderPart]:
    """Find the parts of a checkpoint's decoder; nothing is read.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.

    Returns
    -------
    list of DecoderPart
        What comes before the blocks, each block, and what comes after them. An embedding that is the head as well is in
        the first and in the last. Rows of a table of embeddings of layers come before all these, as many at a time as
        make no larger part than the largest of the others.

    Raises
    ------
    InputError
        If the family is not supported, or the tensors are not those of the decoder.
    """
    config, _, variables, pieces = plan_weights(checkpoint)
    if config.tied:
        check_tied_head(checkpoint, pieces["embedding", "weight"][0].sources[0].name)
    outer = {path: variable for path, variable in variables.items() if path[0] not in ("blocks", SHARED)}
    first = [path for path in outer if path[0] in EMBEDDING and path != LAYER_TABLE]
    last = [path for path in outer if path[0] not in EMBEDDING or (config.tied and path[0] == "embedding")]

    def outside(name: str, paths: list[tuple]) -> DecoderPart:
        found = tuple(PartParameter(path, outer[path], tuple(outer[path].shape), pieces[path]) for path in paths)
        return DecoderPart(checkpoint, config, name, found)

    blocks: dict[tuple[int, int], list[tuple]] = {}
    # What layers share is read anew for each of them: at most one has it in memory.
    shared: dict[int, list[PartParameter]] = {}
    for path, variable in variables.items():
        if path[0] == "blocks":
            blocks.setdefault((path[1], path[2]), []).append(path)
        if path[0] == SHARED:
            found = PartParameter((SHARED, *path[2:]), variable, tuple(variable.shape), pieces[path])
            shared.setdefault(path[1], []).append(found)
    parts = [outside("the embedding", first)]
    for layer, run, place, repeat in _layers(config):
        found = tuple(
            PartParameter(path[3:], variables[path], tuple(variables[path].shape[1:]), [pieces[path][repeat]])
            for path in blocks.get((run, place), [])
        )
        kind = config.layer_plan[run].unit[place]
        found = (*found, *shared.get(kind.memory, []))
        parts.append(DecoderPart(checkpoint, config, f"layer {layer + 1}", found, layer, kind))
    parts.append(outside("the head", last))
    if LAYER_TABLE not in outer:
        return parts
    whole = outside("the embeddings of layers", [LAYER_TABLE])
    return [*_table_parts(whole, most=max(part.count for part in parts)), *parts]


def _table_parts(whole: DecoderPart, *, most: int) -> Iterator[DecoderPart]:
    """Cut a table into parts of as many rows as have at most so many numbers, and one row at least."""
    (table,) = whole.parameters
    count, width = table.shape
    ((source,),) = (piece.sources for piece in table.pieces)
    step = max(1, most // width)
    for first in range(0, count, step):
        rows = range(first, min(first + step, count))
        shape, pieces = (len(rows), width), [Piece((replace(source, rows=rows),))]
        found = replace(table, shape=shape, pieces=pieces)
        yield replace(whole, parameters=(found,), first_row=first)


def _layers(config: DecoderConfig) -> Iterator[tuple[int, int, int, int]]:
    """Yield each layer's number, from 0, with its run, its place in the unit and its repeat."""
    for number, run in enumerate(config.layer_plan):
        for repeat in range(run.repeats):
            for place in range(len(run.unit)):
                yield run.first + repeat * len(run.unit) + place, number, place, repeat
