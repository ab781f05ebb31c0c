"""Filling a decoder from a checkpoint: every parameter asks for its tensor."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint
from inference.checkpoints.checkpoint_config import check_model_type, read_decoder_config
from inference.checkpoints.sharding import weight_sharding
from inference.decoder.configuration import DecoderConfig
from inference.decoder.families import FAMILIES, MULTIMODAL
from inference.decoder.tensor_names import TensorNames
from inference.decoder.transformer import Decoder

DTYPES = ("float32", "bfloat16", "float16")
PREFIX = re.compile(r"^(?:(?:model|language_model|transformer|gpt_neox|decoder|biogpt)\.)+")
# Buffers that older checkpoints hold beside their weights.
BUFFERS = re.compile(r"(?:^|\.)(?:(?:attn|attention)\.(?:masked_)?bias|rotary_emb\.(?:inv_freq|\w+_cached))$")
VISION = re.compile(r"(?:^|\.)(?:vision_tower|multi_modal_projector)\.")
ALIGNMENT = 64
LISTED = 12


@dataclass(frozen=True)
class Piece:
    """What fills one parameter, or one layer of it.

    Attributes
    ----------
    names
        The tensors to read.
    take
        Makes the values of them; None for the one tensor as it is.
    """

    names: tuple[str, ...]
    take: Callable[[list[np.ndarray]], np.ndarray] | None = None


@dataclass
class _Plan:
    """Finds the tensor of every parameter and collects what does not fit, before anything is read."""

    checkpoint: Checkpoint
    config: DecoderConfig
    tensors: TensorNames
    by_core: dict[str, list[str]]
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def pieces(self, path: Sequence[str], shape: Sequence[int]) -> list[Piece]:
        stacked = path[0] == "blocks"
        stem, leaf = ".".join(path[1:-1] if stacked else path[:-1]), path[-1]
        if leaf == "head_bias":
            stem, leaf = "head", "bias"
        if not stacked:
            return [self._piece(stem, leaf, None, tuple(shape))]
        return [self._piece(stem, leaf, layer, tuple(shape[1:])) for layer in range(self.config.depth)]

    def _piece(self, stem: str, leaf: str, layer: int | None, shape: tuple[int, ...]) -> Piece:
        part = stem.rsplit(".", 1)[-1]
        for fused, parts in (("attention.qkv", ("query", "key", "value")), ("mlp.gate_up", ("gate", "up"))):
            if part in parts and fused in self.tensors.names and stem.startswith(fused.split(".")[0]):
                return self._fused(fused, part, leaf, layer, shape)
        name = self.tensors.names.get(stem, f"({stem} of this family)")
        if isinstance(name, str) and name.endswith(".*"):
            # Where there cannot be as many, one that is missing says it.
            count = min(shape[0], len(self.checkpoint.names) + 1)
            heads = [f"{name[:-2].format(layer)}.{head}.{leaf}" for head in range(count)]
            return Piece(tuple(self._find([one], shape[1:]) for one in heads), np.stack)
        options = [name] if isinstance(name, str) else list(name)
        wanted = [f"{option.format(layer)}.{leaf}" for option in options]
        turned = self.tensors.transposed and layer is not None and len(shape) == 2
        found = self._find(wanted, shape[::-1] if turned else shape)
        return Piece((found,), (lambda read: read[0].T) if turned else None)

    def _fused(self, fused: str, part: str, leaf: str, layer: int | None, shape: tuple[int, ...]) -> Piece:
        config = self.config
        if fused == "mlp.gate_up":
            rows, select = 2 * shape[0], slice(0, shape[0]) if part == "gate" else slice(shape[0], None)
            take = lambda x: x[select]  # noqa: E731
        else:
            rows = (config.heads + 2 * config.key_value_heads) * config.head_width
            take = lambda x: _part_of_qkv(x, part, config, self.tensors.fused)  # noqa: E731
        name = self.tensors.names[fused]
        assert isinstance(name, str)
        stored = (rows, *shape[1:])
        turned = self.tensors.transposed and len(shape) == 2
        found = self._find([f"{name.format(layer)}.{leaf}"], stored[::-1] if turned else stored)
        return Piece((found,), (lambda read: take(read[0].T)) if turned else (lambda read: take(read[0])))

    def _find(self, options: list[str], shape: tuple[int, ...]) -> str:
        """Return the tensor's full name, or note what is wrong with it."""
        core = next((option for option in options if option in self.by_core), None)
        if core is None:
            self.missing.append(" or ".join(options))
            return ""
        names = self.by_core[core]
        if len(names) > 1:
            self.misshapen.append(f"{' and '.join(names)} are one parameter")
        self.used.update(names)
        if (found := self.checkpoint.shape(names[0])) != tuple(shape):
            self.misshapen.append(f"{names[0]} is {list(found)}, expected {list(shape)}")
        elif (kind := self.checkpoint.dtype(names[0])) not in (*DTYPES, "float64"):
            self.misshapen.append(f"{names[0]} is stored as {kind}, which is quantised or no number")
        return names[0]

    def check(self, model_type: str, ignored: Callable[[str], bool]) -> None:
        unused = sorted(name for name in self.checkpoint.names - self.used if not ignored(name))
        wrong = {"missing": self.missing, "not as expected": self.misshapen, "unused": unused}
        if not any(wrong.values()):
            return
        lines = [f"{len(names)} {what}: {_listed(names)}" for what, names in wrong.items() if names]
        problem = f"the tensors of {self.checkpoint.name!r} are not those of a {model_type}:\n  " + "\n  ".join(lines)
        accepted = "every tensor of the model, in its shape, with or without the base model's prefix, and no other"
        raise InputError(problem, accepted, "save the whole model with save_pretrained, or correct config.json")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _part_of_qkv(x: np.ndarray, part: str, config: DecoderConfig, layout: str) -> np.ndarray:
    """Take queries, keys or values out of the rows of a fused tensor."""
    shared, groups, width = config.heads_per_group, config.key_value_heads, config.head_width
    if layout == "grouped":
        x = x.reshape(groups, shared + 2, width, *x.shape[1:])
        chosen = {"query": slice(0, shared), "key": slice(shared, shared + 1), "value": slice(shared + 1, None)}[part]
        return x[:, chosen].reshape(-1, *x.shape[3:])
    sizes = np.cumsum([0, config.heads * width, groups * width, groups * width])
    place = ("query", "key", "value").index(part)
    return x[sizes[place] : sizes[place + 1]]


def load_decoder(checkpoint: Checkpoint, *, dtype: Any = jnp.float32, mesh: Mesh | None = None) -> Decoder:
    """Make a decoder of a checkpoint.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.
    dtype
        Type of the weights and of products: float32, bfloat16 or float16.
    mesh
        Devices to spread the weights over; the first device by default.

    Returns
    -------
    Decoder
        The decoder. Tensors are read one by one into their place, so that the model is never in memory twice.

    Raises
    ------
    InputError
        If the family is not supported; if tensors are missing, unused or of another shape, all of them at once; or if
        one holds values that are not finite in `dtype`.
    """
    config, graph, flat, pieces = _planned(checkpoint)
    filled = {}
    for path, variable in flat.items():
        values = _fill(checkpoint, pieces[path], variable.shape, dtype=np.dtype(dtype), stacked=path[0] == "blocks")
        place = None if mesh is None else weight_sharding(mesh, [str(step) for step in path], values.shape, config)
        # On a CPU an aligned array becomes the device's without a copy.
        filled[path] = variable.replace(jax.device_put(values, place, may_alias=True))
    return nnx.merge(graph, nnx.from_flat_state(filled))


def check_tensors(checkpoint: Checkpoint) -> None:
    """Check that a checkpoint has every tensor of its decoder, in its shape, and no other; none is read.

    Parameters
    ----------
    checkpoint
        The opened checkpoint.

    Raises
    ------
    InputError
        If the family is not supported, or tensors are missing, unused or of another shape, all of them at once.
    """
    _planned(checkpoint)


def _planned(
    checkpoint: Checkpoint,
) -> tuple[DecoderConfig, nnx.GraphDef, dict[tuple, nnx.Variable], dict[tuple, list[Piece]]]:
    """Find the tensors of every parameter: configuration, structure, parameters by path and their pieces."""
    model_type = check_model_type(checkpoint.config)
    config = read_decoder_config(checkpoint)
    graph, state = nnx.split(nnx.eval_shape(lambda: Decoder(config)))
    flat = dict(nnx.to_flat_state(state))
    plan = _Plan(checkpoint, config, FAMILIES[model_type].tensors, _by_core(checkpoint.names))
    pieces = {path: plan.pieces([str(step) for step in path], variable.shape) for path, variable in flat.items()}
    multimodal = checkpoint.config.get("model_type") in MULTIMODAL

    def ignored(name: str) -> bool:
        tied_head = config.tied and PREFIX.sub("", name) in ("lm_head.weight", "embed_out.weight")
        return tied_head or bool(BUFFERS.search(name)) or (multimodal and bool(VISION.search(name)))

    plan.check(model_type, ignored)
    return config, graph, flat, pieces


def _by_core(names: frozenset[str]) -> dict[str, list[str]]:
    by_core: dict[str, list[str]] = {}
    for name in sorted(names):
        by_core.setdefault(PREFIX.sub("", name), []).append(name)
    return by_core


def _fill(
    checkpoint: Checkpoint, pieces: list[Piece], shape: tuple[int, ...], *, dtype: np.dtype, stacked: bool
) -> np.ndarray:
    values = _aligned(shape, dtype)
    for row, piece in zip(values if stacked else values[None], pieces, strict=True):
        if piece.take is None:
            checkpoint.read_into(row, piece.names[0])
        else:
            with np.errstate(over="ignore"):
                row[...] = piece.take([checkpoint.read(name) for name in piece.names])
        if not _finite(row):
            problem = f"{piece.names[0]} of {checkpoint.name!r} holds values that are not finite in {dtype.name}"
            fix = "use another checkpoint" + ("" if dtype == np.float32 else ", or dtype float32")
            raise InputError(problem, "finite weights", fix)
    return values


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)


def _finite(values: np.ndarray) -> bool:
    """Say whether all values are finite, from their exponent bits: all set means infinite or not a number."""
    kind, mask = {"float32": (np.uint32, 0x7F800000), "bfloat16": (np.uint16, 0x7F80), "float16": (np.uint16, 0x7C00)}[
        values.dtype.name
    ]
    bits = values.reshape(-1).view(kind)
    step = 1 << 20
    return all(int((bits[start : start + step] & mask).max()) != mask for start in range(0, len(bits), step))


def parameter_counts(decoder: Decoder) -> Mapping[str, int]:
    """Count a decoder's parameters.

    Parameters
    ----------
    decoder
        The decoder.

    Returns
    -------
    dict
        ``total``: numbers stored, a tied head counted once; ``embedding``: those of the token and position embeddings
        and of an untied head; ``active``: those that take part in every token, which here is the total.
    """
    total = embedding = 0
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        size = int(np.prod(variable.shape))
        total += size
        embedding += size if path[0] in ("embedding", "positions", "head", "head_bias") else 0
    return {"total": total, "embedding": embedding, "active": total}
