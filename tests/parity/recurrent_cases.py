"""Small random configurations of families with recurrences; texts go beyond two chunks of 64 positions."""

from parity.case import Case

# More than two chunks of the decoder's, and less than one; the chunks of the reference have 16 positions.
CHUNKS = (150, 40)
SIZES = {"vocab_size": 48, "hidden_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ATTENTION = SIZES | {
    "intermediate_size": 40,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
MAMBA = SIZES | {"num_hidden_layers": 3, "state_size": 6}
MAMBA2 = MAMBA | {"num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 16, "expand": 2}
HYBRID = ATTENTION | {
    "num_hidden_layers": 4,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 2,
    "mamba_d_state": 6,
    "mamba_chunk_size": 16,
}
FALCON_H1 = HYBRID | {
    "num_hidden_layers": 3,
    "mamba_d_ssm": 48,
    "mamba_d_head": 6,
    "mamba_rms_norm": True,
    "lm_head_multiplier": 0.7,
    "embedding_multiplier": 2.5,
    "mlp_multipliers": [0.6, 1.7],
    "key_multiplier": 0.4,
    "attention_in_multiplier": 1.4,
    "attention_out_multiplier": 0.8,
    "ssm_multipliers": [0.7, 1.3, 0.9, 1.2, 0.8],
    "ssm_in_multiplier": 1.25,
    "ssm_out_multiplier": 0.6,
}
GRANITE = HYBRID | {
    "layer_types": ["linear_attention", "linear_attention", "full_attention", "linear_attention"],
    "num_local_experts": 0,
    "shared_intermediate_size": 40,
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.4,
    "embedding_multiplier": 3.0,
    "logits_scaling": 0.5,
}
NEMOTRON_H = ATTENTION | {
    "layers_block_type": ["linear_attention", "mlp", "linear_attention", "full_attention", "mlp"],
    "head_dim": 16,
    "mamba_num_heads": 8,
    "mamba_head_dim": 6,
    "n_groups": 2,
    "ssm_state_size": 6,
    "chunk_size": 16,
    "moe_intermediate_size": 24,
    "moe_shared_expert_intermediate_size": 20,
    # Long enough to bound many steps.
    "time_step_min": 0.15,
}
LFM2 = ATTENTION | {
    "num_hidden_layers": 4,
    "layer_types": ["conv", "conv", "full_attention", "conv"],
    "block_multiple_of": 8,
    "norm_eps": 1e-5,
}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 1e4}
LFM3 = ATTENTION | {
    "num_hidden_layers": 4,
    "layer_types": ["conv", "sliding_attention", "full_attention", "conv"],
    "head_dim": 16,
    "conv_L_cache": 3,
    "sliding_window": 20,
    "norm_eps": 1e-5,
    "rope_parameters": {
        "sliding_attention": PLAIN_ROPE,
        "full_attention": {
            "rope_type": "proportional",
            "rope_theta": 1e3,
            "partial_rotary_factor": 0.5,
            "factor": 1.5,
        },
    },
}
RECURRENT_GEMMA = ATTENTION | {
    # Its square root is no number of bfloat16.
    "hidden_size": 40,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 4,
    "attention_window_size": 20,
    "lru_width": 32,
    "rms_norm_eps": 1e-5,
    "logits_soft_cap": 5.0,
}
# Rows of one head of keys are shared by two of values.
DELTA = ATTENTION | {
    "num_hidden_layers": 4,
    "head_dim": 16,
    "layer_types": ["linear_attention", "linear_attention", "full_attention", "linear_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 10,
    "linear_value_head_dim": 6,
    "rms_norm_eps": 1e-5,
}
# Sizes with which the reference itself rounds little: the norm within the network magnifies what is small.
OLMO_HYBRID = {name: value for name, value in DELTA.items() if name != "head_dim"} | {
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 8,
}
ROUTED_DELTA = DELTA | {
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 20,
}
JAMBA = ATTENTION | {
    "num_hidden_layers": 4,
    "attn_layer_period": 3,
    "attn_layer_offset": 1,
    "num_experts": 6,
    "mamba_d_state": 6,
    "rms_norm_eps": 1e-5,
}
LFM2_MOE = {name: value for name, value in LFM2.items() if name != "block_multiple_of"} | {
    "num_dense_layers": 1,
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "routed_scaling_factor": 1.5,
}
# Five layers share two blocks; steps are bounded often.
ZAMBA2 = ATTENTION | {
    "num_hidden_layers": 7,
    "layers_block_type": ["linear_attention", *["hybrid"] * 3, "linear_attention", *["hybrid"] * 2],
    "num_key_value_heads": 4,
    "num_mem_blocks": 2,
    "use_shared_attention_adapter": True,
    "adapter_rank": 6,
    "use_mem_rope": True,
    "mamba_d_state": 6,
    "mamba_ngroups": 2,
    "n_mamba_heads": 8,
    "chunk_size": 16,
    "time_step_min": 0.15,
}

RECURRENT_CASES = [
    Case("mamba", MAMBA, CHUNKS),
    Case("mamba/bias", MAMBA | {"use_bias": True, "use_conv_bias": False, "tie_word_embeddings": False}, CHUNKS),
    Case("falcon_mamba", MAMBA | {"time_step_rank": 4, "mixer_rms_eps": 1e-3}, CHUNKS),
    Case("mamba2", MAMBA2, CHUNKS),
    Case("mamba2/steps", MAMBA2 | {"time_step_limit": [0.1, 0.2], "use_bias": True, "use_conv_bias": False}, CHUNKS),
    Case("bamba", HYBRID | {"attn_layer_indices": [1]}, CHUNKS),
    Case(
        "bamba/bias",
        HYBRID | {"attn_layer_indices": [0, 3], "mamba_proj_bias": True, "attention_bias": True, "mlp_bias": True},
        CHUNKS,
    ),
    Case("falcon_h1", FALCON_H1, CHUNKS),
    Case("falcon_h1/norm_first", FALCON_H1 | {"mamba_norm_before_gate": False, "projectors_bias": True}, CHUNKS),
    Case("falcon_h1/no_norm", FALCON_H1 | {"mamba_rms_norm": False, "mamba_proj_bias": True}, CHUNKS),
    Case("granitemoehybrid", GRANITE, CHUNKS),
    Case("granitemoehybrid/rope", GRANITE | {"position_embedding_type": "rope", "attention_bias": True}, CHUNKS),
    Case("nemotron_h", NEMOTRON_H, CHUNKS),
    Case("nemotron_h/bias", NEMOTRON_H | {"use_bias": True, "mlp_bias": True, "use_conv_bias": False}, CHUNKS),
    Case("zamba2", ZAMBA2, CHUNKS),
    Case(
        "zamba2/plain",
        ZAMBA2
        | {
            "num_hidden_layers": 4,
            "layers_block_type": ["hybrid", "linear_attention", "hybrid", "hybrid"],
            "num_key_value_heads": 2,
            "num_mem_blocks": 1,
            "use_shared_attention_adapter": False,
            "use_mem_rope": False,
            "add_bias_linear": True,
            "hidden_act": "silu",
        },
        CHUNKS,
    ),
    Case("lfm2", LFM2, CHUNKS),
    Case("lfm2/bias", LFM2 | {"conv_bias": True, "conv_L_cache": 4, "block_auto_adjust_ff_dim": False}, CHUNKS),
    Case("lfm3", LFM3, CHUNKS),
    Case(
        "lfm3/plain",
        LFM3
        | {
            "use_sandwich_norm": False,
            "use_attention_gate": False,
            "attention_bias": True,
            "conv_bias": True,
            "tie_word_embeddings": False,
            "rope_parameters": {"sliding_attention": PLAIN_ROPE, "full_attention": PLAIN_ROPE | {"rope_theta": 1e3}},
        },
        CHUNKS,
    ),
    Case("recurrent_gemma", RECURRENT_GEMMA, CHUNKS),
    Case("recurrent_gemma/bias", RECURRENT_GEMMA | {"attention_bias": True, "conv1d_width": 3}, CHUNKS),
    Case("qwen3_5_text", DELTA, CHUNKS),
    Case(
        "qwen3_5_text/bias",
        DELTA
        | {
            "attention_bias": True,
            "tie_word_embeddings": True,
            "linear_conv_kernel_dim": 3,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e5,
                "partial_rotary_factor": 0.5,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        CHUNKS,
    ),
    Case("qwen3_next", ROUTED_DELTA, CHUNKS),
    Case(
        "qwen3_next/dense",
        ROUTED_DELTA
        | {"mlp_only_layers": [0], "decoder_sparse_step": 2, "norm_topk_prob": False, "attention_bias": True},
        CHUNKS,
    ),
    Case("qwen3_5_moe_text", ROUTED_DELTA, CHUNKS),
    Case("jamba", JAMBA, CHUNKS),
    Case("jamba/bias", JAMBA | {"mamba_proj_bias": True, "mamba_conv_bias": False, "mamba_dt_rank": 5}, CHUNKS),
    Case("lfm2_moe", LFM2_MOE, CHUNKS),
    Case("lfm2_moe/uncorrected", LFM2_MOE | {"use_expert_bias": False, "norm_topk_prob": False}, CHUNKS),
    Case("granitemoehybrid/experts", GRANITE | {"num_local_experts": 6, "intermediate_size": 24}, CHUNKS),
    Case(
        "nemotron_h/experts",
        NEMOTRON_H
        | {
            "layers_block_type": ["linear_attention", "moe", "full_attention", "moe", "mlp"],
            "n_routed_experts": 6,
            "n_group": 3,
            "topk_group": 2,
            "routed_scaling_factor": 1.5,
        },
        CHUNKS,
    ),
    Case("olmo_hybrid", OLMO_HYBRID, CHUNKS),
    Case(
        "olmo_hybrid/unturned",
        OLMO_HYBRID
        | {
            "linear_allow_neg_eigval": False,
            "attention_bias": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": None},
        },
        CHUNKS,
    ),
]
