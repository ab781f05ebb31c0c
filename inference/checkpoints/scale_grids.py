"""Which numbers of a weight share a scale: found from the shape of the scales, among those that a form may have."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.scaled_tensors import CODES, ScaledTensor, plain_scales, powers_of_two

Blocks = Callable[[Sequence[int]], tuple[int, ...]]
# How scales may be stored, and what makes numbers of them.
SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys(("float32", "bfloat16", "float16", "float8_e8m0fnu"), plain_scales),
    # Exponents are kept as plain bytes where a library has no type for them.
    "uint8": powers_of_two,
}
AGAIN = "copy or download the checkpoint again, or use the one it was made from"


def whole_tensor(shape: Sequence[int]) -> tuple[int, ...]:
    """One scale for a matrix of the last two dimensions."""
    return (*(1 for _ in shape[:-2]), *shape[-2:])


def channel(shape: Sequence[int]) -> tuple[int, ...]:
    """One scale for each output."""
    return (*(1 for _ in shape[:-1]), shape[-1])


def block(rows: int, columns: int) -> Blocks:
    """One scale for each block of so many outputs and inputs."""
    return lambda shape: (*(1 for _ in shape[:-2]), rows, columns)


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return tuple(shape)


def fit_scales(
    name: str, stored: TensorPlace, codes: str, scales: TensorPlace, *, ways: Sequence[Blocks], where: str
) -> ScaledTensor:
    """Join codes and their scales.

    Parameters
    ----------
    name
        The tensor, for messages.
    stored
        Its codes.
    codes
        How they are read: a name in `inference.checkpoints.scaled_tensors.CODES`.
    scales
        Its scales.
    ways
        How scales may be shared; the first that has their shape is taken.
    where
        The checkpoint, for messages.

    Returns
    -------
    ScaledTensor
        The tensor.

    Raises
    ------
    InputError
        If the scales are of another shape, or no numbers.
    """
    if len(stored.shape) < 2:
        problem = f"{name} in {where} has scales and the shape {list(stored.shape)}"
        raise InputError(problem, "quantised matrices", AGAIN)
    *rest, last = stored.shape
    shape = (*rest, last * CODES[codes].per_byte)
    if scales.dtype not in SCALES:
        problem = f"the scales of {name} in {where} are stored as {scales.dtype}"
        raise InputError(problem, f"scales in {', '.join(SCALES)}", AGAIN)
    grids = []
    for way in ways:
        blocks = way(shape)
        grid = tuple(math.ceil(size / step) for size, step in zip(shape, blocks, strict=True))
        if _without_ones(grid) == _without_ones(scales.shape):
            return ScaledTensor(stored, codes, replace(scales, shape=grid), blocks, SCALES[scales.dtype])
        grids.append(list(grid))
    problem = f"the scales of {name} in {where} are {list(scales.shape)}, for {list(shape)} numbers"
    expected = " or ".join(map(str, dict.fromkeys(map(str, grids))))
    raise InputError(problem, f"scales of the shape {expected}", AGAIN)
