"""Where the parameters of families with recurrences lie; the form of the tables is that of `tensor_names`."""

from inference.decoder.mixer_settings import GatedDelta
from inference.decoder.routed_tensor_names import GRANITE, QWEN2_MOE
from inference.decoder.stored_layouts import HeadRows, JoinedTensors, StackedTensor, TensorName
from inference.decoder.tensor_names import LLAMA, Names

TensorWays = TensorName | tuple[TensorName, ...]


def _mamba(base: str, kind: str = "mamba") -> dict[str, str]:
    """Return the names of what Mamba and Mamba 2 share."""
    return {
        f"{kind}.input": base + "in_proj",
        f"{kind}.convolution": base + "conv1d",
        f"{kind}.log_rates": base + "A_log",
        f"{kind}.skip": base + "D",
        f"{kind}.output": base + "out_proj",
    }


def _mamba1(base: str) -> dict[str, str]:
    return _mamba(base) | {"mamba.selection": base + "x_proj", "mamba.step": base + "dt_proj"}


def _mamba2(base: str, kind: str = "mamba2") -> dict[str, str]:
    return _mamba(base, kind) | {f"{kind}.step_bias": base + "dt_bias", f"{kind}.norm": base + "norm"}


def _experts(base: str, *, up: str, down: str, gate: str = "", router: str = "gate") -> dict[str, TensorWays]:
    """Name experts that lie one by one, or joined as transformers holds them in memory; without a gate where none."""
    joined = f"{base}experts.{'gate_up_proj' if gate else 'up_proj'}"
    parts, maps = (2, {"gate": gate, "up": up}) if gate else (1, {"up": up})
    names: dict[str, TensorWays] = {
        f"experts.{part}.weight": (f"{base}experts.*.{name}.weight", StackedTensor(joined, number, parts))
        for number, (part, name) in enumerate(maps.items())
    }
    below = (f"{base}experts.*.{down}.weight", StackedTensor(base + "experts.down_proj"))
    return names | {"experts.down.weight": below, "experts.router": base + router}


BACKBONE: Names = {
    # The first is what transformers writes, the second what the makers of Mamba wrote.
    "embedding": ("embeddings", "embedding"),
    "final_norm": "norm_f",
    "head": "lm_head",
    "attention_norm": "layers.{}.norm",
}
MAMBA: Names = {**BACKBONE, **_mamba1("layers.{}.mixer.")}
MAMBA2: Names = {**BACKBONE, **_mamba2("layers.{}.mixer.")}
BAMBA: Names = {
    **LLAMA,
    **_mamba2("layers.{}.mamba."),
    "final_norm": "final_layernorm",
    "mlp_norm": "layers.{}.pre_ff_layernorm",
    "mlp.gate": "layers.{}.feed_forward.gate_proj",
    "mlp.up": "layers.{}.feed_forward.up_proj",
    "mlp.down": "layers.{}.feed_forward.down_proj",
}
FALCON_H1: Names = {
    **BAMBA,
    **_mamba2("layers.{}.mamba.", "attention_mamba2.mamba2"),
    **{f"attention_mamba2.{name}": value for name, value in LLAMA.items() if name.startswith("attention.")},
    **{f"scaled_{name}": value for name, value in BAMBA.items() if name.startswith("mlp.")},
}
GRANITE_HYBRID: Names = {
    **LLAMA,
    **_mamba2("layers.{}.mamba."),
    **{name: value for name, value in GRANITE.items() if name.startswith("experts.")},
    "mlp.gate_up": "layers.{}.shared_mlp.input_linear",
    "mlp.down": "layers.{}.shared_mlp.output_linear",
}
NEMOTRON_H: Names = {
    **BACKBONE,
    **_mamba2("layers.{}.mixer."),
    "mlp_norm": "layers.{}.norm",
    "attention.query": "layers.{}.mixer.q_proj",
    "attention.key": "layers.{}.mixer.k_proj",
    "attention.value": "layers.{}.mixer.v_proj",
    "attention.output": "layers.{}.mixer.o_proj",
    "mlp.up": "layers.{}.mixer.up_proj",
    "mlp.down": "layers.{}.mixer.down_proj",
    **_experts("layers.{}.mixer.", up="up_proj", down="down_proj"),
    "experts.correction": "layers.{}.mixer.gate.e_score_correction_bias",
    "experts.shared.up": "layers.{}.mixer.shared_experts.up_proj",
    "experts.shared.down": "layers.{}.mixer.shared_experts.down_proj",
}
_BLOCK = "layers.{}.shared_transformer."
_ADAPTERS = _BLOCK.replace("{}", "{first}")
_MLP_ADAPTER = _ADAPTERS + "feed_forward.gate_up_proj_adapter_list.{use}."
ZAMBA2: Names = {
    "embedding": "embed_tokens",
    "final_norm": "final_layernorm",
    "head": "lm_head",
    "attention_norm": "layers.{}.input_layernorm",
    **_mamba2("layers.{}.mamba."),
    **_mamba2("layers.{}.mamba_decoder.mamba.", "shared_block_mamba2.mamba2"),
    "shared_block_mamba2.norm": "layers.{}.mamba_decoder.input_layernorm",
    "shared_block_mamba2.linear": "layers.{}.linear",
    "shared.norm": _BLOCK + "input_layernorm",
    **{f"shared.attention.{name}": f"{_BLOCK}self_attn.{name[0]}_proj" for name in ("query", "key", "value", "output")},
    "shared.mlp_norm": _BLOCK + "pre_ff_layernorm",
    "shared.mlp.gate_up": _BLOCK + "feed_forward.gate_up_proj",
    "shared.mlp.down": _BLOCK + "feed_forward.down_proj",
    **{
        f"shared_block_mamba2.adapters.{name}.{part}": f"{_ADAPTERS}self_attn.linear_{name[0]}_adapter_list.{{use}}.{i}"
        for name in ("query", "key", "value")
        for i, part in enumerate(("down", "up"))
    },
    "shared_block_mamba2.adapters.inside_down": _MLP_ADAPTER + "0",
    "shared_block_mamba2.adapters.gate": HeadRows(_MLP_ADAPTER + "1", 0, 2, by_head=False),
    "shared_block_mamba2.adapters.up": HeadRows(_MLP_ADAPTER + "1", 1, 2, by_head=False),
}
LFM2: Names = {
    **LLAMA,
    "final_norm": "embedding_norm",
    "attention_norm": "layers.{}.operator_norm",
    "mlp_norm": "layers.{}.ffn_norm",
    "attention.output": "layers.{}.self_attn.out_proj",
    "attention.query_norm": "layers.{}.self_attn.q_layernorm",
    "attention.key_norm": "layers.{}.self_attn.k_layernorm",
    "short_convolution.input": "layers.{}.conv.in_proj",
    "short_convolution.convolution": "layers.{}.conv.conv",
    "short_convolution.output": "layers.{}.conv.out_proj",
    "mlp.gate": "layers.{}.feed_forward.w1",
    "mlp.up": "layers.{}.feed_forward.w3",
    "mlp.down": "layers.{}.feed_forward.w2",
}
LFM3: Names = {
    **LFM2,
    **{
        f"{kind}.{name.removeprefix('attention.')}": value
        for kind in ("attention", "head_gated_attention")
        for name, value in LLAMA.items()
        if name.startswith("attention.")
    },
    # The first name is that of the hub, the second that within transformers.
    "head_gated_attention.gate": ("layers.{}.self_attn.gate_proj", "layers.{}.self_attn.g_proj"),
    "attention_output_norm": "layers.{}.post_operator_norm",
    "mlp_output_norm": "layers.{}.post_ffn_norm",
}
LFM2_MOE: Names = {
    **LFM2,
    **_experts("layers.{}.feed_forward.", gate="w1", up="w3", down="w2"),
    "experts.correction": "layers.{}.feed_forward.expert_bias",
}
JAMBA: Names = {
    **BAMBA,
    **_mamba1("layers.{}.mamba."),
    **_experts("layers.{}.feed_forward.", gate="gate_proj", up="up_proj", down="down_proj", router="router"),
    "mamba.step_norm": "layers.{}.mamba.dt_layernorm",
    "mamba.in_norm": "layers.{}.mamba.b_layernorm",
    "mamba.out_norm": "layers.{}.mamba.c_layernorm",
}
RECURRENT_GEMMA: Names = {
    "embedding": "embed_tokens",
    "final_norm": "final_norm",
    "head": "lm_head",
    "attention_norm": "layers.{}.temporal_pre_norm",
    "mlp_norm": "layers.{}.channel_pre_norm",
    "attention.query": "layers.{}.temporal_block.q_proj",
    "attention.key": "layers.{}.temporal_block.k_proj",
    "attention.value": "layers.{}.temporal_block.v_proj",
    "attention.output": "layers.{}.temporal_block.o_proj",
    "rglru.gate": "layers.{}.temporal_block.linear_y",
    "rglru.input": "layers.{}.temporal_block.linear_x",
    "rglru.output": "layers.{}.temporal_block.linear_out",
    "rglru.convolution": "layers.{}.temporal_block.conv_1d",
    "rglru.decay": "layers.{}.temporal_block.rg_lru.recurrent_param",
    "rglru.input_gate.weight": "layers.{}.temporal_block.rg_lru.input_gate_weight",
    "rglru.input_gate.bias": "layers.{}.temporal_block.rg_lru.input_gate_bias",
    "rglru.decay_gate.weight": "layers.{}.temporal_block.rg_lru.recurrent_gate_weight",
    "rglru.decay_gate.bias": "layers.{}.temporal_block.rg_lru.recurrent_gate_bias",
    "mlp.gate": "layers.{}.mlp_block.gate_proj",
    "mlp.up": "layers.{}.mlp_block.up_proj",
    "mlp.down": "layers.{}.mlp_block.down_proj",
}


def _gated_attention(names: Names) -> Names:
    """Move the names of attention to the gated kind, whose gates lie among the rows of queries."""
    moved = {f"gated_{name}": value for name, value in names.items() if name.startswith("attention.")}
    query = "layers.{}.self_attn.q_proj"
    return moved | {"gated_attention.query": HeadRows(query, 0, 2), "gated_attention.gate": HeadRows(query, 1, 2)}


def _gated_delta(base: str) -> dict[str, str]:
    """Return the names of what all gated delta networks share."""
    return {
        "gated_delta.convolution": base + "conv1d",
        "gated_delta.step_bias": base + "dt_bias",
        "gated_delta.log_rates": base + "A_log",
        "gated_delta.norm": base + "norm",
        "gated_delta.output": base + "out_proj",
    }


_CONVOLUTIONS = tuple(f"layers.{{}}.linear_attn.{part}_conv1d" for part in "qkv")
_PROJECTIONS = tuple(f"layers.{{}}.linear_attn.{part}_proj" for part in "qkv")
OLMO_HYBRID: Names = {
    **LLAMA,
    **_gated_delta("layers.{}.linear_attn."),
    # The first name is that of the hub, the second that within transformers. Where it saves one tensor of all
    # convolutions as three, they are thirds, whatever the widths of queries, keys and values; joined they are the same.
    "gated_delta.convolution": (JoinedTensors(_CONVOLUTIONS), "layers.{}.linear_attn.conv1d"),
    "gated_delta.projection.mixed": JoinedTensors(_PROJECTIONS, lambda config: config.part(GatedDelta).widths),
    "gated_delta.projection.gate": "layers.{}.linear_attn.g_proj",
    "gated_delta.projection.strength": "layers.{}.linear_attn.b_proj",
    "gated_delta.projection.decay": "layers.{}.linear_attn.a_proj",
    "gated_delta.norm": "layers.{}.linear_attn.o_norm",
    "gated_delta.output": "layers.{}.linear_attn.o_proj",
    # Of blocks with a gated delta network, before their parts.
    "attention_norm": ("layers.{}.attention_layer_norm", "layers.{}.input_layernorm"),
    "mlp_norm": ("layers.{}.feedforward_layer_norm", "layers.{}.post_attention_layernorm"),
    # Of blocks with attention, after their parts.
    "attention_output_norm": ("layers.{}.post_attention_layernorm", "layers.{}.feedforward_layer_norm"),
    "mlp_output_norm": "layers.{}.post_feedforward_layernorm",
}
QWEN3_NEXT: Names = {
    **QWEN2_MOE,
    **_gated_attention(LLAMA),
    **_gated_delta("layers.{}.linear_attn."),
    "gated_delta.projection.mixed": "layers.{}.linear_attn.in_proj_qkvz",
    "gated_delta.projection.scalars": "layers.{}.linear_attn.in_proj_ba",
}
QWEN3_5: Names = {
    **QWEN2_MOE,
    **_gated_attention(LLAMA),
    **_gated_delta("layers.{}.linear_attn."),
    "gated_delta.projection.mixed": "layers.{}.linear_attn.in_proj_qkv",
    "gated_delta.projection.gate": "layers.{}.linear_attn.in_proj_z",
    "gated_delta.projection.strength": "layers.{}.linear_attn.in_proj_b",
    "gated_delta.projection.decay": "layers.{}.linear_attn.in_proj_a",
}
