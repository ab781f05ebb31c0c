"""Families whose routed experts are chosen by scores that are corrected, as DeepSeek has it, or after them."""

from inference.decoder import routed_tensor_names as names
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    LLAMA_BIASES,
    MLP,
    QKV,
    USE_BIAS,
    biases,
    full_layers,
    join_settings,
    no_rope_where,
)
from inference.decoder.routed_settings import (
    DEEPSEEK3,
    LOCAL,
    QWEN,
    after_first,
    between,
    by_type,
    experts_where,
    latent_attention,
    some_experts,
)
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS
from inference.decoder.tensor_names import TensorNames

# Layers behind the last one that predict tokens further on, which no score needs.
PREDICTS_FURTHER = ("layers.{}.",)
CORRECTED = TensorNames(names.CORRECTED, ignored=PREDICTS_FURTHER)
LATENT = TensorNames(names.LATENT, ignored=PREDICTS_FURTHER)

CORRECTED_FAMILIES: dict[str, Family] = {
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
    "hy_v3": Family(
        join_settings(
            *LLAMA_BIASES,
            experts_where(by_type),
            some_experts(
                **QWEN
                | {
                    "scores": "sigmoid",
                    "shares": "normalised",
                    "corrected": True,
                    "scale": lambda hf: float(hf.router_scaling_factor),
                    "shared_width": lambda hf: hf.moe_intermediate_size * hf.num_shared_experts,
                }
            ),
            query_key_norm="head",
        ),
        TensorNames(names.HUNYUAN3, ignored=PREDICTS_FURTHER),
    ),
    "afmoe": Family(
        join_settings(
            BY_TYPE,
            experts_where(lambda hf, layer: layer >= hf.num_dense_layers),
            some_experts(
                **QWEN
                | {
                    "scores": "sigmoid",
                    "shares": "normalised",
                    "corrected": True,
                    "scale": lambda hf: float(hf.route_scale),
                    "shared_width": lambda hf: hf.moe_intermediate_size * hf.num_shared_experts,
                }
            ),
            layer_mixer=lambda hf: ("gated_attention",) * hf.num_hidden_layers,
            placement="sandwich",
            query_key_norm="head",
            layer_rope=no_rope_where(lambda hf: [kind == "full_attention" for kind in hf.layer_types]),
            embedding_scale=lambda hf: hf.hidden_size**0.5 if hf.mup_enabled else 1.0,
        ),
        TensorNames(names.AFMOE),
        {"attention_bias": (False,)},
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
