"""A GGUF file as a checkpoint: settings, names and tensors as transformers has them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.gguf_architectures import ROPE_DIVISORS, GgufArchitecture, architecture_of, part_of_layer
from inference.checkpoints.gguf_files import GgufHeader, read_gguf_header
from inference.checkpoints.gguf_metadata import FIX, GgufMetadata
from inference.checkpoints.gguf_tensors import PLAIN, GgufTensor, check_apart, check_gguf_package, gguf_tensor
from inference.checkpoints.safetensors_files import TensorPlace
from inference.checkpoints.scaled_tensors import TurnedTensor
from inference.checkpoints.stored_tensors import StoredTensor

# How many files a model is cut into.
PARTS = "split.count"


def read_gguf(file: Path) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """Read what a GGUF file holds; no large tensor is read yet.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    dict
        The configuration that transformers has of the model.
    dict
        Its tensors by the names that transformers gives them.

    Raises
    ------
    InputError
        If the `gguf` package is not installed, the file is damaged, or its architecture, one of its settings or the
        type of a tensor is not covered.
    """
    check_gguf_package(str(file))
    header = read_gguf_header(file)
    _check_whole(header)
    name, architecture = architecture_of(header)
    stored = {tensor: gguf_tensor(header, tensor) for tensor in header.tensors}
    check_apart(header, stored)
    metadata = GgufMetadata(header, name)
    config = architecture.settings(metadata, stored)
    metadata.check_all_read()
    _check_counts(header, config)
    needed = {tensor: place for tensor, place in stored.items() if tensor not in ROPE_DIVISORS}
    tensors = {
        architecture.name(tensor): _as_model(tensor, place, architecture, config) for tensor, place in needed.items()
    }
    if len(tensors) < len(needed):
        raise InputError(f"two tensors of {file.name} have one name in transformers", "one tensor for each", FIX)
    return config, tensors


def _check_whole(header: GgufHeader) -> None:
    # Files that were joined again say 0.
    if (parts := header.metadata.get(PARTS, 0)) not in (0, 1):
        problem = f"{header.file.name} is one of {excerpt(repr(parts), 20)} files of a model"
        raise InputError(problem, "a model in one file", "join them with llama-gguf-split --merge")


def _check_counts(header: GgufHeader, config: dict[str, Any]) -> None:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list) and len(tokens) != config["vocab_size"]:
        problem = (
            f"{header.file.name} names {len(tokens):,} tokens, and its embedding has {config['vocab_size']:,} rows"
        )
        raise InputError(problem, "as many of either", FIX)


def _as_model(name: str, tensor: GgufTensor, architecture: GgufArchitecture, config: dict[str, Any]) -> StoredTensor:
    """Undo what the writer of the file changed in a tensor."""
    part = part_of_layer(name)
    if (counted := (architecture.paired or {}).get(part)) is not None:
        heads = config[counted]
        if heads < 1 or tensor.shape[0] % (2 * heads):
            problem = f"{name} has {tensor.shape[0]} rows for {heads} heads"
            raise InputError(problem, "an even number for each head", FIX)
        return replace(tensor, paired_heads=heads)
    if part in architecture.turned and len(tensor.shape) == 2:
        return TurnedTensor(tensor)
    if architecture.shifted and name.endswith("norm.weight"):
        return replace(tensor, shift=-1.0)
    if tensor.kind in PLAIN:
        return TensorPlace(tensor.place.file, PLAIN[tensor.kind], tensor.shape, tensor.place.start, tensor.place.size)
    return tensor
