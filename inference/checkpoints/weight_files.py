"""Which files make up a checkpoint, and which of them hold its weights."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_files import MEBIBYTE, read_regular
from bayeslaw.inputs.foreign_json import parse_json

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
)
# Settings have kilobytes, vocabularies and indices of the largest models tens of mebibytes.
LARGEST_JSON = 256 * MEBIBYTE
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
OTHER_WEIGHTS = (".gguf", ".h5", ".msgpack", ".onnx", ".npz")
ACCEPTED = f"{CONFIG} beside {SINGLE}, or {INDEX} and the shards it names"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one table.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        If it cannot be read, is not JSON in UTF-8, or holds something else than a table.
    """
    where = f"{path.name} in {str(path.parent)!r}"
    fix = "copy or download the file again"
    try:
        content = parse_json(read_regular(path, most=LARGEST_JSON).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror or error}", "a JSON file", fix) from error
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}", "a JSON file in UTF-8", fix) from error
    if not isinstance(content, dict):
        raise InputError(f"{where} holds no table but a {type(content).__name__}", 'JSON such as {"name": value}', fix)
    return content


def choose_weights(files: Collection[str], where: str) -> str:
    """Say which file leads to the weights.

    Where a single file and an index are both there the single file is taken, as transformers does.

    Parameters
    ----------
    files
        Names of the files in the folder or repository.
    where
        The folder or repository, for messages.

    Returns
    -------
    str
        ``"model.safetensors"`` or ``"model.safetensors.index.json"``.

    Raises
    ------
    InputError
        If the configuration is missing, or there are no weights in safetensors.
    """
    if CONFIG not in files:
        raise InputError(f"{where} has no {CONFIG}", ACCEPTED, "name a folder or model saved by save_pretrained")
    for name in (SINGLE, INDEX):
        if name in files:
            return name
    raise _without_weights(sorted(files), where)


def _without_weights(files: list[str], where: str) -> InputError:
    near = [name for name in files if name.endswith(".safetensors")]
    if near:
        problem = f"{where} has {near[0]!r} and neither {SINGLE} nor {INDEX}"
        return InputError(problem, ACCEPTED, "save the whole model (adapters merged) with save_pretrained")
    pickles = [name for name in files if name.endswith(PICKLES)]
    if pickles:
        problem = f"{where} has its weights as {pickles[0]!r} only, a pickle, which could run any program when read"
        fix = (
            "convert to safetensors where you trust the file: transformers' save_pretrained writes it; on the hub look "
            "for a revision that has it, such as id@refs/pr/1"
        )
        return InputError(problem, ACCEPTED, fix)
    others = [name for name in files if name.endswith(OTHER_WEIGHTS)]
    if others:
        fix = "convert them to safetensors"
        if others[0].endswith(".gguf"):
            fix = f"name the path of {others[0]} itself on this machine, or {fix}"
        return InputError(f"{where} has its weights as {others[0]!r} only", ACCEPTED, fix)
    return InputError(f"{where} has no weights", ACCEPTED, f"put {SINGLE} beside {CONFIG}, or name another model")


def read_index(path: Path) -> dict[str, str]:
    """Read which shard holds each tensor.

    Parameters
    ----------
    path
        ``model.safetensors.index.json``.

    Returns
    -------
    dict
        The shard's path inside the folder, by name of the tensor.

    Raises
    ------
    InputError
        If the file is not such an index, or a shard would lie outside the folder.
    """
    shards = read_json(path).get("weight_map")
    where = f"{path.name} in {str(path.parent)!r}"
    accepted = "a weight_map from tensors to safetensors files inside the folder"
    if not isinstance(shards, dict) or not shards:
        raise InputError(f"{where} names no shards", accepted, "copy or download the file again")
    for shard in dict.fromkeys(map(str, shards.values())):
        # Only the spelling counts: in the hub's cache every file is a link to a place outside the folder.
        parts = PurePosixPath(shard).parts
        inside = bool(parts) and not shard.startswith("/") and ".." not in parts and not set(shard) & set("\\:\0")
        if not inside or not shard.endswith(".safetensors"):
            raise InputError(f"{where} names the shard {shard!r}", accepted, "do not use files from this source")
    return {name: str(shard) for name, shard in shards.items()}
