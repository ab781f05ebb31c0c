"""Names of the tensors that the newest allowed transformers writes, beside those in references of older ones.

Usage, in tests/, with PyTorch installed: python -m parity.saved_names [CASE ...]
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from parity.cases import CASES, Case
from parity.stored import read_reference

RECORD = Path(__file__).with_name("saved_names.json")
FORMS = {"original": True, "modules": False}
"""The names that ``save_pretrained`` writes by default, and those with ``save_original_format=False``."""


def read_record() -> dict[str, Any]:
    """Return the version of transformers that wrote the names, and by form how a case differs from its reference."""
    return json.loads(RECORD.read_text())


def changes(case: Case, shapes: dict[str, list[int]]) -> dict[str, Any]:
    """Return how tensors differ from those of a case's reference.

    Parameters
    ----------
    case
        The case.
    shapes
        Shapes by name, those of all layers once, as `parity.make_references.collapse` returns them.

    Returns
    -------
    dict
        ``without``: names that the reference alone has; ``with``: shapes, by name, of those that it has not. Empty
        where there is no difference.
    """
    known = read_reference(case.name)["shapes"]
    lacking = sorted(known.keys() - shapes.keys())
    more = {name: shape for name, shape in sorted(shapes.items()) if known.get(name) != shape}
    return ({"without": lacking} if lacking else {}) | ({"with": more} if more else {})


def saved_shapes(case: Case, form: str) -> dict[str, list[int]]:
    """Return the shapes of the tensors that the transformers of the record writes, those of all layers once."""
    change = read_record()[form][case.name]
    known = read_reference(case.name)["shapes"].items()
    kept = {name: shape for name, shape in known if name not in change.get("without", ())}
    return kept | change.get("with", {})


def main(names: list[str]) -> None:
    """Write the record of all cases, or what it says of those named."""
    import transformers
    from parity.make_references import collapse, saved_model

    record: dict[str, Any] = {"transformers": transformers.__version__} | {form: {} for form in FORMS}
    if names and read_record()["transformers"] == transformers.__version__:
        record = read_record()
    for form, original in FORMS.items():
        for name in names or CASES:
            with tempfile.TemporaryDirectory() as folder:
                _, shapes = saved_model(CASES[name], Path(folder), original=original)
            record[form][name] = changes(CASES[name], collapse(shapes))
            print(form, name, record[form][name] or "as in its reference", flush=True)
        record[form] = {name: record[form][name] for name in CASES if name in record[form]}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
