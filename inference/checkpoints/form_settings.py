"""What a ``quantization_config`` says, checked where it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt

# What lists the modules that are not quantised.
EXCLUSIONS = ("modules_to_not_convert", "ignored_layers", "ignore")
LARGEST_BLOCK = 1 << 31
FIX = "correct config.json, or use the checkpoint it was made from"


@dataclass(frozen=True)
class FormSettings:
    """A ``quantization_config``.

    Attributes
    ----------
    content
        Its fields.
    where
        The checkpoint, for messages.
    """

    content: Mapping[str, Any]
    where: str

    def refuse(self, name: str, accepted: str, *, value: object = None) -> InputError:
        """Return the error of a field; its value is looked up unless it is given."""
        found = excerpt(repr(self.content.get(name) if value is None else value), 80)
        return InputError(f"{name} is {found} in the quantization_config of {self.where}", accepted, FIX)

    def pair(self, name: str) -> tuple[int, int] | None:
        """Return two sizes, or None where there are none."""
        return sizes_of_block(self.content.get(name), lambda: self.refuse(name, "two whole numbers above 0, or null"))

    def check_quantised(self, tensor: str) -> None:
        """Refuse a quantised tensor whose module is listed as not quantised.

        Only plain names are compared, not regular expressions, which a file of unknown origin could make run for ever:
        what is read depends on how each tensor is stored, never on these lists.
        """
        module = tensor.rpartition(".")[0]
        for name in EXCLUSIONS:
            listed = self.content.get(name) or ()
            if not isinstance(listed, list | tuple) or not all(isinstance(entry, str) for entry in listed):
                raise self.refuse(name, "a list of names of modules")
            excluded = next((e for e in listed if module == e or module.startswith(f"{e}.")), None)
            if excluded is not None:
                problem = f"{tensor} in {self.where} is quantised, and {name} lists {excerpt(repr(excluded), 80)}"
                raise InputError(problem, "modules that are listed stored as they are", FIX)


def sizes_of_block(value: Any, refusal: Callable[[], InputError]) -> tuple[int, int] | None:
    """Return two sizes of a list, None of None; raise what `refusal` makes of anything else."""
    if value is None:
        return None
    whole = isinstance(value, list | tuple) and len(value) == 2
    if not whole or any(isinstance(size, bool) or not isinstance(size, int) for size in value):
        raise refusal()
    if not all(0 < size < LARGEST_BLOCK for size in value):
        raise refusal()
    return value[0], value[1]
