"""How a decoder and its batches lie on several devices: batches split by row, weights by head and by column."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bayeslaw.errors import InputError, shown
from bayeslaw.inputs.arguments import a_whole_number, accepts, optional
from inference.decoder.configuration import DecoderConfig
from inference.decoder.mixers import RECURRENT

DATA, TENSOR = "data", "tensor"
SPLIT_ROWS = ("query", "key", "value", "gate", "up", "embedding", "table", "head")
SPLIT_COLUMNS = ("output", "down")


def _devices(name: str, value: Any) -> list[Any]:
    listed = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    wrong = next((entry for entry in listed if not isinstance(entry, jax.Device)), None)
    if wrong is not None or not listed:
        problem = f"{name} is {shown(value)}" if wrong is None else f"{name} holds {shown(wrong)}"
        raise InputError(problem, "devices of JAX, at least one", f"use {name}=jax.devices()")
    return listed


@accepts(devices=optional(_devices), tensor=a_whole_number(lowest=1, suggested=1))
def make_mesh(devices: Sequence[Any] | None = None, *, tensor: int = 1) -> Mesh | None:
    """Arrange devices.

    Parameters
    ----------
    devices
        The devices; all of this process by default.
    tensor
        Over how many devices each weight is split; the others take rows of a batch each.

    Returns
    -------
    jax.sharding.Mesh or None
        The mesh with the axes ``data`` and ``tensor``; None for one device, where there is nothing to do.

    Raises
    ------
    InputError
        If they are no devices, or cannot be divided so.

    Examples
    --------
    >>> import jax, inference
    >>> mesh = inference.make_mesh(jax.devices()[:1])
    >>> mesh is None or mesh.size == 1
    True
    """
    devices = jax.devices() if devices is None else list(devices)
    if len(devices) % tensor:
        problem = f"{len(devices)} devices cannot be split into groups of {tensor}"
        raise InputError(problem, f"a divisor of {len(devices)}", "use 1")
    return None if len(devices) == 1 else Mesh(np.asarray(devices).reshape(-1, tensor), (DATA, TENSOR))


def check_splittable(config: DecoderConfig, parts: int) -> None:
    """Check that the weights of a decoder may be split over devices.

    Parameters
    ----------
    config
        The decoder.
    parts
        Over how many devices each weight is split.

    Raises
    ------
    InputError
        If there are several, and layers are recurrences, whose channels are not split.
    """
    recurrent = sorted(set(config.layer_mixer) & RECURRENT)
    if parts > 1 and recurrent:
        problem = f"layers of the kind {', '.join(recurrent)} cannot be split over {parts} devices"
        accepted = "1 for models with recurrences, with which devices share batches instead"
        raise InputError(problem, accepted, "leave tensor parallelism (--tensor-parallel) at 1")


def weight_sharding(mesh: Mesh, path: Sequence[str], shape: Sequence[int], config: DecoderConfig) -> NamedSharding:
    """Return where the parts of a weight lie.

    Parameters
    ----------
    mesh
        The devices.
    path
        The weight's place in the decoder, such as ``("blocks", "attention", "query", "weight")``.
    shape
        Its shape, layers first for blocks.
    config
        The decoder: heads are kept whole.

    Returns
    -------
    jax.sharding.NamedSharding
        Split over the tensor axis where that divides it, whole on every device elsewhere.
    """
    layer, leaf = ("head", "bias") if path[-1] == "head_bias" else (path[-2], path[-1])
    parts = mesh.shape[TENSOR]
    axis = len(shape) - (2 if leaf == "weight" else 1)
    whole = {"query": config.heads, "key": config.key_value_heads, "value": config.key_value_heads}
    if layer in SPLIT_COLUMNS:
        axis, divided = len(shape) - 1, leaf == "weight"
        units = config.heads if layer == "output" else shape[axis]
    else:
        divided = layer in SPLIT_ROWS
        units = whole.get(layer, shape[axis])
    spec: list[str | None] = [None] * len(shape)
    if divided and units % parts == 0 and shape[axis] % parts == 0:
        spec[axis] = TENSOR
    return NamedSharding(mesh, PartitionSpec(*spec))


def row_sharding(mesh: Mesh) -> NamedSharding:
    """Return where the rows of a batch lie: split over the data axis."""
    return NamedSharding(mesh, PartitionSpec(DATA))
