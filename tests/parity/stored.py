"""What is stored of a case: its configuration, its tensors' shapes and what the reference says of it."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "references"


@cache
def read_reference(name: str) -> dict[str, Any]:
    """Return what is stored of a case."""
    return json.loads((FOLDER / f"{name.replace('/', '-')}.json").read_text())


def tensor_shapes(name: str) -> dict[str, list[int]]:
    """Return the shape of every tensor of a case's checkpoint."""
    return spread(read_reference(name)["shapes"])


def spread(collapsed: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Write the tensors of layers one by one: ``layers.{4}.norm`` of the first four, ``layers.{1,3}.norm`` of two."""
    shapes = {}
    for tensor, shape in collapsed.items():
        layers = re.search(r"\{([\d,]+)\}", tensor)
        names = [tensor.replace(layers[0], str(i)) for i in _numbers(layers[1])] if layers else [tensor]
        shapes |= dict.fromkeys(names, shape)
    return shapes


def _numbers(written: str) -> list[int]:
    """Read ``"4"`` as the first four layers, and ``"1,3"`` or ``"3,"`` as those."""
    return [int(number) for number in written.split(",") if number] if "," in written else list(range(int(written)))
