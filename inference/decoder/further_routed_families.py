"""Families whose attention is as unusual as their experts."""

from inference.decoder import further_routed_tensor_names as names
from inference.decoder.corrected_families import CORRECTED_FAMILIES, LATENT, PREDICTS_FURTHER
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    EVERYWHERE,
    LLAMA_BIASES,
    QKV,
    biases,
    full_layers,
    join_settings,
    no_rope_where,
)
from inference.decoder.further_routed_settings import (
    beam_settings,
    chunked_attention,
    dbrx_settings,
    final_norm,
    laguna_settings,
    lightning_layers,
    mixed_heads,
    shortcut_layers,
)
from inference.decoder.routed_settings import (
    DEEPSEEK3,
    LOCAL,
    QWEN,
    by_steps,
    by_type,
    experts_where,
    latent_attention,
    some_experts,
)
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS
from inference.decoder.tensor_names import TensorNames

GLM4_MOE = CORRECTED_FAMILIES["glm4_moe"].settings

FURTHER_ROUTED_FAMILIES: dict[str, Family] = {
    "llama4_text": Family(
        join_settings(
            ATTENTION_BIASES,
            chunked_attention,
            experts_where(lambda hf, layer: layer in hf.moe_layers),
            some_experts(
                **LOCAL,
                scores="logits",
                shares="sigmoid",
                input_scaled=True,
                shared_width=lambda hf: hf.intermediate_size,
            ),
            mlp_width=lambda hf: hf.intermediate_size_mlp,
            rope_interleaved=True,
        ),
        TensorNames(names.LLAMA4),
    ),
    "jetmoe": Family(
        join_settings(
            final_norm,
            ALL_LAYERS,
            some_experts(**LOCAL, scores="logits", shares="softmax", sum_bias=True),
            layer_mixer=lambda hf: ("routed_attention",) * hf.num_hidden_layers,
        ),
        TensorNames(names.JETMOE),
    ),
    "longcat_flash": Family(
        join_settings(
            ATTENTION_BIASES,
            shortcut_layers,
            some_experts(
                count=lambda hf: hf.n_routed_experts,
                chosen=lambda hf: hf.moe_topk,
                width=lambda hf: hf.expert_ffn_hidden_size,
                identities=lambda hf: hf.zero_expert_num or 0,
                shares="scores",
                scale=lambda hf: float(hf.routed_scaling_factor),
                corrected=True,
            ),
        ),
        TensorNames(names.LONGCAT, ignored=("mtp.", *names.IDLE_EXPERTS)),
        # A bias that the reference stores and leaves out.
        {"router_bias": (False, None)},
    ),
    "minimax": Family(
        join_settings(EVERYWHERE, ALL_LAYERS, some_experts(**LOCAL), lightning_layers),
        TensorNames(names.MINIMAX),
    ),
    "mimo_v2_flash": Family(
        join_settings(
            biases("attention_bias", *QKV),
            BY_TYPE,
            experts_where(by_type),
            some_experts(**DEEPSEEK3 | {"shared_width": 0}),
            mixed_heads,
            partial_rotary=True,
        ),
        TensorNames(names.MIMO, ignored=("mtp.",)),
    ),
    "sarvam_moe": Family(GLM4_MOE, TensorNames(names.SARVAM, apart=True, ignored=PREDICTS_FURTHER)),
    "sarvam_mla": Family(CORRECTED_FAMILIES["deepseek_v3"].settings, LATENT),
    "axk1": Family(
        join_settings(
            ATTENTION_BIASES, latent_attention, experts_where(by_type), some_experts(**DEEPSEEK3, output_norm=True)
        ),
        TensorNames(names.AXK1, optional=("experts.correction",), ignored=names.AXK1_IDLE),
    ),
    "dbrx": Family(
        join_settings(dbrx_settings, ALL_LAYERS, norm="layer", norm_epsilon=1e-5),
        TensorNames(names.DBRX),
    ),
    "aria_text": Family(
        join_settings(
            *LLAMA_BIASES,
            ALL_LAYERS,
            some_experts(
                count=lambda hf: hf.moe_num_experts,
                chosen=lambda hf: hf.moe_topk,
                width=lambda hf: hf.intermediate_size,
                scores="logits",
                shares="softmax",
                shared_width=lambda hf: hf.intermediate_size * hf.moe_num_shared_experts,
            ),
        ),
        TensorNames(names.ARIA),
        # What experts use whatever is stated, which what lies beside them heeds.
        {"hidden_act": ("silu", "swish")},
    ),
    "flint": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            experts_where(by_steps),
            some_experts(**QWEN, scores="sigmoid", shared_width=lambda hf: hf.shared_expert_intermediate_size),
            query_key_norm="head",
            attention_sinks=True,
            layer_rope=no_rope_where(lambda hf: [kind == "full_attention" for kind in hf.layer_types]),
        ),
        TensorNames(names.FLINT),
    ),
    "kolibri1": Family(
        join_settings(
            BY_TYPE,
            ALL_LAYERS,
            some_experts(
                **QWEN
                | {
                    "scores": "logits",
                    "shares": lambda hf: "normalised_sigmoid" if hf.norm_topk_prob else "sigmoid",
                    "corrected": True,
                    "shared_width": lambda hf: hf.shared_expert_intermediate_size,
                }
            ),
            placement="sandwich",
            query_key_norm="head",
            layer_rope=no_rope_where(full_layers),
        ),
        TensorNames(names.KOLIBRI),
    ),
    "laguna": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            experts_where(by_type),
            some_experts(
                **QWEN
                | {
                    "scores": "sigmoid",
                    "shares": "normalised",
                    "corrected": True,
                    "scale": lambda hf: float(hf.moe_routed_scaling_factor),
                    "shared_width": lambda hf: hf.shared_expert_intermediate_size,
                }
            ),
            laguna_settings,
            layer_mixer=lambda hf: ("gated_attention",) * hf.num_hidden_layers,
            query_key_norm="head",
            partial_rotary=True,
        ),
        TensorNames(names.LAGUNA),
        {"gating": (True, "per-head", "per-element"), "moe_router_logit_softcapping": (0.0,)},
    ),
    "beam": Family(
        join_settings(
            ATTENTION_BIASES,
            BY_TYPE,
            experts_where(by_type),
            some_experts(
                **QWEN
                | {
                    "scores": "sigmoid",
                    "corrected": True,
                    "groups": lambda hf: hf.n_group or 1,
                    "chosen_groups": lambda hf: hf.topk_group or 1,
                    "scale": lambda hf: float(hf.routed_scaling_factor),
                }
            ),
            beam_settings,
            layer_mixer=lambda hf: ("gated_attention",) * hf.num_hidden_layers,
            placement="sandwich",
            query_key_norm="head",
            logit_softcap=lambda hf: hf.final_logit_softcapping,
        ),
        TensorNames(names.BEAM),
    ),
}
