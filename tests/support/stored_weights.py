"""Safetensors files of any type, and weights in the forms that quantised checkpoints have, beside their numbers."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from inference.checkpoints.safetensors_files import DTYPES

E4M3, E5M2, E8M0 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu
# Copied from the standard rather than from the reader.
FP4 = {0: 0.0, 1: 0.5, 2: 1.0, 3: 1.5, 4: 2.0, 5: 3.0, 6: 4.0, 7: 6.0}


def write_safetensors(file: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors of any type that the format knows: the library's NumPy side has no float8."""
    names = {kind: name for name, kind in DTYPES.items()}
    header, data = {}, b""
    for name, values in tensors.items():
        place = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": names[values.dtype], "shape": list(values.shape), "data_offsets": place}
        data += np.ascontiguousarray(values).tobytes()
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_quantised(folder: Path, tensors: Mapping[str, np.ndarray], quantisation: object, **config: object) -> Path:
    """Write a checkpoint with a quantization_config."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model_type": "llama", **config, "quantization_config": quantisation}
    (folder / "config.json").write_text(json.dumps(content))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def spread(scales: np.ndarray, blocks: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Give each number the scale of its block; blocks at the ends may be cut."""
    for axis, block in enumerate(blocks):
        scales = scales.repeat(block, axis)
    return scales[tuple(slice(size) for size in shape)].astype(np.float32)


def scales_for(shape: tuple[int, ...], blocks: tuple[int, ...], *, seed: int = 1) -> np.ndarray:
    """Return scales of a few orders of magnitude, one for each block."""
    grid = tuple(math.ceil(size / block) for size, block in zip(shape, blocks, strict=True))
    return np.exp(np.random.default_rng(seed).normal(-4, 1, grid)).astype(np.float32)


def float8_codes(shape: tuple[int, ...], kind: type, *, seed: int = 0) -> np.ndarray:
    """Return random finite codes, all of them where there is room."""
    codes = np.random.default_rng(seed).permutation(np.resize(np.arange(256, dtype=np.uint8), math.prod(shape)))
    values = codes.view(kind)
    return np.where(np.isfinite(values.astype(np.float32)), values, np.zeros((), kind)).reshape(shape)


def fp4_number(code: int) -> float:
    """Return the number of a code of four bits."""
    return (-1 if code >= 8 else 1) * FP4[code % 8]


def fp4_numbers(stored: np.ndarray) -> np.ndarray:
    """Return the numbers of bytes that hold two codes each, the lower half first."""
    pairs = [(fp4_number(int(byte) % 16), fp4_number(int(byte) // 16)) for byte in stored.reshape(-1)]
    return np.array(pairs, np.float32).reshape(*stored.shape[:-1], -1)


def packed_words(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Pack signed numbers [row, column] into words of 32 bits, the first number in the lowest bits."""
    each = 32 // bits
    shifted = (numbers.astype(np.int64) + (1 << bits - 1)).reshape(len(numbers), -1, each)
    return (shifted << (bits * np.arange(each))).sum(-1).astype(np.uint32).view(np.int32)
