"""GGUF files: metadata and where the tensors lie, checked at once; tensors are read one at a time.

The reader of the `gguf` package maps the file into memory, makes several arrays of every token, and runs on for as long
as a damaged length says: a vocabulary takes it seconds and a bad file may take it for ever. The package serves for what
only it knows, how its many types are decoded, and tests hold this reader to files that it writes.
"""

import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import open_regular
from bayeslaw.inputs.foreign_text import excerpt

ENDING = ".gguf"
MAGIC = b"GGUF"
# The first counted in 32 bits and is no longer written.
VERSIONS = (2, 3)
ALIGNMENT, ALIGNMENT_NAME = 32, "general.alignment"
STRING, ARRAY, BOOLEAN = 8, 9, 7
NUMBERS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
# Dimensions that the format allows.
MOST_DIMENSIONS = 4
LARGEST_SIZE = (1 << 63) - 1


@dataclass(frozen=True)
class GgufEntry:
    """What a file says of a tensor.

    Attributes
    ----------
    shape
        Its shape, outermost dimension first: the file lists it the other way.
    kind
        The number of its type.
    start
        Position of its first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself.

    Attributes
    ----------
    file
        The file.
    size
        Its bytes.
    metadata
        Values by key; arrays of numbers are NumPy's, those of texts lists.
    tensors
        Tensors by name.
    """

    file: Path
    size: int
    metadata: dict[str, Any]
    tensors: dict[str, GgufEntry]


def damaged(path: Path, why: str, fix: str = "copy or download the file again") -> InputError:
    """Return the error of a file that cannot be used as it is."""
    return InputError(f"{path.name} in {str(path.parent)!r} cannot be read: {why}", "a whole GGUF file", fix)


class _Cursor:
    """Reads the beginning of a file piece by piece, and never asks for more than it holds."""

    def __init__(self, path: Path, stream: BufferedReader, size: int) -> None:
        self.path, self.stream, self.left, self.place = path, stream, size, 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > self.left:
            raise damaged(self.path, f"it is truncated: {count:,} bytes are missing at byte {self.place:,}")
        found = self.stream.read(count)
        if len(found) < count:
            raise damaged(self.path, "it became shorter while it was read")
        self.left, self.place = self.left - count, self.place + count
        return found

    def whole(self, form: str) -> int:
        """Return the next whole number."""
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def text(self) -> str:
        """Return the next text."""
        raw = self.take(self.whole("<Q"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged(self.path, f"{excerpt(repr(raw), 60)} is not text in UTF-8") from error

    def value(self, kind: int) -> Any:
        """Return the next value of a type."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self.array()
        if kind not in NUMBERS:
            raise damaged(self.path, f"its metadata has a value of the unknown type {kind}")
        return self.numbers(kind, 1)[0].item()

    def numbers(self, kind: int, count: int) -> np.ndarray:
        """Return the next numbers of a type."""
        dtype = np.dtype(NUMBERS[kind])
        found = self.take(count * dtype.itemsize)
        if kind == BOOLEAN and set(found) - {0, 1}:
            raise damaged(self.path, "its metadata has a switch that is neither true nor false")
        return np.frombuffer(found, dtype)

    def array(self) -> Any:
        """Return the next array: NumPy's for numbers, a list of texts."""
        kind, count = self.whole("<I"), self.whole("<Q")
        if kind in NUMBERS:
            return self.numbers(kind, count)
        if kind != STRING:
            raise damaged(self.path, f"its metadata has an array of the type {kind}, which is not covered")
        return [self.text() for _ in self.counted(count, 8)]

    def counted(self, count: int, least: int) -> range:
        """Return a range of so many, where the file has room for that many of at least so many bytes."""
        if count * least > self.left:
            raise damaged(self.path, f"it is truncated: it announces {count:,} entries with {self.left:,} bytes left")
        return range(count)


def read_gguf_header(path: Path) -> GgufHeader:
    """Read what a GGUF file says of itself, and where its tensors begin.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    GgufHeader
        Metadata and tensors.

    Raises
    ------
    InputError
        If the file cannot be opened, is no GGUF file of a known version, or is cut off within its header.
    """
    try:
        size = os.stat(path).st_size
        with open_regular(path) as stream:
            return _read(_Cursor(path, stream, size), size)
    except OSError as error:
        raise damaged(path, error.strerror or str(error), "check the path and its permissions") from error


def _read(cursor: _Cursor, size: int) -> GgufHeader:
    path = cursor.path
    if (magic := cursor.take(len(MAGIC))) != MAGIC:
        raise damaged(path, f"it is no GGUF file: it begins with {magic!r}")
    if (version := cursor.whole("<I")) not in VERSIONS:
        raise damaged(path, f"it has the version {version}, and {' and '.join(map(str, VERSIONS))} are read")
    tensor_count, value_count = cursor.whole("<Q"), cursor.whole("<Q")
    metadata = _table(cursor, value_count, 12, lambda: cursor.value(cursor.whole("<I")))
    entries = _table(cursor, tensor_count, 24, lambda: _entry(cursor))
    alignment = metadata.get(ALIGNMENT_NAME, ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & alignment - 1:
        raise damaged(path, f"{ALIGNMENT_NAME} is {excerpt(repr(alignment), 60)}, which is no power of two")
    data = math.ceil(cursor.place / alignment) * alignment
    tensors = {name: GgufEntry(shape, kind, data + offset) for name, (shape, kind, offset) in entries.items()}
    return GgufHeader(path, size, metadata, tensors)


def _table(cursor: _Cursor, count: int, least: int, read: Callable[[], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in cursor.counted(count, least):
        name = cursor.text()
        if name in found:
            raise damaged(cursor.path, f"{excerpt(repr(name), 80)} is there twice")
        found[name] = read()
    return found


def _entry(cursor: _Cursor) -> tuple[tuple[int, ...], int, int]:
    if (dimensions := cursor.whole("<I")) > MOST_DIMENSIONS:
        raise damaged(cursor.path, f"a tensor has {dimensions} dimensions")
    sizes = [cursor.whole("<Q") for _ in range(dimensions)]
    kind, offset = cursor.whole("<I"), cursor.whole("<Q")
    if math.prod(sizes) > LARGEST_SIZE or offset > LARGEST_SIZE:
        raise damaged(cursor.path, "a tensor is larger than any file")
    return tuple(reversed(sizes)), kind, offset
