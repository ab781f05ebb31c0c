"""What the metadata of a GGUF file says of a model: keys that may change the result are read, or refused by name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.gguf_files import GgufHeader

# Keys that change no result here: what sizes of tensors say as well, and what tells where a model comes from.
PASSED_OVER = ("vocab_size", "rope.scaling.finetuned", "tensor_data_layout")
# Keys that say what is the case of every model that is read, and the values that say it.
EXPECTED: Mapping[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "use_parallel_residual": (False,),
    "expert_count": (0,),
    "expert_used_count": (0,),
}
FIX = "use another file of the model, or its safetensors"


@dataclass
class GgufMetadata:
    """The keys of a file's architecture, which remembers what was asked for.

    Attributes
    ----------
    header
        The file.
    architecture
        The first part of the keys.
    asked
        Keys that were read.
    """

    header: GgufHeader
    architecture: str
    asked: set[str] = field(default_factory=set)

    def _refuse(self, key: str, value: object, accepted: str) -> InputError:
        problem = f"{self.architecture}.{key} is {excerpt(repr(value), 80)} in {self.header.file.name}"
        return InputError(problem, accepted, FIX)

    def _value(self, key: str, default: object, holds: Callable[[Any], bool], accepted: str) -> Any:
        self.asked.add(key)
        value = self.header.metadata.get(f"{self.architecture}.{key}", default)
        if value is None:
            problem = f"{self.header.file.name} lacks {self.architecture}.{key}"
            raise InputError(problem, f"a file that has it, {accepted}", FIX)
        if not holds(value):
            raise self._refuse(key, value, accepted)
        return value

    def has(self, key: str) -> bool:
        """Say whether there is a key."""
        return f"{self.architecture}.{key}" in self.header.metadata

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number of zero or more."""
        return self._value(key, default, lambda value: type(value) is int and value >= 0, "a whole number")

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""

        def holds(value: Any) -> bool:
            return type(value) in (int, float) and math.isfinite(value)

        return float(self._value(key, default, holds, "a finite number"))

    def text(self, key: str, default: str) -> str:
        """Return a text."""
        return self._value(key, default, lambda value: isinstance(value, str), "a text")

    def check_all_read(self) -> None:
        """Refuse keys of the architecture that nobody has asked for."""
        for whole_key, value in self.header.metadata.items():
            architecture, dot, key = whole_key.partition(".")
            if architecture != self.architecture or not dot or key in self.asked or key in PASSED_OVER:
                continue
            if key in EXPECTED:
                if value not in EXPECTED[key]:
                    raise self._refuse(key, value, f"{EXPECTED[key][0]}")
            else:
                raise self._refuse(key, value, "a file without it, since what it says is not covered")
