"""Families whose layers, or some of them, have routed experts in place of an MLP."""

from inference.decoder import routed_tensor_names as names
from inference.decoder.configuration_reading import Settings
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    COHERE,
    EVERYWHERE,
    GRANITE,
    LAYER_NORM,
    OLMO2,
    QKV,
    biases,
    join_settings,
    own_head_width,
    rope_by_layer,
    stretched_rope,
)
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS
from inference.decoder.routed_settings import (
    LOCAL,
    QWEN,
    by_steps,
    by_type,
    cohere_experts,
    cohere_positions,
    experts_where,
    mixed_rope,
    normalised,
    one_for_all,
    some_experts,
)
from inference.decoder.tensor_names import TensorNames

GRANITE_EXPERTS: Settings = {"scores": "logits", "shares": "softmax"}

ROUTED_FAMILIES: dict[str, Family] = {
    "mixtral": Family(
        join_settings(EVERYWHERE, ALL_LAYERS, some_experts(**LOCAL)),
        TensorNames(names.MIXTRAL),
    ),
    "qwen2_moe": Family(
        join_settings(
            BY_TYPE,
            biases("qkv_bias", *QKV),
            experts_where(by_steps),
            some_experts(**QWEN, shared_width=lambda hf: hf.shared_expert_intermediate_size, shared_gated=True),
        ),
        TensorNames(names.QWEN2_MOE),
    ),
    "qwen3_moe": Family(
        join_settings(
            ATTENTION_BIASES, EVERYWHERE, experts_where(by_steps), some_experts(**QWEN), query_key_norm="head"
        ),
        TensorNames(names.ROUTED),
    ),
    "olmoe": Family(
        join_settings(
            ATTENTION_BIASES,
            own_head_width,
            ALL_LAYERS,
            some_experts(**LOCAL, shares=normalised),
            query_key_norm="flat",
            qkv_clip=lambda hf: hf.clip_qkv,
        ),
        TensorNames(names.ROUTED),
    ),
    "granitemoe": Family(
        join_settings(GRANITE, ATTENTION_BIASES, ALL_LAYERS, some_experts(**LOCAL, **GRANITE_EXPERTS)),
        TensorNames(names.GRANITE),
    ),
    "granitemoeshared": Family(
        join_settings(
            GRANITE,
            ATTENTION_BIASES,
            ALL_LAYERS,
            some_experts(**LOCAL, **GRANITE_EXPERTS, shared_width=lambda hf: hf.shared_intermediate_size),
        ),
        TensorNames(names.GRANITE),
    ),
    "gpt_oss": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            ALL_LAYERS,
            some_experts(
                **LOCAL,
                scores="logits",
                shares="softmax",
                router_bias=True,
                bias=True,
                gate_bound=lambda hf: float(hf.swiglu_limit),
                gate_slope=lambda hf: float(hf.swiglu_alpha),
            ),
            attention_sinks=True,
        ),
        TensorNames(names.GPT_OSS),
    ),
    "phimoe": Family(
        join_settings(
            LAYER_NORM,
            ATTENTION_BIASES,
            EVERYWHERE,
            mixed_rope,
            biases("lm_head_bias", "head_bias"),
            ALL_LAYERS,
            some_experts(**LOCAL, choice="sparse_mixer", tolerance=lambda hf: float(hf.router_jitter_noise)),
        ),
        TensorNames(names.PHIMOE),
    ),
    "hunyuan_v1_moe": Family(
        join_settings(
            ATTENTION_BIASES,
            stretched_rope,
            ALL_LAYERS,
            some_experts(
                count=one_for_all("num_experts"),
                chosen=one_for_all("moe_topk"),
                width=lambda hf: hf.intermediate_size,
                shared_width=lambda hf: hf.intermediate_size,
            ),
            query_key_norm="head",
            query_key_norm_late=True,
        ),
        TensorNames(names.HUNYUAN),
    ),
    "flex_olmo": Family(
        join_settings(OLMO2, ALL_LAYERS, some_experts(**LOCAL, shares=normalised)),
        TensorNames(names.FLEX_OLMO),
    ),
    "mellum": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            experts_where(by_type),
            some_experts(**QWEN),
            query_key_norm="head",
            partial_rotary=True,
        ),
        TensorNames(names.ROUTED, ignored=("mtp.",)),
    ),
    "granitemoe_swa": Family(
        join_settings(
            GRANITE,
            ATTENTION_BIASES,
            BY_TYPE,
            rope_by_layer,
            ALL_LAYERS,
            some_experts(**LOCAL, **GRANITE_EXPERTS, shared_width=lambda hf: hf.shared_intermediate_size),
            attention_sinks=True,
        ),
        TensorNames(names.GRANITE_SINKS),
    ),
    "cohere2_moe": Family(
        join_settings(
            ATTENTION_BIASES,
            COHERE,
            BY_TYPE,
            experts_where(by_type),
            cohere_experts,
            norm=lambda hf: "layer" if hf.rms_norm_eps is None else "rms",
            mlp_width=lambda hf: hf.prefix_dense_intermediate_size or hf.intermediate_size,
            layer_rope=cohere_positions,
        ),
        TensorNames(names.CORRECTED),
        {"expert_selection_fn": ("softmax", "sigmoid"), "shared_expert_combination_strategy": ("average", "sum")},
    ),
}
