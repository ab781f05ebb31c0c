"""What of a decoder that is read part by part fits into memory at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax.numpy as jnp
import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.decoder_parts import DecoderPart
from inference.runs.free_memory import free_memory, free_on_devices
from inference.runs.prepared import PreparedModel

# Room for the activations and logits of a batch, beside its hidden states before and after a part.
SPARE = 1 << 28
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class StreamRoom:
    """What there is room for.

    Attributes
    ----------
    read_ahead
        Whether a part may be read while the one before it is computed with.
    in_memory
        Whether all hidden states fit into memory besides.
    weight_bytes
        Most bytes of weights that are in memory at once: of two parts that follow each other, or of one.
    hidden_bytes
        Bytes of all hidden states.
    """

    read_ahead: bool
    in_memory: bool
    weight_bytes: int
    hidden_bytes: int


def stream_room(
    model: PreparedModel, parts: Sequence[DecoderPart], shapes: Mapping[int, tuple[int, ...]]
) -> StreamRoom:
    """Find out what fits into the memory that is free now.

    Parameters
    ----------
    model
        The model.
    parts
        The parts of its decoder.
    shapes
        Shape of each batch's hidden states.

    Returns
    -------
    StreamRoom
        What does.

    Raises
    ------
    InputError
        If not even the largest part fits, with one batch.
    """
    sizes = [part.count * jnp.dtype(model.dtype).itemsize for part in parts]
    hidden = [int(np.prod(shape)) * np.dtype(np.float32).itemsize for shape in shapes.values()]
    free, batch = free_memory(), 2 * max(hidden, default=0) + SPARE
    least = min([free, *free_on_devices()])
    if least < max(sizes) + batch:
        largest = parts[int(np.argmax(sizes))]
        problem = (
            f"{largest.name} of {model.name!r} takes {max(sizes) / MEBIBYTE:,.1f} MiB in {model.dtype} and a batch "
            f"{batch / MEBIBYTE:,.1f} MiB, and {least / MEBIBYTE:,.1f} MiB of memory are free"
        )
        shorter = "" if model.dtype != "float32" else ", or give --dtype bfloat16"
        raise InputError(problem, "memory for one layer and one batch", f"free memory, lower --batch-tokens{shorter}")
    two = max((sum(pair) for pair in pairwise(sizes)), default=0)
    read_ahead = least >= two + batch
    weights = two if read_ahead else max(sizes)
    in_memory = free >= weights + batch + sum(hidden)
    return StreamRoom(read_ahead, in_memory, weights, sum(hidden))
