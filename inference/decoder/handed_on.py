"""What one block hands on to the next: hidden states, and what stands beside them."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayeslaw.errors import InputError
from inference.decoder.configuration import DecoderConfig
from inference.decoder.layer_plan import BlockKind
from inference.decoder.layers import FIRST_STATES
from inference.decoder.mixers import MIXERS
from inference.decoder.stream_settings import AlternatingUpdates, LayerEmbeddings

STREAMS, EMBEDDINGS = "streams", "embeddings"


class Handed(NamedTuple):
    """What a block is given and gives.

    Attributes
    ----------
    x
        Hidden states, [row, position, width], float32.
    beside
        By name what else blocks hand on, each [row, position, width], float32; the same names from the first block to
        the last. Most decoders have none.
    """

    x: jax.Array
    beside: Mapping[str, jax.Array]


def memory_name(part: str, number: int) -> str:
    """Return the name of a part of what a mixer hands on, by the number of its memory."""
    return f"{part} {number}"


def widths_beside(config: DecoderConfig) -> dict[str, int]:
    """Return how wide each thing is that blocks hand on beside hidden states.

    Parameters
    ----------
    config
        The decoder.

    Returns
    -------
    dict
        Widths by name, in the order in which they are packed: further streams, embeddings of all layers, what the first
        block is given, and what the layer plan says that mixers hand on.

    Raises
    ------
    InputError
        If a layer reads what no earlier one hands on.
    """
    widths = {}
    if updates := config.optional_part(AlternatingUpdates):
        widths[STREAMS] = (updates.streams - 1) * config.width
    if embeddings := config.optional_part(LayerEmbeddings):
        widths[EMBEDDINGS] = embeddings.width * config.depth
    kinds = [kind for run in config.layer_plan for kind in run.unit]
    if any(getattr(MIXERS.get(kind.mixer), "reads_first_states", False) for kind in kinds):
        widths[FIRST_STATES] = config.width
    for kind in kinds:
        read, kept = (_of_mixer(config, kind, what) for what in ("read_widths", "kept_widths"))
        if any(widths.get(name) != width for name, width in read.items()):
            problem = f"a layer reads {', '.join(read)} of the widths {[*read.values()]}, and there are {widths}"
            raise InputError(problem, "what an earlier layer hands on", "correct config.json")
        widths |= kept
    return widths


def _of_mixer(config: DecoderConfig, kind: BlockKind, what: str) -> dict[str, int]:
    declared = getattr(MIXERS.get(kind.mixer), what, None)
    widths = {} if declared is None else declared(config.of_kind(kind))
    return {memory_name(part, kind.memory): width for part, width in widths.items()}


def packed_width(config: DecoderConfig) -> int:
    """Return the width of all that blocks hand on, side by side."""
    return config.width + sum(widths_beside(config).values())


def pack(config: DecoderConfig, handed: Handed) -> jax.Array:
    """Put what blocks hand on side by side, [row, position, packed width], float32."""
    parts = [handed.x, *(handed.beside[name] for name in widths_beside(config))]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, -1)


def unpack(config: DecoderConfig, packed: jax.Array) -> Handed:
    """Take apart what `pack` put side by side."""
    beside, first = {}, config.width
    for name, width in widths_beside(config).items():
        beside[name] = packed[..., first : first + width]
        first += width
    return Handed(packed[..., : config.width] if beside else packed, beside)
