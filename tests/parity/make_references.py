"""Run every case through PyTorch transformers and store what it says; needs PyTorch, which nothing else here does.

Usage, in tests/: python -m parity.make_references [CASE ...]
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
import transformers
from parity.cases import CASES, Case
from parity.seeded import scored_vocabulary, seeded_ids, seeded_tensor
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

FOLDER = Path(__file__).parent / "references"
# How buffers of linear attention are called: its rates of forgetting.
DETERMINED = (".slope_rate", ".query_decay", ".key_decay", ".diagonal_decay")
# Positions of the first text whose whole distribution is kept, counted from both ends.
KEPT = (0, 9, -1)


def reference_model(case: Case, folder: Path, **options: Any) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Return the reference with seeded weights, read from a checkpoint as users have it, and its tensors' shapes."""
    config = CONFIG_MAPPING[case.model_type](**case.settings)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    shapes = stored_shapes(folder)
    weights = {name: seeded_tensor(case.name, name, shape) for name, shape in shapes.items()}
    weights |= kept_tensors(folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    # Experts one after the other: the reference's joined products of all experts know no float64.
    kinds = {"attn_implementation": case.attention, "experts_implementation": "eager"}
    options = {"dtype": torch.float32} | kinds | options
    model, loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if loaded[kind]:
            raise SystemExit(f"{case.name}: {kind} {loaded[kind]}")
    return model.eval(), shapes


def kept_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint that its configuration determines, which are no weights."""
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.endswith(DETERMINED)}  # noqa: SIM118


def stored_shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shapes of the tensors of a checkpoint."""
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def saved_model(case: Case, folder: Path, *, original: bool) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Return the reference as ``save_pretrained`` leaves it in a folder, after it was read, and its tensors' shapes.

    The names are the original ones of its family, as by default, or those of the modules of transformers.
    """
    with tempfile.TemporaryDirectory() as name:
        model, _ = reference_model(case, Path(name))
    model.save_pretrained(folder, save_original_format=original)
    return model, stored_shapes(folder)


def log_probabilities(model: torch.nn.Module, ids: np.ndarray) -> np.ndarray:
    """Return log-probabilities after every token but the last, [token - 1, vocabulary], of one text without padding."""
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids)[None], use_cache=False).logits[0, :-1]
    return torch.log_softmax(logits, -1).numpy()


def of_targets(log_probs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the log-probability of each token but the first, [token - 1]."""
    return log_probs[np.arange(len(ids) - 1), ids[1:]]


def make_reference(case: Case) -> dict[str, Any]:
    """Return what is stored of a case."""
    with tempfile.TemporaryDirectory() as name:
        model, shapes = reference_model(case, Path(name))
        config = json.loads((Path(name) / "config.json").read_text())
        exact = reference_model(case, Path(name), dtype=torch.float64)[0]
    texts = seeded_ids(case.name, case.lengths, scored_vocabulary(config))
    runs = [log_probabilities(model, ids) for ids in texts]
    # Some families make numbers of their own in the default type.
    torch.set_default_dtype(torch.float64)
    worst = max(np.abs(run - log_probabilities(exact, ids)).max() for run, ids in zip(runs, texts, strict=True))
    torch.set_default_dtype(torch.float32)
    targets = [of_targets(run, ids) for run, ids in zip(runs, texts, strict=True)]
    print(f"{case.name:24s} rounding {worst:.1e}, spread {runs[0].std():.2f}", flush=True)
    return {
        "config": config,
        "shapes": collapse(shapes),
        "log_probabilities": [_numbers(values) for values in targets],
        "distributions": {position: _numbers(runs[0][position]) for position in KEPT},
    }


def collapse(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    """Write the tensors of layers once, with the number of the first layers that have them: ``layers.{4}.norm``.

    Those of other layers name them: ``layers.{1,3}.norm`` is that of two layers, and ``layers.{3,}.norm`` that of one.
    Layers in which a tensor has another shape stand apart.
    """
    found: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, shape in shapes.items():
        found.setdefault((re.sub(r"\.\d+\.", ".#.", name, count=1), tuple(shape)), []).append(name)
    collapsed = {}
    for (name, first), many in found.items():
        numbers = sorted(int(layer[1]) for one in many if (layer := re.search(r"\.(\d+)\.", one)))
        chosen = ",".join(map(str, numbers)) + ("," if len(numbers) == 1 else "")
        written = len(many) if numbers == list(range(len(many))) else chosen
        collapsed[name.replace("#", f"{{{written}}}")] = list(first)
    return collapsed


def _numbers(values: np.ndarray) -> list[float]:
    return [float(f"{value:.9g}") for value in values]


def main(names: list[str]) -> None:
    """Write the references of the cases named, or of all."""
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    FOLDER.mkdir(exist_ok=True)
    for name in names or CASES:
        file = FOLDER / f"{name.replace('/', '-')}.json"
        text = json.dumps(make_reference(CASES[name]), sort_keys=True)
        file.write_text(text.replace('], "', '],\n"').replace('}, "', '},\n"') + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
