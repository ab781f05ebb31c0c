"""Decoders with initial weights, and trained ones as checkpoints in the format of Hugging Face transformers."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from families import SPECIAL
from flax import nnx
from safetensors.numpy import save
from tokenizers import Tokenizer

from bayeslaw.errors import InputError, check_choice
from bayeslaw.storage import atomic_folder
from inference.checkpoints.checkpoint_config import decoder_config
from inference.checkpoints.quiet import quiet_transformers
from inference.checkpoints.weights import DTYPES
from inference.decoder.configuration import DecoderConfig
from inference.decoder.families import FAMILIES
from inference.decoder.layer_plan import WeightPlace, place_of
from inference.decoder.tensor_names import PARTS
from inference.decoder.transformer import Decoder

WEIGHTS = "model.safetensors"
FILES = frozenset({"config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"})
QKV = tuple(f"attention.{part}" for part in PARTS if part != "output")
HEAD = "head"
# What writes into the residual stream.
BRANCH_ENDS = (("attention", "output"), ("mlp", "down"))


@dataclass(frozen=True)
class Architecture:
    """What transformers calls a model that is saved.

    Attributes
    ----------
    name
        Class of the model with its head.
    base
        Prefix of every tensor but the head's.
    """

    name: str
    base: str


ARCHITECTURES = {
    "llama": Architecture("LlamaForCausalLM", "model"),
    "qwen3": Architecture("Qwen3ForCausalLM", "model"),
    "gpt2": Architecture("GPT2LMHeadModel", "transformer"),
    "gpt_neox": Architecture("GPTNeoXForCausalLM", "gpt_neox"),
}


def read_config(config: Mapping[str, Any]) -> DecoderConfig:
    """Read what a decoder is made of.

    Parameters
    ----------
    config
        Content of a ``config.json``.

    Returns
    -------
    DecoderConfig
        The description of the decoder.

    Raises
    ------
    InputError
        If the model is none that can be saved, or its configuration cannot be used.
    """
    return decoder_config(_transformers_config(config))


def new_decoder(config: Mapping[str, Any], seed: int) -> Decoder:
    """Make a decoder with initial weights.

    Parameters
    ----------
    config
        Content of a ``config.json``.
    seed
        Of the weights.

    Returns
    -------
    Decoder
        Matrices and embeddings are Normal with a variance of 2 / (5 columns) (Nguyen and Salazar, Transformers without
        Tears, 2019), which keeps activations alike at every width; those that write into the residual stream are
        divided by the root of their number (Radford et al., Language Models are Unsupervised Multitask Learners, 2019).
        Norm weights are one and biases zero.

    Raises
    ------
    InputError
        If the model is none that can be saved, or its configuration cannot be used.
    """
    decoder = Decoder(read_config(config))
    rng = np.random.default_rng(seed)
    filled = {}
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        values = _initial(rng, place_of(path, decoder.config.layer_plan), variable.shape, depth=decoder.config.depth)
        filled[path] = variable.replace(jnp.asarray(values))
    nnx.update(decoder, nnx.from_flat_state(filled))
    return decoder


def _initial(rng: np.random.Generator, place: WeightPlace, shape: tuple[int, ...], *, depth: int) -> np.ndarray:
    if place.leaf == "bias":
        return np.zeros(shape, np.float32)
    if place.stem[-1].endswith("norm"):
        return np.ones(shape, np.float32)
    deviation = math.sqrt(2 / (5 * shape[-1]))
    if place.stem in BRANCH_ENDS:
        deviation /= math.sqrt(len(BRANCH_ENDS) * depth)
    return np.float32(deviation) * rng.standard_normal(shape, np.float32)


def _transformers_config(config: Mapping[str, Any]) -> Any:
    model_type = check_choice("model_type", config.get("model_type", ""), ARCHITECTURES)
    with quiet_transformers():
        from transformers.models.auto.configuration_auto import AutoConfig

        stated = {name: value for name, value in config.items() if name != "model_type"}
        return AutoConfig.for_model(model_type, **stated)


def save_checkpoint(
    folder: Path, decoder: Decoder, config: Mapping[str, Any], tokenizer: Tokenizer, *, dtype: str = "float32"
) -> None:
    """Save a model so that `inference.load` and PyTorch transformers both read it.

    Parameters
    ----------
    folder
        Where to. It appears whole or not at all; an empty folder or an earlier checkpoint is replaced.
    decoder
        The model.
    config
        The content of a ``config.json`` that it was made of.
    tokenizer
        Its tokenizer, with a special token ``<|endoftext|>`` for the beginning and the end of a text.
    dtype
        Type the weights are stored in: float32, bfloat16 or float16.

    Raises
    ------
    InputError
        If decoder, configuration and tokenizer do not belong together, weights are not finite, or the folder cannot be
        written.
    """
    check_choice("dtype", dtype, DTYPES)
    hf = _transformers_config(config)
    end = _check_parts(decoder, hf, tokenizer)
    hf.update({"architectures": [ARCHITECTURES[hf.model_type].name], "dtype": dtype})
    hf.update({"bos_token_id": end, "eos_token_id": end})
    with np.errstate(over="ignore"):
        kind = jnp.dtype(dtype)
        tensors = {name: values.astype(kind) for name, values in checkpoint_tensors(decoder, config).items()}
    broken = [name for name, values in tensors.items() if not np.isfinite(values.astype(np.float32)).all()]
    if broken:
        raise InputError(f"{broken[0]} is not finite in {dtype}", "finite weights", "train again, at a lower rate")
    with atomic_folder(Path(folder), "checkpoint", replaceable=_is_checkpoint) as whole:
        # Written here, since the library's own writing leaves a file that only its owner may read.
        (whole / WEIGHTS).write_bytes(save(tensors, {"format": "pt"}))
        hf.save_pretrained(whole)
        _save_tokenizer(whole, tokenizer, length=decoder.config.max_length)


def _is_checkpoint(folder: Path) -> bool:
    foreign = sorted({entry.name for entry in folder.iterdir()} - FILES)
    if foreign:
        problem = f"the folder {str(folder)!r} holds {foreign[0]!r}, which is no part of a checkpoint"
        raise InputError(problem, "a new or empty folder, or an earlier checkpoint", "name another folder")
    return True


def _check_parts(decoder: Decoder, hf: Any, tokenizer: Tokenizer) -> int:
    """Return the id of the token that ends a text."""
    if decoder_config(hf) != decoder.config:
        fix = "save it with the configuration it was made of"
        raise InputError("the decoder is not of this configuration", "a decoder and its own config.json", fix)
    end = tokenizer.token_to_id(SPECIAL)
    if end is None:
        problem = f"the tokenizer has no token {SPECIAL!r}"
        raise InputError(problem, "a tokenizer with a token that ends texts", "train the tokenizer with it")
    if (size := tokenizer.get_vocab_size()) > decoder.config.vocabulary:
        problem = f"the tokenizer has {size} tokens, and the decoder's embedding {decoder.config.vocabulary} rows"
        raise InputError(problem, "a row for every token", "save the decoder with its own tokenizer")
    return end


def _save_tokenizer(folder: Path, tokenizer: Tokenizer, *, length: int) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        # The name that transformers before and after version 5 both know.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL,
        "eos_token": SPECIAL,
        "model_max_length": length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def checkpoint_tensors(decoder: Decoder, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a decoder's weights as its architecture stores them.

    Parameters
    ----------
    decoder
        The decoder.
    config
        The content of a ``config.json`` that it was made of; its ``model_type`` counts.

    Returns
    -------
    dict
        Tensors by their names in PyTorch. A head that is the embedding is not among them.

    Raises
    ------
    InputError
        If the ``model_type`` is none that can be saved.
    """
    model_type = check_choice("model_type", config.get("model_type", ""), ARCHITECTURES)
    tensors, base = FAMILIES[model_type].tensors, ARCHITECTURES[model_type].base
    stored = {}
    for (stem, leaf, layer), values in _with_fused(_by_layer(decoder), decoder, tensors.fused, tensors.names).items():
        name = tensors.names[stem]
        assert isinstance(name, str)
        turned = tensors.transposed and layer is not None and values.ndim == 2
        prefix = "" if stem == HEAD else f"{base}."
        stored[f"{prefix}{name.format(layer)}.{leaf}"] = np.ascontiguousarray(values.T if turned else values)
    return stored


# A parameter without its leaf, the leaf, and the layer or None.
Place = tuple[str, str, int | None]


def _by_layer(decoder: Decoder) -> dict[Place, np.ndarray]:
    found: dict[Place, np.ndarray] = {}
    for path, variable in nnx.to_flat_state(nnx.state(decoder)):
        place, values = place_of(path, decoder.config.layer_plan), np.asarray(variable[...])
        stem = ".".join(place.stem)
        if place.layers is None:
            found[stem, place.leaf, None] = values
            continue
        for layer, of_layer in zip(place.layers, values, strict=True):
            found[stem, place.leaf, layer] = of_layer
    return found


def _with_fused(
    weights: Mapping[Place, np.ndarray], decoder: Decoder, layout: str, names: Mapping[str, Any]
) -> dict[Place, np.ndarray]:
    """Join queries, keys and values where a family stores them in one tensor."""
    if "attention.qkv" not in names:
        return dict(weights)
    joined = {place: values for place, values in weights.items() if place[0] not in QKV}
    for stem, leaf, layer in weights:
        if stem == QKV[0]:
            parts = [weights[part, leaf, layer] for part in QKV]
            joined["attention.qkv", leaf, layer] = _fuse(parts, decoder, layout)
    return joined


def _fuse(parts: list[np.ndarray], decoder: Decoder, layout: str) -> np.ndarray:
    """Join the rows of queries, keys and values; those of one group of heads lie together in ``"grouped"``."""
    if layout == "concatenated":
        return np.concatenate(parts)
    groups, width = decoder.config.key_value_heads, decoder.config.head_width
    by_group = [part.reshape(groups, -1, width, *part.shape[1:]) for part in parts]
    return np.concatenate(by_group, axis=1).reshape(-1, *parts[0].shape[1:])
