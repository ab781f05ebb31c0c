"""Families whose every layer is attention and one MLP."""

from inference.decoder import tensor_names
from inference.decoder.configuration_reading import window_by_type
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    BY_TYPE,
    COHERE,
    EVERYWHERE,
    GEMMA,
    GEMMA2,
    GLM,
    GPT,
    LAYER_NORM,
    LLAMA_BIASES,
    MLP,
    OLMO2,
    OUTPUT,
    QKV,
    UNBIASED_QKV,
    USE_BIAS,
    biases,
    falcon_settings,
    full_layers,
    join_settings,
    no_rope_where,
    opt_settings,
    own_head_width,
    query_key_layer_norm,
    rotary_width,
)
from inference.decoder.tensor_names import TensorNames

LLAMA_TENSORS = TensorNames(tensor_names.LLAMA)
OUTPUT_NORM_TENSORS = TensorNames(tensor_names.OUTPUT_NORMS)
CAUSAL = {"use_bidirectional_attention": (None, False)}
NO_CROSS_ATTENTION = {"add_cross_attention": (False,)}

DENSE_FAMILIES: dict[str, Family] = {
    "llama": Family(join_settings(*LLAMA_BIASES), LLAMA_TENSORS),
    "mistral": Family(join_settings(**EVERYWHERE), LLAMA_TENSORS),
    "ministral": Family(join_settings(**BY_TYPE), LLAMA_TENSORS),
    "arcee": Family(join_settings(*LLAMA_BIASES, gated=False), LLAMA_TENSORS),
    "seed_oss": Family(
        join_settings(*LLAMA_BIASES, biases("attention_out_bias", *OUTPUT)),
        LLAMA_TENSORS,
    ),
    "helium": Family(join_settings(*LLAMA_BIASES, output_bias=False, rope_interleaved=True), LLAMA_TENSORS),
    "ernie4_5": Family(join_settings(USE_BIAS, rope_interleaved=True), LLAMA_TENSORS),
    "smollm3": Family(
        join_settings(
            *LLAMA_BIASES, BY_TYPE, layer_rope=no_rope_where(lambda hf: [not on for on in hf.no_rope_layers])
        ),
        LLAMA_TENSORS,
    ),
    "granite": Family(
        join_settings(
            *LLAMA_BIASES,
            attention_scale=lambda hf: hf.attention_multiplier,
            residual_scale=lambda hf: hf.residual_multiplier,
            embedding_scale=lambda hf: hf.embedding_multiplier,
            logit_scale=lambda hf: 1 / hf.logits_scaling,
        ),
        LLAMA_TENSORS,
    ),
    "qwen2": Family(join_settings(BY_TYPE, query_bias=True, key_value_bias=True), LLAMA_TENSORS),
    "qwen3": Family(join_settings(ATTENTION_BIASES, BY_TYPE, query_key_norm="head"), LLAMA_TENSORS),
    "olmo": Family(
        join_settings(
            ATTENTION_BIASES, norm="layer", norm_weight=False, norm_epsilon=1e-5, qkv_clip=lambda hf: hf.clip_qkv
        ),
        LLAMA_TENSORS,
    ),
    "olmo2": Family(OLMO2, OUTPUT_NORM_TENSORS),
    "olmo3": Family(join_settings(OLMO2, BY_TYPE), OUTPUT_NORM_TENSORS),
    "exaone4": Family(
        join_settings(BY_TYPE, placement="branch", query_key_norm="head", layer_rope=no_rope_where(full_layers)),
        OUTPUT_NORM_TENSORS,
    ),
    "gemma": Family(join_settings(ATTENTION_BIASES, GEMMA), LLAMA_TENSORS, CAUSAL),
    "gemma2": Family(
        join_settings(ATTENTION_BIASES, GEMMA2, attention_softcap=lambda hf: hf.attn_logit_softcapping),
        OUTPUT_NORM_TENSORS,
        CAUSAL,
    ),
    "gemma3_text": Family(
        join_settings(ATTENTION_BIASES, GEMMA2, query_key_norm="head"),
        OUTPUT_NORM_TENSORS,
        CAUSAL | {"attn_logit_softcapping": (None,)},
    ),
    "phi3": Family(join_settings(EVERYWHERE, partial_rotary=True), TensorNames(tensor_names.FUSED)),
    "glm": Family(GLM, TensorNames(tensor_names.FUSED_GATE)),
    "glm4": Family(join_settings(GLM, placement="sandwich"), TensorNames(tensor_names.GLM4)),
    "nemotron": Family(
        join_settings(*LLAMA_BIASES, LAYER_NORM, gated=False, norm_offset=1.0, partial_rotary=True), LLAMA_TENSORS
    ),
    "starcoder2": Family(
        join_settings(USE_BIAS, LAYER_NORM, EVERYWHERE, gated=False), TensorNames(tensor_names.STARCODER2)
    ),
    "cohere": Family(
        join_settings(ATTENTION_BIASES, COHERE, query_key_norm=lambda hf: "per_head" if hf.use_qk_norm else "none"),
        LLAMA_TENSORS,
    ),
    "cohere2": Family(
        join_settings(
            ATTENTION_BIASES,
            COHERE,
            head_width=lambda hf: hf.hidden_size // hf.num_attention_heads,
            layer_window=window_by_type,
            layer_rope=no_rope_where(lambda hf: [kind == "full_attention" for kind in hf.layer_types]),
        ),
        LLAMA_TENSORS,
    ),
    "stablelm": Family(
        join_settings(
            LAYER_NORM,
            own_head_width,
            biases("use_qkv_bias", *QKV),
            residual=lambda hf: "parallel_shared" if hf.use_parallel_residual else "sequential",
            query_key_norm=lambda hf: "per_head" if hf.qk_layernorm else "none",
            partial_rotary=True,
        ),
        TensorNames(tensor_names.STABLELM),
    ),
    "phi": Family(
        join_settings(GPT, query_key_layer_norm, residual="parallel_shared", head_bias=True, partial_rotary=True),
        TensorNames(tensor_names.PHI),
    ),
    "persimmon": Family(
        join_settings(GPT, own_head_width, query_key_layer_norm, partial_rotary=True),
        TensorNames(tensor_names.PERSIMMON, fused="grouped"),
    ),
    "gpt2": Family(
        join_settings(
            GPT,
            position="learned",
            attention_scale=lambda hf: None if hf.scale_attn_weights else 1.0,
            inverse_layer_scale=lambda hf: bool(hf.scale_attn_by_inverse_layer_idx),
        ),
        TensorNames(tensor_names.GPT2, transposed=True),
        NO_CROSS_ATTENTION,
    ),
    "gpt_bigcode": Family(
        join_settings(
            GPT,
            position="learned",
            key_value_heads=lambda hf: 1 if hf.multi_query else hf.n_head,
            attention_scale=lambda hf: None if hf.scale_attn_weights else 1.0,
        ),
        # With one key and value head for all, grouped rows are queries, key, value.
        TensorNames(tensor_names.GPT2, fused="grouped"),
        NO_CROSS_ATTENTION,
    ),
    "gpt_neo": Family(
        join_settings(
            GPT,
            UNBIASED_QKV,
            position="learned",
            attention_scale=1.0,
            layer_window=lambda hf: tuple(hf.window_size if kind == "local" else 0 for kind in hf.attention_layers),
        ),
        TensorNames(tensor_names.GPT_NEO),
    ),
    "gptj": Family(
        join_settings(
            GPT,
            UNBIASED_QKV,
            output_bias=False,
            residual="parallel_shared",
            rope_interleaved=True,
            rope_width=rotary_width,
            head_bias=True,
        ),
        TensorNames(tensor_names.GPTJ),
    ),
    "gpt_neox": Family(
        join_settings(
            GPT,
            ATTENTION_BIASES,
            own_head_width,
            residual=lambda hf: "parallel" if hf.use_parallel_residual else "sequential",
            partial_rotary=True,
        ),
        TensorNames(tensor_names.GPT_NEOX, fused="grouped"),
    ),
    "opt": Family(
        join_settings(GPT, biases("enable_bias", *QKV, *OUTPUT, *MLP), opt_settings),
        TensorNames(tensor_names.OPT),
    ),
    "bloom": Family(
        join_settings(
            GPT,
            position="alibi",
            embedding_norm=True,
            activation="gelu_tanh",
            mlp_width=lambda hf: 4 * hf.hidden_size,
        ),
        TensorNames(tensor_names.BLOOM, fused="grouped"),
        {"apply_residual_connection_post_layernorm": (False,)},
    ),
    "falcon": Family(
        join_settings(GPT, biases("bias", *QKV, *OUTPUT, *MLP), falcon_settings),
        TensorNames(tensor_names.FALCON, fused="grouped"),
    ),
    "mpt": Family(
        join_settings(
            norm="layer",
            gated=False,
            activation="gelu",
            mlp_width=lambda hf: 4 * hf.d_model,
            position="alibi",
            qkv_clip=lambda hf: hf.attn_config.clip_qkv or None,
            attention_scale=lambda hf: hf.attn_config.softmax_scale,
            max_length=lambda hf: hf.max_seq_len,
        ),
        TensorNames(tensor_names.MPT),
        {
            "attn_config.attn_type": ("multihead_attention",),
            "attn_config.alibi": (True,),
            "attn_config.alibi_bias_max": (8,),
            "attn_config.prefix_lm": (False,),
            "attn_config.qk_ln": (False,),
            "expansion_ratio": (4,),
            "no_bias": (True,),
            "logit_scale": (None,),
        },
    ),
}
