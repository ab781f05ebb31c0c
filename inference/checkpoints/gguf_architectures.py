"""Which decoder a GGUF file holds: its settings as transformers has them, and the names of its tensors.

What the writer of these files changes is undone: llama's queries and keys lie in pairs, gemma's norms have one added,
gpt2's matrices are turned, and scaled rotary embeddings come as tensors of divisors.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.gguf_files import GgufHeader
from inference.checkpoints.gguf_metadata import FIX, GgufMetadata
from inference.checkpoints.gguf_tensors import GgufTensor, small_numbers

Settings = dict[str, Any]
Tensors = Mapping[str, GgufTensor]
ROPE_DIVISORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
LAYER = re.compile(r"^blk\.(\d+)\.(.+)\.(weight|bias)$")
# Of a rotary embedding whose divisors are stored.
LONGROPE = "longrope"


@dataclass(frozen=True)
class GgufArchitecture:
    """How one architecture is stored.

    Attributes
    ----------
    settings
        Reads the configuration of transformers, `model_type` included.
    outside
        Names of tensors outside of layers: there, and in transformers.
    inside, prefix
        Names within a layer, without ``.weight`` or ``.bias``; what precedes them and the layer's number.
    paired
        Which of those have their rows in pairs where transformers has halves, and the setting that counts their heads.
    turned
        Which of those lie as [in, out] in transformers.
    shifted
        Whether norms have one added.
    """

    settings: Callable[[GgufMetadata, Tensors], Settings]
    outside: Mapping[str, str]
    inside: Mapping[str, str]
    prefix: str = "model.layers."
    paired: Mapping[str, str] | None = None
    turned: tuple[str, ...] = ()
    shifted: bool = False

    def name(self, stored: str) -> str:
        """Return the name that transformers gives a tensor; its own where there is none."""
        bare, _, leaf = stored.rpartition(".")
        if bare in self.outside:
            return f"{self.outside[bare]}.{leaf}"
        found = LAYER.match(stored)
        if found is None or found[2] not in self.inside:
            return stored
        return f"{self.prefix}{found[1]}.{self.inside[found[2]]}.{found[3]}"


def part_of_layer(stored: str) -> str:
    """Return the part of a layer that a tensor belongs to, or an empty text."""
    found = LAYER.match(stored)
    return found[2] if found else ""


def _rotary(metadata: GgufMetadata, tensors: Tensors, *, head_width: int) -> Settings:
    """Read the rotary embedding."""
    context = metadata.whole("context_length")
    found: Settings = {"rope_theta": metadata.number("rope.freq_base", 10_000.0), "rope_type": "default"}
    if (rotated := metadata.whole("rope.dimension_count", head_width)) != head_width and head_width:
        found["partial_rotary_factor"] = rotated / head_width
    kind = metadata.text("rope.scaling.type", "none")
    original = metadata.whole("rope.scaling.original_context_length", context)
    factor = metadata.number("rope.scaling.factor", 1.0)
    divisors = [small_numbers(tensors[name], name) for name in ROPE_DIVISORS if name in tensors]
    if divisors:
        # One tensor serves all lengths, of two the first serves those beyond the original.
        magnitude = metadata.number("rope.scaling.attn_factor", 1.0)
        found |= {"rope_type": LONGROPE, "long_factor": divisors[0], "short_factor": divisors[-1]}
        found |= {"original_max_position_embeddings": original, "attention_factor": magnitude}
    elif kind == "linear":
        found |= {"rope_type": "linear", "factor": factor}
    elif kind == "yarn":
        found |= {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    elif kind != "none":
        problem = f"{metadata.architecture}.rope.scaling.type is {excerpt(repr(kind), 60)}"
        raise InputError(problem, "none, linear or yarn, or tensors of divisors", FIX)
    return {"max_position_embeddings": context, "rope_parameters": found}


def _sizes(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    """Read what all architectures but gpt2 state."""
    width, heads = metadata.whole("embedding_length"), metadata.whole("attention.head_count")
    usual = width // heads if heads else 0
    head_width = metadata.whole("attention.key_length", usual)
    if (of_values := metadata.whole("attention.value_length", head_width)) != head_width:
        problem = f"heads of {metadata.header.file.name} have keys of {head_width} and values of {of_values} dimensions"
        raise InputError(problem, "as many of either", FIX)
    return {
        "vocab_size": _rows(metadata, tensors),
        "hidden_size": width,
        "intermediate_size": metadata.whole("feed_forward_length"),
        "num_hidden_layers": metadata.whole("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.whole("attention.head_count_kv", heads),
        "head_dim": head_width,
        "rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in tensors,
        **_rotary(metadata, tensors, head_width=head_width),
    }


def _rows(metadata: GgufMetadata, tensors: Tensors) -> int:
    if "token_embd.weight" not in tensors:
        raise InputError(f"{metadata.header.file.name} lacks token_embd.weight", "a file of a whole model", FIX)
    return tensors["token_embd.weight"].shape[0]


def _llama(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    biased = {"attention_bias": "blk.0.attn_q.bias" in tensors, "mlp_bias": "blk.0.ffn_up.bias" in tensors}
    return _sizes(metadata, tensors) | {"model_type": "llama"} | biased


def _windowed_or_not(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    """Read a llama, or a mistral: the two share a name, and a window tells them apart."""
    window = metadata.whole("attention.sliding_window", 0)
    found = _llama(metadata, tensors)
    if not window:
        return found
    return found | {"model_type": "mistral", "sliding_window": window}


def _qwen2(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    return _sizes(metadata, tensors) | {"model_type": "qwen2", "use_sliding_window": False}


def _qwen3(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    biased = {"attention_bias": "blk.0.attn_q.bias" in tensors}
    return _sizes(metadata, tensors) | {"model_type": "qwen3", "use_sliding_window": False} | biased


def _gemma(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    return _sizes(metadata, tensors) | {"model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"}


# The scale of attention is not stored: readers know the largest of the three models by its layers.
LARGEST_GEMMA2_LAYERS = 46


def _gemma2(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    found = _sizes(metadata, tensors)
    of_embedding = found["hidden_size"] // max(1, found["num_attention_heads"])
    largest = found["num_hidden_layers"] == LARGEST_GEMMA2_LAYERS
    return found | {
        "model_type": "gemma2",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": of_embedding if largest else found["head_dim"],
        "sliding_window": metadata.whole("attention.sliding_window"),
        "attn_logit_softcapping": metadata.number("attn_logit_softcapping"),
        "final_logit_softcapping": metadata.number("final_logit_softcapping"),
    }


def _phi3(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    # Zero says that there is none.
    window = metadata.whole("attention.sliding_window", 0) or None
    found = _sizes(metadata, tensors)
    original = found["rope_parameters"].get("original_max_position_embeddings", found["max_position_embeddings"])
    # Ids that the configuration would have of a model with another vocabulary.
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    scaled = {"original_max_position_embeddings": metadata.whole("rope.scaling.original_context_length", original)}
    return found | {"model_type": "phi3", "sliding_window": window} | ids | scaled


def _gpt2(metadata: GgufMetadata, tensors: Tensors) -> Settings:
    return {
        "model_type": "gpt2",
        "vocab_size": _rows(metadata, tensors),
        "n_embd": metadata.whole("embedding_length"),
        "n_inner": metadata.whole("feed_forward_length"),
        "n_layer": metadata.whole("block_count"),
        "n_head": metadata.whole("attention.head_count"),
        "n_positions": metadata.whole("context_length"),
        "layer_norm_epsilon": metadata.number("attention.layer_norm_epsilon"),
        "tie_word_embeddings": "output.weight" not in tensors,
    }


OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
INSIDE = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GEMMA2_INSIDE = INSIDE | {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
PHI3_INSIDE = INSIDE | {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
GPT2_OUTSIDE = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
GPT2_INSIDE = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
HEADS = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
ARCHITECTURES: dict[str, GgufArchitecture] = {
    "llama": GgufArchitecture(_windowed_or_not, OUTSIDE, INSIDE, paired=HEADS),
    "qwen2": GgufArchitecture(_qwen2, OUTSIDE, INSIDE),
    "qwen3": GgufArchitecture(_qwen3, OUTSIDE, INSIDE),
    "gemma": GgufArchitecture(_gemma, OUTSIDE, INSIDE, shifted=True),
    "gemma2": GgufArchitecture(_gemma2, OUTSIDE, GEMMA2_INSIDE, shifted=True),
    "phi3": GgufArchitecture(_phi3, OUTSIDE, PHI3_INSIDE),
    "gpt2": GgufArchitecture(
        _gpt2,
        GPT2_OUTSIDE,
        GPT2_INSIDE,
        prefix="transformer.h.",
        turned=("attn_qkv", "attn_output", "ffn_up", "ffn_down"),
    ),
}


def architecture_of(header: GgufHeader) -> tuple[str, GgufArchitecture]:
    """Return the name of a file's architecture, and how it is stored.

    Raises
    ------
    InputError
        If it is not covered.
    """
    name = header.metadata.get("general.architecture")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        problem = f"the architecture of {header.file.name} is {excerpt(repr(name), 60)}"
        raise InputError(problem, f"one of {', '.join(ARCHITECTURES)}", "use the model's safetensors")
    return name, ARCHITECTURES[name]
