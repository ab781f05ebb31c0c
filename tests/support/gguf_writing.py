"""GGUF files of parity cases, written as llama.cpp's converter does with the `gguf` package and its names."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from parity.checkpoints import read_reference, tensor_shapes
from parity.seeded import seeded_tensor
from tokenizers import Tokenizer

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
}
TURNED = re.compile(r"\.(c_attn|c_proj|c_fc)\.weight$")


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of queries or keys as the converter does for llama."""
    halves = weights.reshape(heads, 2, len(weights) // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def converted(name: str, values: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """Change a tensor of transformers as the converter does."""
    family = config["model_type"]
    if family in ("llama", "mistral") and re.search(r"[qk]_proj\.(weight|bias)$", name):
        heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
        return permuted(values, heads)
    if family.startswith("gemma") and name.endswith("norm.weight"):
        return values + np.float32(1)
    if family == "gpt2" and TURNED.search(name):
        return values.T
    return values


def write_gguf(
    file: Path,
    case: str,
    *,
    kind: str = "F32",
    change: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
) -> Path:
    """Write the checkpoint of a case."""
    weights = {name: seeded_tensor(case, name, shape) for name, shape in tensor_shapes(case).items()}
    return write_model(file, read_reference(case)["config"], weights, kind=kind, change=change)


def write_model(
    file: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    *,
    kind: str = "F32",
    change: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
) -> Path:
    """Write a model; matrices whose rows are whole blocks in `kind`, all else in float32."""
    architecture = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[architecture])
    add_settings(writer, config)
    names = gguf.get_tensor_name_map(architecture, config.get("num_hidden_layers") or config["n_layer"])
    quantised = gguf.GGMLQuantizationType[kind]
    for name, values in weights.items():
        stored = np.ascontiguousarray(converted(name, values, config))
        as_kind = stored.ndim == 2 and stored.shape[1] % gguf.GGML_QUANT_SIZES[quantised][0] == 0
        called = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert called is not None, name
        raw = gguf.quants.quantize(stored, quantised) if as_kind else stored
        writer.add_tensor(called, raw, raw_dtype=quantised if as_kind else None)
    change(writer)
    finish(writer)
    return file


def token_types(state: Mapping[str, Any], tokens: Sequence[str]) -> list[int]:
    """Return the type of each token of a tokenizer."""
    added = {token["content"]: token["special"] for token in state["added_tokens"]}
    kinds = []
    for token in tokens:
        special = added.get(token)
        kind = gguf.TokenType.NORMAL if special is None else gguf.TokenType.USER_DEFINED
        kind = gguf.TokenType.CONTROL if special else kind
        kind = gguf.TokenType.UNKNOWN if token == "<unk>" else kind
        kinds.append(gguf.TokenType.BYTE if re.fullmatch(r"<0x[0-9A-F]{2}>", token) else kind)
    return [int(kind) for kind in kinds]


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, model: str, /, **fields: object) -> None:
    """Add a tokenizer as the converter does; fields are changed, or left out where None."""
    state = json.loads(tokenizer.to_str())
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])]
    keys: dict[str, Any] = {"model": model, "tokens": tokens, "token_type": token_types(state, tokens)}
    if model == "gpt2":
        keys["merges"] = [" ".join(pair) for pair in state["model"]["merges"]]
    else:
        # Pieces in the order of their merges, as SentencePiece numbers them.
        keys["scores"] = [-float(number) if kind == 1 else 0.0 for number, kind in enumerate(keys["token_type"])]
    add = {str: writer.add_string, list: writer.add_array, bool: writer.add_bool, int: writer.add_uint32}
    for name, value in (keys | fields).items():
        if value is not None:
            add[type(value)](f"tokenizer.ggml.{name}", value)


def finish(writer: gguf.GGUFWriter) -> None:
    """Write out what was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_settings(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    """Add what the converter says of a model."""
    if config["model_type"] == "gpt2":
        writer.add_block_count(config["n_layer"])
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(4 * config["n_embd"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    heads, width = config["num_attention_heads"], config["hidden_size"]
    head = config.get("head_dim") or width // heads
    rope = config["rope_parameters"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads", heads))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(0)
    if config["model_type"] not in ("phi3",):
        writer.add_key_length(head)
        writer.add_value_length(head)
    writer.add_rope_dimension_count(int(head * rope.get("partial_rotary_factor", 1.0)))
    if window := config.get("sliding_window") if config["model_type"] in ("mistral", "gemma2", "phi3") else None:
        writer.add_sliding_window(window)
    if config["model_type"] == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    add_rope_scaling(writer, config, rope)


def add_rope_scaling(writer: gguf.GGUFWriter, config: Mapping[str, Any], rope: Mapping[str, Any]) -> None:
    """Add how a rotary embedding is scaled."""
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", np.array(llama3_divisors(config, rope), np.float32))
    if kind == "longrope":
        original = rope.get("original_max_position_embeddings") or config["original_max_position_embeddings"]
        scale = config["max_position_embeddings"] / original
        writer.add_rope_scaling_orig_ctx_len(original)
        factor = np.sqrt(1 + np.log(scale) / np.log(original)) if scale > 1 else 1.0
        writer.add_rope_scaling_attn_factors(float(factor))
        writer.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], np.float32))


def llama3_divisors(config: Mapping[str, Any], rope: Mapping[str, Any]) -> Sequence[float]:
    """Return by how much each frequency is divided, as the converter computes it."""
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    frequencies = 1.0 / rope["rope_theta"] ** (np.arange(0, head, 2, dtype=np.float32) / head)
    low, high, original = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    divisors = []
    for frequency in frequencies:
        length = 2 * np.pi / frequency
        if length < original / high:
            divisors.append(1.0)
        elif length > original / low:
            divisors.append(rope["factor"])
        else:
            smooth = (original / length - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return divisors
