"""Tensors of GGUF files as the model has them: decoded by the `gguf` package, in the order of transformers' rows."""

import importlib.util
import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.gguf_files import GgufHeader, damaged
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.stored_tensors import DecodedTensor

PLAIN = {"F32": "F32", "F16": "F16", "BF16": "BF16"}
DECODED = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
INSTALL = "pip install 'bayeslaw[gguf]'"


def check_gguf_package(name: str) -> None:
    """Raise InputError unless the `gguf` package is installed; `name` is the file that asks for it."""
    if importlib.util.find_spec("gguf") is None:
        raise InputError(f"{name!r} needs the package gguf", "an installed gguf", INSTALL)


@dataclass(frozen=True)
class GgufTensor(DecodedTensor):
    """A tensor of a GGUF file.

    Attributes
    ----------
    place
        Its bytes, [..., byte]: every row is whole.
    kind
        Name of its type in ggml: ``"Q4_K"``, ``"F32"``.
    width
        Numbers in a row.
    paired_heads
        Heads whose rows lie as neighbouring pairs where transformers has halves; 0 for rows in their order.
    shift
        What is added to every number.
    """

    place: TensorPlace
    kind: str
    width: int
    paired_heads: int = 0
    shift: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return (*self.place.shape[:-1], self.width)

    @property
    def size(self) -> int:
        """Bytes that it takes on disk."""
        return self.place.size

    @property
    def form(self) -> str:
        """Name of its type in ggml."""
        return self.kind

    def entry(self, number: int) -> Self:
        """Return one entry of the first dimension."""
        if len(self.place.shape) == 1:
            raise InputError(f"an entry of a tensor of {self.width} numbers is asked for", "a matrix", "read it whole")
        if self.paired_heads:
            number = int(self._stored_rows(number, number + 1)[0])
        return replace(self, place=self.place.entry(number), paired_heads=0)

    def decode(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return entries of the first dimension, float32."""
        if len(self.place.shape) == 1:
            numbers = self._numbers(name, self.place)
            return numbers[self._stored_rows(start, stop)] if self.paired_heads else numbers[start:stop]
        if not self.paired_heads:
            return self._numbers(name, self.place.rows(start, stop))
        head = self.shape[0] // self.paired_heads
        first, last = start // head * head, math.ceil(stop / head) * head
        numbers = self._numbers(name, self.place.rows(first, last))
        return numbers[self._stored_rows(start, stop) - first]

    def _stored_rows(self, start: int, stop: int) -> np.ndarray:
        """Return where rows lie: of each head, row p * half + j of two halves p is stored as row 2 j + p."""
        half = self.shape[0] // self.paired_heads // 2
        head, inside = np.divmod(np.arange(start, stop), 2 * half)
        part, place = np.divmod(inside, half)
        return head * 2 * half + 2 * place + part

    def _numbers(self, name: str, place: TensorPlace) -> np.ndarray:
        from gguf.constants import GGMLQuantizationType  # pyright: ignore[reportMissingImports]
        from gguf.quants import dequantize  # pyright: ignore[reportMissingImports]

        # The package warns of numbers out of range, which are refused where they are used.
        with np.errstate(all="ignore"):
            numbers = dequantize(place.read(name), GGMLQuantizationType[self.kind])
            return numbers + np.float32(self.shift) if self.shift else numbers


def gguf_tensor(header: GgufHeader, name: str) -> GgufTensor:
    """Find a tensor of a file.

    Parameters
    ----------
    header
        The file.
    name
        The tensor's name there.

    Returns
    -------
    GgufTensor
        The tensor as it is stored.

    Raises
    ------
    InputError
        If its type is not covered, its rows are not whole blocks, or the file ends before it does.
    """
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # pyright: ignore[reportMissingImports]

    entry = header.tensors[name]
    kind = GGMLQuantizationType(entry.kind) if entry.kind in set(GGMLQuantizationType) else None
    if kind is None or kind.name not in (*PLAIN, *DECODED):
        called = f"the unknown type {entry.kind}" if kind is None else f"the type {kind.name}"
        problem = f"{name} in {header.file.name} has {called}"
        raise InputError(problem, f"one of {', '.join((*PLAIN, *DECODED))}", "use a file in another quantisation")
    numbers, size = GGML_QUANT_SIZES[kind]
    width = entry.shape[-1] if entry.shape else 1
    if width % numbers:
        raise damaged(header.file, f"{name} has rows of {width} numbers, and {kind.name} takes {numbers} at a time")
    shape = (*entry.shape[:-1], width // numbers * size)
    place = TensorPlace(header.file, "U8", shape, entry.start, math.prod(shape))
    if place.start + place.size > header.size:
        problem = f"it is truncated: {name} ends at byte {place.start + place.size:,} and the file has {header.size:,}"
        raise damaged(header.file, problem)
    return GgufTensor(place, kind.name, width)


def check_apart(header: GgufHeader, tensors: dict[str, GgufTensor]) -> None:
    """Raise InputError if two tensors of a file share bytes."""
    end, before = 0, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].place.start):
        if tensor.place.start < end:
            raise damaged(header.file, f"{name} and {before} share bytes")
        end, before = tensor.place.start + tensor.place.size, name


def small_numbers(tensor: GgufTensor, name: str) -> list[float]:
    """Return all numbers of a small tensor."""
    found: Any = tensor.read(name)
    return [float(number) for number in found.reshape(-1)]
