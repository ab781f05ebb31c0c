"""Where the parameters of families with linear attention lie; the form of the tables is that of `tensor_names`."""

from inference.decoder.linear_attention_settings import KimiDelta
from inference.decoder.routed_tensor_names import LATENT
from inference.decoder.stored_layouts import JoinedTensors, PaddedShape, StackedTensor
from inference.decoder.tensor_names import Names

_KIMI = "layers.{}.self_attn."
# The first name of each is that of the hub, the second that within transformers.
_KIMI_EXPERTS = ("layers.{}.block_sparse_moe.", "layers.{}.mlp.")


def _kimi_either(name: str) -> tuple[str, ...]:
    return tuple(base + name for base in _KIMI_EXPERTS)


def _kimi_expert(name: str, joined: StackedTensor) -> tuple[str | StackedTensor, ...]:
    return (f"{_KIMI_EXPERTS[0]}experts.*.{name}.weight", joined)


_KIMI_GATE_UP, _KIMI_DOWN = (f"{_KIMI_EXPERTS[1]}experts.{name}" for name in ("gate_up_proj", "down_proj"))
KIMI_LINEAR: Names = {
    **LATENT,
    "kimi_delta.mixed": JoinedTensors(
        tuple(f"{_KIMI}{part}_proj" for part in "qkv"), lambda config: (config.part(KimiDelta).inner_width,) * 3
    ),
    "kimi_delta.convolution": (JoinedTensors(tuple(f"{_KIMI}{part}_conv1d" for part in "qkv")), _KIMI + "conv1d"),
    "kimi_delta.decay_down": (_KIMI + "f_a_proj", _KIMI + "forget_gate.f_a_proj"),
    "kimi_delta.decay_up": (_KIMI + "f_b_proj", _KIMI + "forget_gate.f_b_proj"),
    "kimi_delta.step_bias": (_KIMI + "dt_bias", _KIMI + "forget_gate.dt_bias"),
    "kimi_delta.log_rates": (
        PaddedShape(_KIMI + "A_log", 2, 1),
        PaddedShape(_KIMI + "forget_gate.A_log", 2, 1),
    ),
    "kimi_delta.strength": _KIMI + "b_proj",
    "kimi_delta.gate_down": _KIMI + "g_a_proj",
    "kimi_delta.gate_up": _KIMI + "g_b_proj",
    "kimi_delta.norm": _KIMI + "o_norm",
    "kimi_delta.output": _KIMI + "o_proj",
    # Where transformers saves a checkpoint, it names the maps of dense layers as if they had experts.
    **{f"mlp.{part}": _kimi_either(f"{part}_proj")[::-1] for part in ("gate", "up", "down")},
    "experts.router": _kimi_either("gate"),
    "experts.correction": _kimi_either("gate.e_score_correction_bias"),
    "experts.gate.weight": _kimi_expert("w1", StackedTensor(_KIMI_GATE_UP, 0, 2)),
    "experts.up.weight": _kimi_expert("w3", StackedTensor(_KIMI_GATE_UP, 1, 2)),
    "experts.down.weight": _kimi_expert("w2", StackedTensor(_KIMI_DOWN)),
    **{f"experts.shared.{part}": _kimi_either(f"shared_experts.{part}_proj") for part in ("gate", "up", "down")},
}


def _bailing(name: str, module: str = "") -> tuple[str, str]:
    return f"layers.{{}}.attention.{name}", f"layers.{{}}.self_attn.{module or name}"


def _bailing_parts(kind: str, **names: str) -> dict[str, tuple[str, str]]:
    return {f"{kind}.{part}": _bailing(name) for part, name in names.items()} | {
        f"{kind}.output": _bailing("dense", "o_proj")
    }


# The first name of each is that of the hub, the second that within transformers.
BAILING_HYBRID: Names = {
    **LATENT,
    "embedding": ("word_embeddings", "embed_tokens"),
    **_bailing_parts(
        "head_gated_latent_attention",
        query="q_proj",
        query_down="q_a_proj",
        query_norm="q_a_layernorm",
        query_up="q_b_proj",
        key_value_down="kv_a_proj_with_mqa",
        key_value_norm="kv_a_layernorm",
        key_value_up="kv_b_proj",
        gate="g_proj",
    ),
    **_bailing_parts("kimi_delta", strength="b_proj", gate_up="g_proj", norm="o_norm"),
    "kimi_delta.mixed": tuple(
        JoinedTensors(names, lambda config: (config.part(KimiDelta).inner_width,) * 3)
        for names in zip(*(_bailing(f"{part}_proj") for part in "qkv"), strict=True)
    ),
    "kimi_delta.convolution": (
        JoinedTensors(tuple(_bailing(f"{part}_conv1d")[0] for part in "qkv")),
        _bailing("conv1d")[1],
    ),
    "kimi_delta.decay_up": _bailing("f_proj", "forget_gate.f_proj"),
    "kimi_delta.step_bias": _bailing("dt_bias", "forget_gate.dt_bias"),
    "kimi_delta.log_rates": _bailing("A_log", "forget_gate.A_log"),
    "experts.correction": tuple(f"layers.{{}}.mlp.gate.{name}" for name in ("expert_bias", "e_score_correction_bias")),
}
_MIXING, _CHANNELS = "blocks.{}.attention.", "blocks.{}.feed_forward."
RWKV: Names = {
    "embedding": "embeddings",
    # Stored with the first block.
    "embedding_norm": "blocks.0.pre_ln",
    "final_norm": "ln_out",
    "head": "head",
    "attention_norm": "blocks.{}.ln1",
    "mlp_norm": "blocks.{}.ln2",
    **{f"time_mixing.{name}": _MIXING + name for name in ("key", "value", "output")},
    "time_mixing.gate": _MIXING + "receptance",
    "time_mixing.key_shift.share": _MIXING + "time_mix_key",
    "time_mixing.value_shift.share": _MIXING + "time_mix_value",
    "time_mixing.gate_shift.share": _MIXING + "time_mix_receptance",
    "time_mixing.log_rates": _MIXING + "time_decay",
    "time_mixing.bonus": _MIXING + "time_first",
    "channel_mixing.up": _CHANNELS + "key",
    "channel_mixing.gate": _CHANNELS + "receptance",
    "channel_mixing.down": _CHANNELS + "value",
    "channel_mixing.up_shift.share": _CHANNELS + "time_mix_key",
    "channel_mixing.gate_shift.share": _CHANNELS + "time_mix_receptance",
}
_MLSTM = "blocks.{}.mlstm_layer."
XLSTM: Names = {
    "embedding": "embeddings",
    "final_norm": "out_norm",
    "head": "lm_head",
    "attention_norm": "blocks.{}.norm_mlstm",
    "mlp_norm": "blocks.{}.norm_ffn",
    "mlstm.query": _MLSTM + "q",
    "mlstm.key": _MLSTM + "k",
    "mlstm.value": _MLSTM + "v",
    "mlstm.gate": _MLSTM + "ogate_preact",
    "mlstm.input_gate": _MLSTM + "igate_preact",
    "mlstm.forget_gate": _MLSTM + "fgate_preact",
    "mlstm.norm_weight": _MLSTM + "multihead_norm.weight",
    "mlstm.output": _MLSTM + "out_proj",
    "mlp.gate": "blocks.{}.ffn.proj_up_gate",
    "mlp.up": "blocks.{}.ffn.proj_up",
    "mlp.down": "blocks.{}.ffn.proj_down",
}
