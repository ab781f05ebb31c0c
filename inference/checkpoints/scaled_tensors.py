"""Weights stored as short codes and scales: a number is what its code says times the scale of its block."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import ml_dtypes
import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.stored_tensors import DecodedTensor

# The sixteen numbers of FP4 (E2M1) in the order of their codes, OCP Microscaling Formats 1.0, section 5.3.3.
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
_BYTES = np.arange(256, dtype=np.uint8)


def _table(kind: type) -> np.ndarray:
    return _BYTES.view(kind).astype(np.float32)


@dataclass(frozen=True)
class Codes:
    """How the bytes of a tensor are read.

    Attributes
    ----------
    table
        The number, or the numbers one after the other, of each byte: float32 [256, numbers].
    """

    table: np.ndarray

    @property
    def per_byte(self) -> int:
        """Numbers that share a byte."""
        return self.table.shape[1]

    def numbers(self, stored: np.ndarray) -> np.ndarray:
        """Return the numbers of bytes [..., byte]: float32 [..., number]."""
        found = self.table[stored.view(np.uint8)]
        return found.reshape(*stored.shape[:-1], -1)


# Of two numbers that share a byte the first lies in its lower half.
CODES: dict[str, Codes] = {
    "float8_e4m3fn": Codes(_table(ml_dtypes.float8_e4m3fn)[:, None]),
    "float8_e5m2": Codes(_table(ml_dtypes.float8_e5m2)[:, None]),
    "int8": Codes(_table(np.int8)[:, None]),
    "bytes_less_128": Codes(_BYTES.astype(np.float32)[:, None] - np.float32(128)),
    "nibbles_less_8": Codes(np.stack([_BYTES & 0xF, _BYTES >> 4], axis=1).astype(np.float32) - np.float32(8)),
    "fp4_pairs": Codes(np.stack([E2M1[_BYTES & 0xF], E2M1[_BYTES >> 4]], axis=1)),
}


def plain_scales(stored: np.ndarray) -> np.ndarray:
    """Return scales as float32."""
    return stored.astype(np.float32)


def powers_of_two(stored: np.ndarray) -> np.ndarray:
    """Return 2 to the power of each byte less 127, float32: the scales called E8M0, of which 255 is not a number."""
    return stored.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)


@dataclass(frozen=True)
class ScaledTensor(DecodedTensor):
    """Codes, and a scale for each block of them.

    Attributes
    ----------
    stored
        Where the codes lie, [..., byte].
    codes
        How they are read: a name in `CODES`.
    scales
        Where the scales lie: as many dimensions as the codes.
    blocks
        How many numbers share a scale along each dimension; the last block of a dimension may be shorter.
    scale_numbers
        Makes float32 of the scales.
    zeros
        Where the codes that stand for zero lie, shaped as the scales; None where that is 0.
    """

    stored: TensorPlace
    codes: str
    scales: TensorPlace
    blocks: tuple[int, ...]
    scale_numbers: Callable[[np.ndarray], np.ndarray] = plain_scales
    zeros: TensorPlace | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, in numbers."""
        *rest, last = self.stored.shape
        return (*rest, last * CODES[self.codes].per_byte)

    @property
    def size(self) -> int:
        """Bytes of codes and scales."""
        return self.stored.size + self.scales.size + (self.zeros.size if self.zeros else 0)

    def entry(self, number: int) -> Self:
        """Return one entry of the first dimension."""
        block = number // self.blocks[0]
        return replace(
            self,
            stored=self.stored.entry(number),
            scales=self.scales.entry(block),
            zeros=self.zeros and self.zeros.entry(block),
            blocks=self.blocks[1:],
        )

    def decode(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return entries of the first dimension, float32."""
        if len(self.shape) == 1 and CODES[self.codes].per_byte > 1:
            return self._row(name)[start:stop]
        numbers = CODES[self.codes].numbers(self.stored.rows(start, stop).read(name))
        if self.zeros is not None:
            numbers -= self._spread(plain_scales, self.zeros, name, start, numbers.shape)
        numbers *= self._spread(self.scale_numbers, self.scales, name, start, numbers.shape)
        return numbers

    def _row(self, name: str) -> np.ndarray:
        whole = replace(
            self,
            stored=replace(self.stored, shape=(1, *self.stored.shape)),
            scales=replace(self.scales, shape=(1, *self.scales.shape)),
            blocks=(1, *self.blocks),
        )
        return whole.decode(name, 0, 1)[0]

    def _spread(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        place: TensorPlace,
        name: str,
        start: int,
        shape: Sequence[int],
    ) -> np.ndarray:
        """Give every number of some rows what its block has; dimensions of a single block are left to broadcasting."""
        first = start // self.blocks[0]
        last = math.ceil((start + shape[0]) / self.blocks[0])
        found = read(place.rows(first, last).read(name))
        skipped = start - first * self.blocks[0]
        for axis, (block, count) in enumerate(zip(self.blocks, shape, strict=True)):
            begin = skipped if axis == 0 else 0
            if found.shape[axis] == 1 or block == 1:
                continue
            spread = np.repeat(found, block, axis=axis)
            found = spread[(slice(None),) * axis + (slice(begin, begin + count),)]
        return found


@dataclass(frozen=True)
class TurnedTensor:
    """Matrices that are stored as [..., out, in] and belong as [..., in, out].

    Attributes
    ----------
    stored
        The matrices as they are stored.
    """

    stored: DecodedTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        *rest, outputs, inputs = self.stored.shape
        return (*rest, inputs, outputs)

    @property
    def dtype(self) -> str:
        """The type of its numbers."""
        return self.stored.dtype

    @property
    def size(self) -> int:
        """Bytes that it takes on disk."""
        return self.stored.size

    def entry(self, number: int) -> Self:
        """Return one of the matrices."""
        if len(self.shape) < 3:
            problem = f"a row of a matrix of the shape {list(self.shape)} is asked for, which lies in columns"
            raise InputError(problem, "a matrix of several", "read it whole")
        return replace(self, stored=self.stored.entry(number))

    def read(self, name: str, decoded: Any = np.float32) -> np.ndarray:
        """Return all numbers in memory of their own, in the type `decoded`."""
        return np.swapaxes(self.stored.read(name, decoded), -1, -2)

    def read_into(self, values: np.ndarray, name: str) -> None:
        """Fill an array of the tensor's shape with its numbers."""
        self.stored.read_into(np.swapaxes(values, -1, -2), name)

    def read_rows_into(self, values: np.ndarray, name: str, first: int) -> None:
        """Fill an array with as many of the matrices as it has, from one on."""
        for number, matrix in enumerate(values, first):
            self.entry(number).read_into(matrix, name)
