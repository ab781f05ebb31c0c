"""Families whose layers, or some of them, have routed experts in place of an MLP."""

from inference.decoder import routed_tensor_names as names
from inference.decoder.configuration_reading import Settings
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    EVERYWHERE,
    GRANITE,
    LAYER_NORM,
    MLP,
    OLMO2,
    QKV,
    USE_BIAS,
    biases,
    full_layers,
    join_settings,
    no_rope_where,
    own_head_width,
    stretched_rope,
)
from inference.decoder.routed_settings import (
    DEEPSEEK3,
    LOCAL,
    QWEN,
    after_first,
    between,
    by_steps,
    by_type,
    experts_where,
    latent_attention,
    mixed_rope,
    normalised,
    one_for_all,
    some_experts,
)
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS
from inference.decoder.tensor_names import TensorNames

# Layers behind the last one that predict tokens further on, which no score needs.
PREDICTS_FURTHER = ("layers.{}.",)
CORRECTED = TensorNames(names.CORRECTED, ignored=PREDICTS_FURTHER)
LATENT = TensorNames(names.LATENT, ignored=PREDICTS_FURTHER)
GRANITE_EXPERTS: Settings = {"scores": "logits", "shares": "softmax"}

ROUTED_FAMILIES: dict[str, Family] = {
    "mixtral": Family(join_settings(EVERYWHERE, ALL_LAYERS, some_experts(**LOCAL)), TensorNames(names.MIXTRAL)),
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
    "glm4_moe": Family(
        join_settings(
            biases("attention_bias", *QKV),
            experts_where(after_first),
            some_experts(**DEEPSEEK3),
            query_key_norm=lambda hf: "head" if hf.use_qk_norm else "none",
            partial_rotary=True,
        ),
        CORRECTED,
    ),
    "ernie4_5_moe": Family(
        join_settings(
            USE_BIAS,
            biases("use_bias", "head_bias"),
            experts_where(between),
            some_experts(
                count=lambda hf: hf.moe_num_experts,
                chosen=lambda hf: hf.moe_k,
                width=lambda hf: hf.moe_intermediate_size,
                smallest_sum=lambda hf: float(hf.moe_norm_min),
                corrected=True,
                shared_width=lambda hf: hf.moe_intermediate_size * hf.moe_num_shared_experts,
            ),
            rope_interleaved=True,
        ),
        TensorNames(names.ERNIE, ignored=("mtp_",)),
    ),
    "solar_open": Family(
        join_settings(biases("attention_bias", *QKV), ALL_LAYERS, some_experts(**DEEPSEEK3), partial_rotary=True),
        CORRECTED,
    ),
    "exaone_moe": Family(
        join_settings(
            BY_TYPE,
            experts_where(by_type),
            some_experts(
                **DEEPSEEK3
                | {
                    "count": lambda hf: hf.num_experts,
                    "shared_width": lambda hf: hf.moe_intermediate_size * hf.num_shared_experts,
                }
            ),
            query_key_norm="head",
            layer_rope=no_rope_where(full_layers),
        ),
        TensorNames(names.EXAONE, ignored=("mtp",)),
    ),
    "minimax_m2": Family(
        join_settings(
            ALL_LAYERS,
            some_experts(**LOCAL, scores="sigmoid", corrected=True),
            query_key_norm="flat",
            partial_rotary=True,
        ),
        TensorNames(names.MINIMAX_M2),
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
        join_settings(OLMO2, ALL_LAYERS, some_experts(**LOCAL, shares=normalised)), TensorNames(names.FLEX_OLMO)
    ),
    "deepseek_v2": Family(
        join_settings(
            ATTENTION_BIASES,
            biases("mlp_bias", *MLP),
            latent_attention,
            experts_where(after_first),
            some_experts(
                **DEEPSEEK3
                | {
                    "scores": "softmax",
                    "shares": "scores",
                    "corrected": False,
                    "groups": lambda hf: hf.n_group if hf.topk_method == "group_limited_greedy" else 1,
                    "chosen_groups": lambda hf: hf.topk_group if hf.topk_method == "group_limited_greedy" else 1,
                    "group_score": "best",
                }
            ),
        ),
        TensorNames(names.LATENT),
        {"topk_method": ("greedy", "group_limited_greedy")},
    ),
    "deepseek_v3": Family(
        join_settings(ATTENTION_BIASES, latent_attention, experts_where(after_first), some_experts(**DEEPSEEK3)),
        LATENT,
    ),
    "glm4_moe_lite": Family(
        join_settings(ATTENTION_BIASES, latent_attention, experts_where(by_type), some_experts(**DEEPSEEK3)),
        LATENT,
    ),
    "dots1": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            experts_where(after_first),
            some_experts(**DEEPSEEK3),
            query_key_norm="head",
        ),
        CORRECTED,
    ),
}
