"""Safetensors files: the header is checked at once, tensors are read one at a time.

The `safetensors` library reads through a memory map, whose pages count as resident until the file is closed: for 1 GiB
of bfloat16 read into one buffer of 128 MiB in float32 the process grew by 1,217 MiB, by 257 where the file was opened
for each tensor, and by 144 with this reader, in no more time (``benchmarks/reading.py``). Tests hold this reader to
files that the library writes.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import open_regular
from bayeslaw.inputs.foreign_json import parse_json

LENGTH_BYTES = 8
# What the reference implementation accepts; a longer header is no header.
LONGEST_HEADER = 100_000_000
# Of a dimension or a place in a file, and of the dimensions of a tensor, in NumPy.
LARGEST_SIZE = (1 << 63) - 1
MOST_DIMENSIONS = 64
LFS_POINTER = b"version https://git-lfs"

# Safetensors are little-endian and packed. Types that share bytes between numbers (F4, F6) have no NumPy type.
DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "C64": np.dtype("<c8"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
READ_BYTES = 1 << 23


@dataclass(frozen=True)
class TensorPlace:
    """Where one tensor lies.

    Parameters
    ----------
    file
        The safetensors file.
    stored
        The type as the file names it: ``"F32"``, ``"BF16"``.
    shape
        Its shape.
    start
        Position of its first byte in the file.
    size
        Number of its bytes.
    """

    file: Path
    stored: str
    shape: tuple[int, ...]
    start: int
    size: int

    @property
    def dtype(self) -> str:
        """The type as NumPy names it (``"float32"``, ``"bfloat16"``), or as the file does where NumPy has none."""
        return DTYPES[self.stored].name if self.stored in DTYPES else self.stored.lower()

    def entry(self, number: int) -> "TensorPlace":
        """Return the place of one entry of the first dimension."""
        size = self.size // self.shape[0]
        return replace(self, shape=self.shape[1:], start=self.start + number * size, size=size)

    def rows(self, start: int, stop: int) -> "TensorPlace":
        """Return the place of some entries of the first dimension."""
        size = self.size // self.shape[0] if self.shape[0] else 0
        shape = (stop - start, *self.shape[1:])
        return replace(self, shape=shape, start=self.start + start * size, size=shape[0] * size)

    @property
    def count(self) -> int:
        """Numbers that it holds."""
        return math.prod(self.shape)

    def reshaped(self, shape: tuple[int, ...]) -> "TensorPlace":
        """Return the same bytes in another shape."""
        return replace(self, shape=shape)

    def as_bytes(self) -> "TensorPlace":
        """Return the bytes that its numbers are made of, [..., byte]."""
        *rest, last = self.shape
        return replace(self, stored="U8", shape=(*rest, last * DTYPES[self.stored].itemsize))

    def read(self, name: str, decoded: Any = np.float32) -> np.ndarray:
        """Read the tensor in the type it is stored in; `decoded` is for tensors that are stored in another form."""
        return read_tensor(name, self)

    def read_into(self, values: np.ndarray, name: str) -> None:
        """Read the tensor into a contiguous array of its shape."""
        read_tensor_into(values, name, self)

    def read_rows_into(self, values: np.ndarray, name: str, first: int) -> None:
        """Read as many entries of the first dimension as a contiguous array has, from one on."""
        read_tensor_into(values, name, self.rows(first, first + len(values)))


def _damaged(path: Path, why: str, fix: str = "copy or download the file again") -> InputError:
    return InputError(f"{path.name} in {str(path.parent)!r} cannot be read: {why}", "a whole safetensors file", fix)


def read_header(path: Path) -> dict[str, TensorPlace]:
    """Read where the tensors of a safetensors file lie, and check that the file is whole.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        A place for each tensor, by name.

    Raises
    ------
    InputError
        If the file cannot be opened, its header is cut off or is not one, or the tensors do not fill its data exactly.
    """
    try:
        size = path.stat().st_size
        with open_regular(path) as stream:
            start = stream.read(LENGTH_BYTES + len(LFS_POINTER))
            if start.startswith(LFS_POINTER):
                raise _damaged(path, "it is a pointer of git-lfs, not the weights", "fetch them: git lfs pull")
            length = _header_length(path, start, size)
            stream.seek(LENGTH_BYTES)
            header = stream.read(length)
    except OSError as error:
        raise _damaged(path, error.strerror or str(error), "check the path and its permissions") from error
    entries = _parse_header(path, header)
    data = LENGTH_BYTES + length
    places = {name: _place(path, name, entry, data=data) for name, entry in entries.items() if name != "__metadata__"}
    _check_filled(path, places.values(), start=data, stop=size)
    return places


def _header_length(path: Path, start: bytes, size: int) -> int:
    if size < LENGTH_BYTES:
        raise _damaged(path, f"it is truncated: it has {size} bytes")
    (length,) = struct.unpack("<Q", start[:LENGTH_BYTES])
    if length > LONGEST_HEADER:
        raise _damaged(path, f"it is no safetensors file: it announces a header of {length:,} bytes")
    if LENGTH_BYTES + length > size:
        raise _damaged(path, f"it is truncated: its header has {length:,} bytes and the file {size:,}")
    return length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name is there twice")
    return entries


def _parse_header(path: Path, header: bytes) -> dict[str, Any]:
    try:
        entries = parse_json(header.decode("utf-8"), object_pairs_hook=_unique)
    except ValueError as error:
        raise _damaged(path, f"its header is not JSON ({error})") from error
    if not isinstance(entries, dict):
        raise _damaged(path, "its header is not a table of tensors")
    return entries


def _is_natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SIZE


def _place(path: Path, name: str, entry: Any, *, data: int) -> TensorPlace:
    entry = entry if isinstance(entry, dict) else {}
    stored, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    lists = isinstance(shape, list) and isinstance(offsets, list) and all(map(_is_natural, [*shape, *offsets]))
    lists = lists and len(offsets) == 2 and offsets[0] <= offsets[1] and len(shape) <= MOST_DIMENSIONS
    if not isinstance(stored, str) or not lists:
        raise _damaged(path, f"its header does not say where tensor {name!r} lies")
    size = offsets[1] - offsets[0]
    if stored in DTYPES and size != math.prod(shape) * DTYPES[stored].itemsize:
        raise _damaged(path, f"tensor {name!r} of shape {shape} and type {stored} has {size:,} bytes")
    return TensorPlace(path, stored, tuple(shape), data + offsets[0], size)


def _check_filled(path: Path, places: Iterable[TensorPlace], *, start: int, stop: int) -> None:
    end = start
    for place in sorted(places, key=lambda place: (place.start, place.size)):
        if place.start != end:
            raise _damaged(path, "its header leaves bytes without tensor, or gives them to two")
        end += place.size
    if end > stop:
        raise _damaged(path, f"it is truncated: its header speaks of {end:,} bytes and the file has {stop:,}")
    if end < stop:
        raise _damaged(path, f"{stop - end:,} bytes at its end belong to no tensor")


def read_tensor(name: str, place: TensorPlace) -> np.ndarray:
    """Read one tensor into memory of its own.

    Plain reads are used rather than a memory map, whose pages would count against the process until the file is closed.

    Parameters
    ----------
    name
        Its name, for messages.
    place
        Where it lies.

    Returns
    -------
    numpy.ndarray
        The tensor as it is stored, in its stored type.

    Raises
    ------
    InputError
        If NumPy has no such type, or the file was changed since it was opened.
    """
    if place.stored not in DTYPES:
        raise InputError(
            f"tensor {name!r} in {place.file.name} has type {place.stored}",
            f"one of {', '.join(DTYPES)}",
            "use a checkpoint that stores float32, bfloat16 or float16",
        )
    values = np.empty(place.shape, DTYPES[place.stored])
    read_tensor_into(values, name, place)
    return values


def read_tensor_into(values: np.ndarray, name: str, place: TensorPlace) -> None:
    """Read one tensor into an array that is there, a few megabytes at a time.

    Parameters
    ----------
    values
        Takes the tensor, converted to its type; contiguous, of the tensor's shape. Beyond the range of that type
        numbers become infinite.
    name
        The tensor's name, for messages.
    place
        Where it lies.

    Raises
    ------
    InputError
        If the file was changed since it was opened.
    """
    kind, flat = DTYPES[place.stored], values.reshape(-1)
    step = max(1, READ_BYTES // kind.itemsize)
    try:
        with open_regular(place.file) as stream, np.errstate(over="ignore"):
            stream.seek(place.start)
            for start in range(0, len(flat), step):
                part = flat[start : start + step]
                if part.dtype == kind:
                    complete = stream.readinto(part.view(np.uint8)) == part.nbytes
                else:
                    read = np.frombuffer(stream.read(len(part) * kind.itemsize), np.uint8)
                    complete = read.nbytes == len(part) * kind.itemsize
                    part[...] = read.view(kind) if complete else 0
                if not complete:
                    raise _damaged(place.file, f"tensor {name!r} ends early: the file was changed since it was opened")
    except OSError as error:
        raise _damaged(place.file, error.strerror or str(error), "check the path and its permissions") from error
