"""Where each parameter of a decoder lies in a checkpoint of each family.

Names lack the base model's prefix (``model.``, ``transformer.``, ...), which some checkpoints do not have and some have
twice; ``{}`` is the number of the layer and ``*`` that of an entry of the parameter's first dimension, such as a head
or an expert. Of layers that share weights ``{first}`` is the number of the first that has the same, under which these
lie, and ``{use}`` how many layers with shared weights come before. A tuple lists alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inference.decoder.stored_layouts import FirstRows, TensorName

FusedLayout = Literal["concatenated", "grouped", "quarters"]
Names = Mapping[str, TensorName | tuple[TensorName, ...]]


@dataclass(frozen=True)
class TensorNames:
    """How one family stores its tensors.

    Attributes
    ----------
    names
        From a parameter of `inference.decoder.transformer.Decoder`, within its block, to a tensor's name, both without
        ``.weight`` or ``.bias``; or of a whole parameter, these included, to a whole name. ``attention.qkv`` and
        ``mlp.gate_up`` (of a shared expert ``experts.shared.gate_up``) are fused ones, of which parts are taken.
    fused
        How a fused tensor orders its rows: queries, keys, values (``"concatenated"``), or for each group of heads its
        queries, its key and its value (``"grouped"``), or for each quarter of the heads its queries, its values and its
        keys (``"quarters"``).
    apart
        Whether what fused tensors hold may lie in tensors of its own instead.
    transposed
        Whether the matrices of blocks lie as [in, out].
    optional
        Parameters that are zero where there is no tensor.
    ignored
        How names begin, without the base model's prefix, of tensors that no score needs; ``{}`` is the depth and ``*``
        any number.
    unread
        How names begin of what layers may have in vain that read the keys and values of another; ``{}`` is the layer.
    """

    names: Names
    fused: FusedLayout = "concatenated"
    apart: bool = False
    transposed: bool = False
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def _attention(base: str, query: str, key: str, value: str, output: str) -> dict[str, str]:
    return {f"attention.{part}": base + name for part, name in zip(PARTS, (query, key, value, output), strict=True)}


PARTS = ("query", "key", "value", "output")
LLAMA: Names = {
    "embedding": "embed_tokens",
    "final_norm": "norm",
    "head": "lm_head",
    **_attention("layers.{}.self_attn.", "q_proj", "k_proj", "v_proj", "o_proj"),
    "attention.query_norm": "layers.{}.self_attn.q_norm",
    "attention.key_norm": "layers.{}.self_attn.k_norm",
    "mlp.gate": "layers.{}.mlp.gate_proj",
    "mlp.up": "layers.{}.mlp.up_proj",
    "mlp.down": "layers.{}.mlp.down_proj",
    "attention_norm": "layers.{}.input_layernorm",
    "mlp_norm": "layers.{}.post_attention_layernorm",
}
# Families with norms on the branches' outputs.
OUTPUT_NORMS: Names = LLAMA | {
    "attention_output_norm": "layers.{}.post_attention_layernorm",
    "mlp_norm": "layers.{}.pre_feedforward_layernorm",
    "mlp_output_norm": "layers.{}.post_feedforward_layernorm",
}
HYPERCLOVAX: Names = LLAMA | {
    "attention_output_norm": "layers.{}.post_norm1",
    "mlp_output_norm": "layers.{}.post_norm2",
}
# Each by its name on the hub first, then by the one within transformers.
EXAONE: Names = {
    name: (hub, LLAMA[name])
    for name, hub in {
        "embedding": "wte",
        "final_norm": "ln_f",
        "head": "lm_head",
        **_attention("h.{}.attn.attention.", "q_proj", "k_proj", "v_proj", "out_proj"),
        "mlp.gate": "h.{}.mlp.c_fc_0",
        "mlp.up": "h.{}.mlp.c_fc_1",
        "mlp.down": "h.{}.mlp.c_proj",
        "attention_norm": "h.{}.ln_1",
        "mlp_norm": "h.{}.ln_2",
    }.items()
}
APERTUS: Names = LLAMA | {
    "attention_norm": "layers.{}.attention_layernorm",
    "mlp_norm": "layers.{}.feedforward_layernorm",
    "mlp.xielu.positive": "layers.{}.mlp.act_fn.alpha_p",
    "mlp.xielu.negative": "layers.{}.mlp.act_fn.alpha_n",
    "mlp.xielu.slope": "layers.{}.mlp.act_fn.beta",
    "mlp.xielu.largest": "layers.{}.mlp.act_fn.eps",
}
# No score reads rows of tokens that the head does not have, which stand for images and sounds.
APERTUS1P5: Names = APERTUS | {"embedding": FirstRows("embed_tokens")}
NANOCHAT: Names = LLAMA | {"mlp.up": "layers.{}.mlp.fc1", "mlp.down": "layers.{}.mlp.fc2"}
HUNYUAN: Names = LLAMA | {
    "attention.query_norm": "layers.{}.self_attn.query_layernorm",
    "attention.key_norm": "layers.{}.self_attn.key_layernorm",
}
SINKS: Names = LLAMA | {"attention.sinks": "layers.{}.self_attn.sinks"}
DOGE: Names = LLAMA | {
    "attention.value_bias.rate": "layers.{}.self_attn.A",
    "attention.value_bias.step": "layers.{}.self_attn.dt_proj",
    "attention_residual.weight": "layers.{}.input_residual",
    "mlp_residual.weight": "layers.{}.post_attention_residual",
}
MODERNBERT_DECODER: Names = {
    "embedding": "embeddings.tok_embeddings",
    "embedding_norm": "embeddings.norm",
    "final_norm": "final_norm",
    "head_map": "lm_head.dense",
    "head_norm": "lm_head.norm",
    # Called decoder, which is the prefix of other families.
    "head.weight": "weight",
    "head.bias": "bias",
    **_attention("layers.{}.attn.", "q_proj", "k_proj", "v_proj", "Wo"),
    "mlp.gate_up": "layers.{}.mlp.Wi",
    "mlp.down": "layers.{}.mlp.Wo",
    "attention_norm": "layers.{}.attn_norm",
    "mlp_norm": "layers.{}.mlp_norm",
}
DIFFLLAMA: Names = LLAMA | {
    **{f"differential_attention.{part}": LLAMA[f"attention.{part}"] for part in PARTS},
    **{
        f"differential_attention.{part}_{i}": f"layers.{{}}.self_attn.lambda_{part[0]}{i}"
        for part in ("query", "key")
        for i in (1, 2)
    },
}
FUSED_GATE: Names = LLAMA | {"mlp.gate_up": "layers.{}.mlp.gate_up_proj"}
FUSED: Names = FUSED_GATE | {"attention.qkv": "layers.{}.self_attn.qkv_proj"}
GLM4: Names = FUSED_GATE | {
    "attention_output_norm": "layers.{}.post_self_attn_layernorm",
    "mlp_output_norm": "layers.{}.post_mlp_layernorm",
}
STARCODER2: Names = LLAMA | {"mlp.up": "layers.{}.mlp.c_fc", "mlp.down": "layers.{}.mlp.c_proj"}
STABLELM: Names = LLAMA | {
    "attention.query_norm": "layers.{}.self_attn.q_layernorm.norms.*",
    "attention.key_norm": "layers.{}.self_attn.k_layernorm.norms.*",
}
PHI: Names = LLAMA | {
    "final_norm": "final_layernorm",
    "attention.output": "layers.{}.self_attn.dense",
    "attention.query_norm": "layers.{}.self_attn.q_layernorm",
    "attention.key_norm": "layers.{}.self_attn.k_layernorm",
    "mlp.up": "layers.{}.mlp.fc1",
    "mlp.down": "layers.{}.mlp.fc2",
}
PERSIMMON: Names = LLAMA | {
    "final_norm": "final_layernorm",
    "attention.qkv": "layers.{}.self_attn.query_key_value",
    "attention.output": "layers.{}.self_attn.dense",
    "attention.query_norm": "layers.{}.self_attn.q_layernorm",
    "attention.key_norm": "layers.{}.self_attn.k_layernorm",
    "mlp.up": "layers.{}.mlp.dense_h_to_4h",
    "mlp.down": "layers.{}.mlp.dense_4h_to_h",
}
GPT2: Names = {
    "embedding": "wte",
    "positions": "wpe",
    "final_norm": "ln_f",
    "head": "lm_head",
    "attention_norm": "h.{}.ln_1",
    "mlp_norm": "h.{}.ln_2",
    "attention.qkv": "h.{}.attn.c_attn",
    "attention.output": "h.{}.attn.c_proj",
    "mlp.up": "h.{}.mlp.c_fc",
    "mlp.down": "h.{}.mlp.c_proj",
}
GPT_NEO: Names = {name: value for name, value in GPT2.items() if name != "attention.qkv"} | _attention(
    "h.{}.attn.attention.", "q_proj", "k_proj", "v_proj", "out_proj"
)
GPTJ: Names = (
    {name: value for name, value in GPT2.items() if name != "attention.qkv"}
    | _attention("h.{}.attn.", "q_proj", "k_proj", "v_proj", "out_proj")
    | {"mlp.up": "h.{}.mlp.fc_in", "mlp.down": "h.{}.mlp.fc_out"}
)
CODEGEN: Names = {name: value for name, value in GPTJ.items() if not name.startswith("attention.")} | {
    "attention.qkv": "h.{}.attn.qkv_proj",
    "attention.output": "h.{}.attn.out_proj",
}
GPT_NEOX: Names = {
    "embedding": "embed_in",
    "final_norm": "final_layer_norm",
    # The second is the name within transformers from 5.24 on, which `save_original_format=False` writes.
    "head": ("embed_out", "lm_head"),
    "attention_norm": "layers.{}.input_layernorm",
    "mlp_norm": "layers.{}.post_attention_layernorm",
    "attention.qkv": "layers.{}.attention.query_key_value",
    "attention.output": "layers.{}.attention.dense",
    "mlp.up": "layers.{}.mlp.dense_h_to_4h",
    "mlp.down": "layers.{}.mlp.dense_4h_to_h",
}
GPT_NEOX_JAPANESE: Names = GPT_NEOX | {"attention.output.bias": "layers.{}.attention.dense_bias"}
OPT: Names = {
    "embedding": "embed_tokens",
    "positions": "embed_positions",
    "final_norm": "final_layer_norm",
    "head": "lm_head",
    "project_in": "project_in",
    "project_out": "project_out",
    "attention_norm": "layers.{}.self_attn_layer_norm",
    "mlp_norm": "layers.{}.final_layer_norm",
    **_attention("layers.{}.self_attn.", "q_proj", "k_proj", "v_proj", "out_proj"),
    "mlp.up": "layers.{}.fc1",
    "mlp.down": "layers.{}.fc2",
}
BIOGPT: Names = OPT | {"final_norm": "layer_norm", "head": ("output_projection", "lm_head")}
XGLM: Names = {name: value for name, value in BIOGPT.items() if name != "positions"} | {"head": "lm_head"}
OPENAI_GPT: Names = {name: value for name, value in GPT2.items() if name != "final_norm"} | {
    "embedding": "tokens_embed",
    "positions": "positions_embed",
}
CTRL: Names = {
    "embedding": "w",
    "final_norm": "layernorm",
    "head": "lm_head",
    "attention_norm": "h.{}.layernorm1",
    "mlp_norm": "h.{}.layernorm2",
    **_attention("h.{}.multi_head_attention.", "Wq", "Wk", "Wv", "dense"),
    "mlp.up": "h.{}.ffn.0",
    "mlp.down": "h.{}.ffn.2",
}
BLOOM: Names = {
    "embedding": "word_embeddings",
    "embedding_norm": "word_embeddings_layernorm",
    "final_norm": "ln_f",
    "head": "lm_head",
    "attention_norm": "h.{}.input_layernorm",
    "mlp_norm": "h.{}.post_attention_layernorm",
    "attention.qkv": "h.{}.self_attention.query_key_value",
    "attention.output": "h.{}.self_attention.dense",
    "mlp.up": "h.{}.mlp.dense_h_to_4h",
    "mlp.down": "h.{}.mlp.dense_4h_to_h",
}
FALCON: Names = BLOOM | {
    "attention_norm": ("h.{}.input_layernorm", "h.{}.ln_attn"),
    "mlp_norm": ("h.{}.post_attention_layernorm", "h.{}.ln_mlp"),
}
MPT: Names = {
    "embedding": "wte",
    "final_norm": "norm_f",
    "head": "lm_head",
    "attention_norm": "blocks.{}.norm_1",
    "mlp_norm": "blocks.{}.norm_2",
    "attention.qkv": "blocks.{}.attn.Wqkv",
    "attention.output": "blocks.{}.attn.out_proj",
    "mlp.up": "blocks.{}.ffn.up_proj",
    "mlp.down": "blocks.{}.ffn.down_proj",
}
