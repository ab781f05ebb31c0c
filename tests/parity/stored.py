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
    """Write the tensors that every layer has, ``layers.{4}.norm``, once for each layer."""
    shapes = {}
    for tensor, shape in collapsed.items():
        layers = re.search(r"\{(\d+)\}", tensor)
        names = [tensor.replace(layers[0], str(i)) for i in range(int(layers[1]))] if layers else [tensor]
        shapes |= dict.fromkeys(names, shape)
    return shapes
