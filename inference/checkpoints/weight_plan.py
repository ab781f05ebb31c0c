"""Which tensors fill each parameter of a decoder, found before anything is read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter

import numpy as np

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import Checkpoint
from inference.decoder.configuration import DecoderConfig
from inference.decoder.layer_plan import place_of
from inference.decoder.stored_layouts import TensorName, WholeTensor
from inference.decoder.stored_pieces import Piece, Source, Wanted
from inference.decoder.tensor_names import FusedLayout, TensorNames

READABLE = ("float32", "bfloat16", "float16", "float64")
PREFIX = re.compile(
    r"^(?:(?:model|language_model|transformer|gpt_neox|gpt_neox_japanese|decoder|biogpt|backbone|rwkv)\.)+"
)
FUSED = {"qkv": ("query", "key", "value"), "gate_up": ("gate", "up")}
LISTED = 12


@dataclass
class WeightPlan:
    """Finds the tensor of every parameter and collects what does not fit.

    Attributes
    ----------
    checkpoint
        The checkpoint.
    config
        The decoder.
    tensors
        Names of its family's tensors.
    used
        Tensors that were found.
    missing, misshapen
        What is wrong, each told once.
    """

    checkpoint: Checkpoint
    config: DecoderConfig
    tensors: TensorNames
    used: set[str] = field(default_factory=set)
    missing: dict[str, None] = field(default_factory=dict)
    misshapen: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_core: dict[str, list[str]] = {}
        for name in sorted(self.checkpoint.names):
            self.by_core.setdefault(PREFIX.sub("", name), []).append(name)

    def pieces(self, path: Sequence[object], shape: Sequence[int]) -> list[Piece]:
        """Find what fills a parameter.

        Parameters
        ----------
        path
            Its place in the decoder.
        shape
            Its shape, layers first within blocks.

        Returns
        -------
        list of Piece
            One for each of its layers, or one.
        """
        place = place_of(path, self.config.layer_plan)
        stem, leaf = ".".join(place.stem), place.leaf
        if leaf == "head_bias":
            stem, leaf = "head", "bias"
        if place.layers is None:
            return [self._piece(stem, leaf, place.first, tuple(shape))]
        return [self._piece(stem, leaf, layer, tuple(shape[1:])) for layer in place.layers]

    def _piece(self, stem: str, leaf: str, layer: int | None, shape: tuple[int, ...]) -> Piece:
        module, _, part = stem.rpartition(".")
        for together, parts in FUSED.items():
            if part in parts and (fused := f"{module}.{together}") in self.tensors.names:
                ways = [self._fused(fused, part, leaf, layer, shape)]
                alone = self.tensors.names[stem] if self.tensors.apart else ()
                ways += [self._way(way, f".{leaf}", layer, shape) for way in self._ways(alone)]
                return self._found(ways)
        names, whole = self.tensors.names, f"{stem}.{leaf}"
        named = names[whole] if whole in names else names.get(stem, f"({stem} of this family)")
        suffix = "" if whole in names else f".{leaf}"
        ways = [self._way(way, suffix, layer, shape) for way in self._ways(named)]
        return self._found(ways, needed=stem not in self.tensors.optional and whole not in self.tensors.optional)

    @staticmethod
    def _ways(named: TensorName | tuple[TensorName, ...]) -> tuple[TensorName, ...]:
        return named if isinstance(named, tuple) else (named,)

    def _way(self, name: TensorName, suffix: str, layer: int | None, shape: tuple[int, ...]) -> Piece:
        """Return what would fill a parameter if it lay under one name."""
        layout = WholeTensor(name) if isinstance(name, str) else name
        turned = self.tensors.transposed
        wanted = Wanted(shape, suffix, layer, self.config, turned, len(self.checkpoint.names), self._stored_rows)
        piece = layout.piece(wanted)
        counts = [source.shape[0] for source in piece.sources] if piece.joined else []
        if counts and all(counts) and sum(counts) != shape[0]:
            names = " and ".join(source.name for source in piece.sources)
            self.misshapen[f"{names} have {sum(counts)} rows, expected {shape[0]}"] = None
        return piece

    def _stored_rows(self, name: str) -> int:
        return self.checkpoint.shape(self.by_core[name][0])[0] if name in self.by_core else 0

    def _fused(self, fused: str, part: str, leaf: str, layer: int | None, shape: tuple[int, ...]) -> Piece:
        config = self.config
        if part in FUSED["gate_up"]:
            rows, take = 2 * shape[0], itemgetter(slice(0, shape[0]) if part == "gate" else slice(shape[0], None))
        else:
            rows = (config.heads + 2 * config.key_value_heads) * config.head_width
            take = partial(_part_of_qkv, part=part, config=config, layout=self.tensors.fused)
        name = self.tensors.names[fused]
        assert isinstance(name, str)
        stored = (rows, *shape[1:])
        turned = self.tensors.transposed and len(shape) == 2
        full = f"{name.format(layer)}.{leaf}"
        return Piece(
            (Source(full, stored[::-1], take=lambda x: take(x.T)) if turned else Source(full, stored, take=take),)
        )

    def _found(self, ways: list[Piece], *, needed: bool = True) -> Piece:
        """Choose the way that the checkpoint goes, with the full names of tensors, and note what is wrong with them."""
        there = [way for way in ways if any(source.name in self.by_core for source in way.sources)]
        if not there and not needed:
            return Piece(())
        if not there:
            self.missing[" or ".join(way.sources[0].name for way in ways)] = None
            return ways[0]
        return replace(there[0], sources=tuple(map(self._named, there[0].sources)))

    def _named(self, source: Source) -> Source:
        if source.name not in self.by_core:
            self.missing[source.name] = None
            return source
        names = self.by_core[source.name]
        if len(names) > 1:
            self.misshapen[f"{' and '.join(names)} are one parameter"] = None
        self.used.update(names)
        if (found := self.checkpoint.shape(names[0])) != source.shape:
            self.misshapen[f"{names[0]} is {list(found)}, expected {list(source.shape)}"] = None
        elif (kind := self.checkpoint.dtype(names[0])) not in READABLE:
            self.misshapen[f"{names[0]} is stored as {kind}, which is quantised or no number"] = None
        return replace(source, name=names[0])

    def check(self, model_type: str, ignored: Callable[[str], bool]) -> None:
        """Raise InputError if tensors are missing, not as expected or unused; `ignored` says which may be unused."""
        unused = sorted(name for name in self.checkpoint.names - self.used if not ignored(name))
        wrong = {"missing": [*self.missing], "not as expected": [*self.misshapen], "unused": unused}
        if not any(wrong.values()):
            return
        lines = [f"{len(names)} {what}: {_listed(names)}" for what, names in wrong.items() if names]
        problem = f"the tensors of {self.checkpoint.name!r} are not those of a {model_type}:\n  " + "\n  ".join(lines)
        accepted = "every tensor of the model, in its shape, with or without the base model's prefix, and no other"
        raise InputError(problem, accepted, "save the whole model with save_pretrained, or correct config.json")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _part_of_qkv(x: np.ndarray, part: str, config: DecoderConfig, layout: FusedLayout) -> np.ndarray:
    """Take queries, keys or values out of the rows of a fused tensor."""
    shared, groups, width = config.heads_per_group, config.key_value_heads, config.head_width
    if layout == "grouped":
        x = x.reshape(groups, shared + 2, width, *x.shape[1:])
        chosen = {"query": slice(0, shared), "key": slice(shared, shared + 1), "value": slice(shared + 1, None)}[part]
        return x[:, chosen].reshape(-1, *x.shape[3:])
    if layout == "quarters":
        return x.reshape(4, 3, -1, *x.shape[1:])[:, ("query", "value", "key").index(part)].reshape(-1, *x.shape[1:])
    sizes = np.cumsum([0, config.heads * width, groups * width, groups * width])
    place = ("query", "key", "value").index(part)
    return x[sizes[place] : sizes[place + 1]]
