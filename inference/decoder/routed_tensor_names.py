"""Where the parameters of routed experts lie in a checkpoint of each family.

On the hub experts mostly lie one by one. transformers from version 5 on joins the tensors of all experts in memory, and
writes them so where it is asked for the names of its modules; both are read.
"""

from inference.decoder.stored_layouts import FirstEntry, StackedTensor, TensorName
from inference.decoder.tensor_names import HUNYUAN as LATE_NORMS
from inference.decoder.tensor_names import LLAMA, OUTPUT_NORMS

Table = dict[str, TensorName | tuple[TensorName, ...]]

MLP = "layers.{}.mlp."
SPARSE = "layers.{}.block_sparse_moe."


def experts(base: str, gate: str, up: str, down: str) -> Table:
    """Name the weights of experts that lie one by one below a base, or joined below that of the modules."""
    together = MLP + "experts.gate_up_proj"
    return {
        "experts.gate.weight": (f"{base}experts.*.{gate}.weight", StackedTensor(together, 0, 2)),
        "experts.up.weight": (f"{base}experts.*.{up}.weight", StackedTensor(together, 1, 2)),
        "experts.down.weight": (f"{base}experts.*.{down}.weight", StackedTensor(MLP + "experts.down_proj")),
    }


def shared(base: str) -> Table:
    """Name the maps of the MLP beside experts."""
    return {f"experts.shared.{part}": f"{base}.{part}_proj" for part in ("gate", "up", "down")}


def _either(*names: str, part: int = 0, parts: int = 1) -> tuple[TensorName, ...]:
    return tuple(StackedTensor(name, part, parts) for name in names)


PLAIN: Table = {**LLAMA}
ROUTED: Table = PLAIN | experts(MLP, "gate_proj", "up_proj", "down_proj") | {"experts.router": MLP + "gate"}
MIXTRAL: Table = PLAIN | experts(SPARSE, "w1", "w3", "w2") | {"experts.router": (SPARSE + "gate", MLP + "gate")}
QWEN2_MOE: Table = ROUTED | shared(MLP + "shared_expert") | {"experts.shared_gate": "layers.{}.mlp.shared_expert_gate"}
# DeepSeek's way to keep experts evenly used.
CORRECTED: Table = (
    ROUTED | shared(MLP + "shared_experts") | {"experts.correction": MLP + "gate.e_score_correction_bias"}
)
ERNIE: Table = CORRECTED | {
    "experts.correction": (
        FirstEntry(MLP + "moe_statics.e_score_correction_bias"),
        FirstEntry(MLP + "gate.moe_statics.e_score_correction_bias"),
    )
}
_ATTENTION = "layers.{}.self_attn."
LATENT: Table = CORRECTED | {
    "latent_attention.query": _ATTENTION + "q_proj",
    "latent_attention.query_down": _ATTENTION + "q_a_proj",
    "latent_attention.query_norm": _ATTENTION + "q_a_layernorm",
    "latent_attention.query_up": _ATTENTION + "q_b_proj",
    "latent_attention.key_value_down": _ATTENTION + "kv_a_proj_with_mqa",
    "latent_attention.key_value_norm": _ATTENTION + "kv_a_layernorm",
    "latent_attention.key_value_up": _ATTENTION + "kv_b_proj",
    "latent_attention.output": _ATTENTION + "o_proj",
}
MINIMAX_M2: Table = MIXTRAL | {
    "experts.correction": (SPARSE + "e_score_correction_bias", MLP + "e_score_correction_bias")
}
EXAONE: Table = CORRECTED | {
    "experts.correction": (MLP + "e_score_correction_bias", MLP + "gate.e_score_correction_bias")
}
PHIMOE: Table = MIXTRAL | {"experts.router": (SPARSE + "gate", MLP + "router")}
HUNYUAN: Table = ROUTED | {**LATE_NORMS} | shared(MLP + "shared_mlp") | {"experts.router": MLP + "gate.wg"}
FLEX_OLMO: Table = ROUTED | {**OUTPUT_NORMS}
HUNYUAN3: Table = ROUTED | {
    "experts.router": (MLP + "router.gate", MLP + "gate"),
    "experts.correction": (MLP + "expert_bias", MLP + "e_score_correction_bias"),
    **{
        f"experts.shared.{part}": (f"{MLP}shared_mlp.{part}_proj", f"{MLP}shared_experts.{part}_proj")
        for part in ("gate", "up", "down")
    },
}
AFMOE: Table = CORRECTED | {
    **{name.replace("attention.", "gated_attention."): LLAMA[name] for name in LLAMA if name.startswith("attention.")},
    "gated_attention.gate": _ATTENTION + "gate_proj",
    "experts.router": MLP + "router.gate",
    "experts.correction": MLP + "expert_bias",
    "attention_output_norm": "layers.{}.post_attention_layernorm",
    "mlp_norm": "layers.{}.pre_mlp_layernorm",
    "mlp_output_norm": "layers.{}.post_mlp_layernorm",
}
_GRANITE_UP = (SPARSE + "input_linear.weight", SPARSE + "experts.gate_up_proj")
GRANITE: Table = PLAIN | {
    "experts.router": (SPARSE + "router.layer", SPARSE + "router"),
    "experts.gate.weight": _either(*_GRANITE_UP, part=0, parts=2),
    "experts.up.weight": _either(*_GRANITE_UP, part=1, parts=2),
    "experts.down.weight": _either(SPARSE + "output_linear.weight", SPARSE + "experts.down_proj"),
    "experts.shared.gate_up": "layers.{}.shared_mlp.input_linear",
    "experts.shared.down": "layers.{}.shared_mlp.output_linear",
}


def _alternating(part: int, leaf: str, *, transposed: bool) -> StackedTensor:
    return StackedTensor(MLP + "experts.gate_up_proj" + leaf, part, 2, interleaved=True, transposed=transposed)


GRANITE_SINKS: Table = GRANITE | {"attention.sinks": _ATTENTION + "sinks"}
GPT_OSS: Table = PLAIN | {
    "attention.sinks": "layers.{}.self_attn.sinks",
    "experts.router": MLP + "router",
    "experts.gate.weight": _alternating(0, "", transposed=True),
    "experts.up.weight": _alternating(1, "", transposed=True),
    "experts.down.weight": StackedTensor(MLP + "experts.down_proj", transposed=True),
    "experts.gate.bias": _alternating(0, "_bias", transposed=False),
    "experts.up.bias": _alternating(1, "_bias", transposed=False),
    "experts.down.bias": StackedTensor(MLP + "experts.down_proj_bias"),
}
