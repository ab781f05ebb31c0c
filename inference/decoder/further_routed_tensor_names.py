"""Where the parameters of families lie whose attention is as unusual as their experts."""

from inference.decoder.configuration import DecoderConfig
from inference.decoder.expert_settings import Experts
from inference.decoder.routed_tensor_names import AFMOE, CORRECTED, LATENT, MIXTRAL, MLP, PLAIN, ROUTED, Table, shared
from inference.decoder.stored_layouts import ExpertRows, HeadRows, StackedTensor, TensorName
from inference.decoder.tensor_names import OUTPUT_NORMS

FEED = "layers.{}.feed_forward."
LLAMA4: Table = (
    PLAIN
    | shared(FEED + "shared_expert")
    | {f"mlp.{part}": f"{FEED}{part}_proj" for part in ("gate", "up", "down")}
    | {
        "experts.router": FEED + "router",
        "experts.gate.weight": StackedTensor(FEED + "experts.gate_up_proj", 0, 2, transposed=True),
        "experts.up.weight": StackedTensor(FEED + "experts.gate_up_proj", 1, 2, transposed=True),
        "experts.down.weight": StackedTensor(FEED + "experts.down_proj", transposed=True),
    }
)
_MIXTURE = "layers.{}.self_attention."
JETMOE: Table = PLAIN | {
    "routed_attention.router": _MIXTURE + "experts.router.layer",
    "routed_attention.query.weight": StackedTensor(_MIXTURE + "experts.input_linear.weight"),
    "routed_attention.key": HeadRows(_MIXTURE + "kv_proj", 0, 2, by_head=False),
    "routed_attention.value": HeadRows(_MIXTURE + "kv_proj", 1, 2, by_head=False),
    "routed_attention.output.weight": StackedTensor(_MIXTURE + "experts.output_linear.weight"),
    "routed_attention.sum_bias": _MIXTURE + "experts.bias",
    "experts.router": MLP + "router.layer",
    "experts.gate.weight": StackedTensor(MLP + "input_linear.weight", 0, 2),
    "experts.up.weight": StackedTensor(MLP + "input_linear.weight", 1, 2),
    "experts.down.weight": StackedTensor(MLP + "output_linear.weight"),
    "experts.sum_bias": MLP + "bias",
}


def _half(number: int, name: str) -> Table:
    """Name one of the two attentions of a layer, and its MLP and norms."""
    latent = {
        part.replace("latent_attention.", f"shortcut.{name}_attention."): str(stored).replace(
            "self_attn.", f"self_attn.{number}."
        )
        for part, stored in LATENT.items()
        if part.startswith("latent_attention.")
    }
    return {
        **latent,
        **{f"shortcut.{name}_mlp.{part}": f"layers.{{}}.mlps.{number}.{part}_proj" for part in ("gate", "up", "down")},
        f"shortcut.{name}_attention_norm": f"layers.{{}}.input_layernorm.{number}",
        f"shortcut.{name}_mlp_norm": f"layers.{{}}.post_attention_layernorm.{number}",
    }


def _expert(part: str) -> tuple[TensorName, ...]:
    """Name one map of all experts, of which the joined gates have entries for those that change nothing as well."""
    joined = {
        "gate": StackedTensor(MLP + "experts.gate_up_proj", 0, 2, idle=_identities),
        "up": StackedTensor(MLP + "experts.gate_up_proj", 1, 2, idle=_identities),
        "down": StackedTensor(MLP + "experts.down_proj"),
    }
    return f"{MLP}experts.*.{part}_proj.weight", joined[part]


def _identities(config: DecoderConfig) -> int:
    return config.part(Experts).identities


# Written by transformers for experts that change nothing. More experts than stated have a third tensor, which is told.
IDLE_EXPERTS = ("layers.*.mlp.experts.*.gate_proj.", "layers.*.mlp.experts.*.up_proj.")
LONGCAT: Table = {
    **{name: PLAIN[name] for name in ("embedding", "final_norm", "head")},
    **_half(0, "first"),
    **_half(1, "second"),
    **{f"shortcut.experts.{part}.weight": _expert(part) for part in ("gate", "up", "down")},
    "shortcut.experts.router": MLP + "router.classifier",
    "shortcut.experts.correction": MLP + "router.e_score_correction_bias",
}
_LINEAR = "layers.{}.self_attn."
MINIMAX: Table = MIXTRAL | {
    **{f"lightning.{part}": HeadRows(_LINEAR + "qkv_proj", i, 3) for i, part in enumerate(("query", "key", "value"))},
    "lightning.gate": _LINEAR + "output_gate",
    "lightning.norm": _LINEAR + "norm",
    "lightning.output": _LINEAR + "out_proj",
}
SARVAM: Table = CORRECTED | {
    "embedding": ("word_embeddings", "embed_tokens"),
    "attention.qkv": "layers.{}.attention.query_key_value",
    "attention.output": ("layers.{}.attention.dense", _LINEAR + "o_proj"),
    "attention.query_norm": ("layers.{}.attention.query_layernorm", _LINEAR + "q_norm"),
    "attention.key_norm": ("layers.{}.attention.key_layernorm", _LINEAR + "k_norm"),
    "experts.correction": (MLP + "gate.expert_bias", MLP + "gate.e_score_correction_bias"),
}
AXK1: Table = LATENT | {"experts.output_norm": ("layers.{}.post_mlp_layernorm", MLP + "post_mlp_layernorm")}
# Stored of dense layers too, which have none.
AXK1_IDLE = ("layers.*.post_mlp_layernorm.", "layers.*.mlp.post_mlp_layernorm.")
MIMO: Table = CORRECTED | {
    **{
        name.replace("attention.", "windowed_attention."): PLAIN[name]
        for name in PLAIN
        if name.startswith("attention.")
    },
    "windowed_attention.sinks": (_LINEAR + "attention_sink_bias", _LINEAR + "sinks"),
}
FLINT: Table = (
    ROUTED | shared(MLP + "shared_expert") | {"attention.sinks": (_LINEAR + "softmax_offset", _LINEAR + "sinks")}
)
KOLIBRI: Table = CORRECTED | {
    "attention_output_norm": ("layers.{}.post_attn_norm", "layers.{}.post_self_attn_layernorm"),
    "mlp_output_norm": ("layers.{}.post_ffn_norm", "layers.{}.post_mlp_layernorm"),
    "experts.correction": ("layers.{}.moe.router.expert_bias", MLP + "gate.e_score_correction_bias"),
}
DBRX: Table = {
    "embedding": "wte",
    "final_norm": "norm_f",
    "head": "lm_head",
    "attention_norm": "blocks.{}.norm_attn_norm.norm_1",
    "mlp_norm": "blocks.{}.norm_attn_norm.norm_2",
    "attention.qkv": "blocks.{}.norm_attn_norm.attn.Wqkv",
    "attention.output": "blocks.{}.norm_attn_norm.attn.out_proj",
    "experts.router": "blocks.{}.ffn.router.layer",
    "experts.gate.weight": ExpertRows("blocks.{}.ffn.experts.mlp.w1"),
    "experts.up.weight": ExpertRows("blocks.{}.ffn.experts.mlp.v1"),
    "experts.down.weight": ExpertRows("blocks.{}.ffn.experts.mlp.w2", transposed=True),
}


def _aria(module: str, hub: str, part: int, parts: int) -> tuple[TensorName, ...]:
    names = (f"{MLP}experts.{hub}.weight", f"{MLP}experts.{module}")
    return tuple(StackedTensor(name, part, parts, transposed=True) for name in names)


ARIA: Table = CORRECTED | {
    "experts.router": MLP + "router",
    "experts.gate.weight": _aria("gate_up_proj", "fc1", 0, 2),
    "experts.up.weight": _aria("gate_up_proj", "fc1", 1, 2),
    "experts.down.weight": _aria("down_proj", "fc2", 0, 1),
}
# The first names are those of the hub, the second those within transformers.
LAGUNA: Table = (
    CORRECTED
    | {name: AFMOE[name] for name in AFMOE if name.startswith("gated_attention.")}
    | {
        f"experts.shared.{part}": tuple(f"{MLP}{kind}.{part}_proj" for kind in ("shared_expert", "shared_experts"))
        for part in ("gate", "up", "down")
    }
    | {
        "gated_attention.gate": _LINEAR + "g_proj",
        "experts.correction": tuple(f"{MLP}{part}.e_score_correction_bias" for part in ("experts", "gate")),
    }
)
BEAM: Table = AFMOE | {
    **{name: OUTPUT_NORMS[name] for name in ("attention_output_norm", "mlp_norm", "mlp_output_norm")},
    "gated_attention.gate_bias": _LINEAR + "gate_bias",
    "experts.router": MLP + "gate",
    "experts.correction": MLP + "gate.e_score_correction_bias",
}
