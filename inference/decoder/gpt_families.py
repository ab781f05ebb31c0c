"""Families of the lineage of GPT: layer norms with biases, and an MLP without a gate."""

from inference.decoder import tensor_names
from inference.decoder.family import Family
from inference.decoder.family_settings import (
    ATTENTION_BIASES,
    GPT,
    LAYER_NORM,
    MLP,
    OUTPUT,
    QKV,
    UNBIASED_QKV,
    biases,
    falcon_settings,
    join_settings,
    opt_settings,
    own_head_width,
    query_key_layer_norm,
    rotary_width,
    scaled_embedding,
)
from inference.decoder.tensor_names import TensorNames

NO_CROSS_ATTENTION = {"add_cross_attention": (False,)}

# What the first GPT calls gelu is the approximation by tanh.
OPENAI_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"}

GPT_FAMILIES: dict[str, Family] = {
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
    "codegen": Family(
        join_settings(
            GPT,
            UNBIASED_QKV,
            output_bias=False,
            residual="parallel_shared",
            rope_interleaved=True,
            rope_width=rotary_width,
            head_bias=True,
        ),
        TensorNames(tensor_names.CODEGEN, fused="quarters"),
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
    "gpt_neox_japanese": Family(
        join_settings(
            LAYER_NORM,
            gated=False,
            mlp_width=lambda hf: int(hf.hidden_size * hf.intermediate_multiple_size),
            output_biased_layers=lambda hf: (hf.num_hidden_layers - 1,),
            partial_rotary=True,
        ),
        TensorNames(tensor_names.GPT_NEOX_JAPANESE, fused="grouped"),
    ),
    "opt": Family(
        join_settings(GPT, biases("enable_bias", *QKV, *OUTPUT, *MLP), opt_settings),
        TensorNames(tensor_names.OPT),
    ),
    "biogpt": Family(
        join_settings(
            GPT,
            scaled_embedding,
            # The family's norms add this whatever its configuration says.
            norm_epsilon=1e-5,
            position="learned",
            position_offset=2,
        ),
        TensorNames(tensor_names.BIOGPT),
    ),
    "xglm": Family(
        join_settings(
            GPT,
            scaled_embedding,
            norm_epsilon=1e-5,
            position="sinusoidal",
            position_offset=2,
            # The slowest sine is slower by the largest period, whatever the number of them.
            sinusoid_steps=lambda hf: hf.d_model // 2 - 1,
        ),
        TensorNames(tensor_names.XGLM),
        NO_CROSS_ATTENTION,
    ),
    "ctrl": Family(
        join_settings(
            GPT,
            activation="relu",
            mlp_width=lambda hf: hf.dff,
            position="sinusoidal",
            sinusoid_steps=lambda hf: hf.n_embd // 2,
            embedding_scale=lambda hf: hf.n_embd**0.5,
            head_bias=True,
        ),
        TensorNames(tensor_names.CTRL),
        # Blocks have this one whatever the configuration says, and the last norm heeds it.
        {"layer_norm_epsilon": (1e-6,)},
    ),
    "openai-gpt": Family(
        join_settings(
            GPT,
            activation=lambda hf: OPENAI_ACTIVATIONS.get(hf.afn, hf.afn),
            mlp_width=lambda hf: 4 * hf.n_embd,
            placement="post",
            position="learned",
            final_norm=False,
        ),
        TensorNames(tensor_names.OPENAI_GPT, transposed=True),
        {"afn": tuple(OPENAI_ACTIVATIONS)},
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
