"""Small random configurations of families with routed experts."""

from parity.case import Case

SIZES = {
    "vocab_size": 48,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LOCAL = SIZES | {"num_local_experts": 5, "num_experts_per_tok": 2}
QWEN = SIZES | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 20}
# Two routed layers behind a dense one.
DEEPSEEK3 = SIZES | {
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "n_shared_experts": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.7,
}
GROUPS = {"n_routed_experts": 6, "n_group": 3, "topk_group": 2, "norm_topk_prob": False}
GRANITE = LOCAL | {
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.3,
    "embedding_multiplier": 9.0,
    "logits_scaling": 0.5,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1.5e5,
    "factor": 4.0,
    "beta_fast": 2.0,
    "beta_slow": 0.2,
    "truncate": False,
    "original_max_position_embeddings": 16,
}
GPT_OSS = LOCAL | {"head_dim": 16, "sliding_window": 6, "rope_parameters": YARN, "swiglu_limit": 0.2}
ERNIE = SIZES | {
    "moe_num_experts": 5,
    "moe_k": 2,
    "moe_intermediate_size": 20,
    "moe_num_shared_experts": 2,
    "moe_layer_start_index": 1,
    "moe_norm_min": 0.55,
}
DEEPSEEK2 = DEEPSEEK3 | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 12,
    "q_lora_rank": None,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 6,
    "v_head_dim": 7,
}
LATENT = DEEPSEEK2 | {"q_lora_rank": 14}
LATENT_YARN = YARN | {"truncate": True, "mscale": 0.7, "mscale_all_dim": 1.3}
# Bounds of the ramp that move where the numbers they are made of do.
RAMP = LATENT_YARN | {"rope_theta": 1e4, "original_max_position_embeddings": 64}
WIDE_GROUPS = {"n_routed_experts": 12}
PHIMOE = LOCAL | {"router_jitter_noise": 0.3}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [2.0, 2.3, 2.6, 2.9],
    "original_max_position_embeddings": 20,
    "short_mscale": 1.1,
    "long_mscale": 1.4,
}
AFMOE = QWEN | {
    "head_dim": 16,
    "num_dense_layers": 1,
    "num_shared_experts": 2,
    "route_scale": 1.7,
    "sliding_window": 6,
    "global_attn_every_n_layers": 3,
}
COHERE2 = QWEN | {
    "head_dim": 16,
    "num_shared_experts": 2,
    "prefix_dense_intermediate_size": 28,
    "first_k_dense_replace": 1,
    "sliding_window": 6,
    "sliding_window_pattern": 2,
    "logit_scale": 0.5,
}
TYPES = {"mlp_layer_types": ["sparse", "dense", "sparse"]}
MANY_TOKENS = {"max_position_embeddings": 256}

ROUTED_CASES = [
    Case("mixtral", LOCAL | {"sliding_window": 6}),
    Case("mixtral/full", LOCAL | {"head_dim": 16, "hidden_act": "gelu", "tie_word_embeddings": True}),
    Case("mixtral/three", LOCAL | {"num_experts_per_tok": 3, "num_local_experts": 4}, (150, 40)),
    Case("qwen2_moe", QWEN | {"shared_expert_intermediate_size": 28}),
    Case(
        "qwen2_moe/window",
        QWEN
        | {
            "shared_expert_intermediate_size": 28,
            "norm_topk_prob": True,
            "use_sliding_window": True,
            "sliding_window": 6,
            "qkv_bias": False,
            "mlp_only_layers": [1],
        },
    ),
    Case("qwen3_moe", QWEN | {"head_dim": 16, "norm_topk_prob": True}),
    Case(
        "qwen3_moe/step",
        QWEN
        | {
            "num_hidden_layers": 5,
            "decoder_sparse_step": 2,
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 6,
        },
    ),
    Case("olmoe", LOCAL | {"clip_qkv": 0.7}),
    Case("olmoe/normalised", LOCAL | {"norm_topk_prob": True, "attention_bias": True, "tie_word_embeddings": True}),
    Case("granitemoe", GRANITE),
    Case("granitemoe/bias", GRANITE | {"attention_bias": True, "tie_word_embeddings": True}),
    Case("granitemoeshared", GRANITE | {"shared_intermediate_size": 28}),
    Case("granitemoeshared/alone", GRANITE | {"shared_intermediate_size": 0, "attention_bias": True}),
    Case("gpt_oss", GPT_OSS),
    Case("gpt_oss/unbiased", GPT_OSS | {"attention_bias": False, "swiglu_alpha": 1.2, "num_hidden_layers": 2}),
    Case("glm4_moe", DEEPSEEK3 | {"head_dim": 16, "use_qk_norm": True, "attention_bias": True}),
    Case("glm4_moe/groups", DEEPSEEK3 | GROUPS | {"head_dim": 8, "partial_rotary_factor": 1.0}),
    Case("ernie4_5_moe", ERNIE),
    Case(
        "ernie4_5_moe/bias",
        ERNIE | {"use_bias": True, "moe_num_shared_experts": 0, "moe_layer_interval": 2, "num_hidden_layers": 4},
    ),
    Case("solar_open", DEEPSEEK3 | {"head_dim": 16}),
    Case("solar_open/groups", DEEPSEEK3 | GROUPS | {"head_dim": 8, "attention_bias": True}),
    Case("exaone_moe", QWEN | DEEPSEEK3 | {"num_experts": 6, "num_shared_experts": 2, "sliding_window": 6}),
    Case(
        "exaone_moe/full",
        QWEN | DEEPSEEK3 | GROUPS | TYPES | {"num_experts": 6, "sliding_window": 6, "sliding_window_pattern": 2},
    ),
    Case("minimax_m2", LOCAL | {"head_dim": 16, "rotary_dim": 8}),
    Case("minimax_m2/whole", LOCAL | {"head_dim": 8, "tie_word_embeddings": True}),
    Case("phimoe", PHIMOE),
    Case(
        "phimoe/longrope",
        PHIMOE | {"rope_parameters": LONGROPE, "attention_bias": True, "lm_head_bias": True, "sliding_window": 6},
        (20, 17),
    ),
    Case("hunyuan_v1_moe", SIZES | {"num_experts": 5, "moe_topk": 2, "head_dim": 16}),
    Case(
        "hunyuan_v1_moe/alpha",
        SIZES
        | {
            "num_experts": 5,
            "moe_topk": [3, 3, 3],
            "head_dim": 8,
            "attention_bias": True,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 1.0, "alpha": 1000.0},
        },
    ),
    Case("flex_olmo", LOCAL),
    Case("flex_olmo/normalised", LOCAL | {"norm_topk_prob": True, "attention_bias": True}),
    Case("deepseek_v2", DEEPSEEK2 | {"topk_method": "greedy"}),
    Case(
        "deepseek_v2/groups",
        LATENT
        | MANY_TOKENS
        | GROUPS
        | WIDE_GROUPS
        | {
            "topk_method": "group_limited_greedy",
            "attention_bias": True,
            "mlp_bias": True,
            "qk_rope_head_dim": 16,
            "rope_parameters": RAMP,
        },
        (150, 40),
    ),
    Case("deepseek_v3", LATENT | MANY_TOKENS | {"qk_rope_head_dim": 16, "rope_parameters": RAMP}, (150, 40)),
    Case(
        "deepseek_v3/halves",
        LATENT | GROUPS | WIDE_GROUPS | {"rope_interleave": False, "attention_bias": True, "first_k_dense_replace": 2},
    ),
    Case("glm4_moe_lite", LATENT | TYPES),
    Case("glm4_moe_lite/groups", LATENT | GROUPS | WIDE_GROUPS | {"attention_bias": True, "rope_interleave": False}),
    Case(
        "mellum",
        QWEN
        | {
            "head_dim": 16,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "mlp_layer_types": ["dense", "sparse", "sparse"],
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 5e5},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    Case(
        "mellum/scores",
        QWEN | {"head_dim": 8, "norm_topk_prob": False, "attention_bias": True, "layer_types": ["full_attention"] * 3},
    ),
    Case(
        "granitemoe_swa",
        GRANITE
        | {
            "shared_intermediate_size": 28,
            "sliding_window": 6,
            "layer_rope_theta": [0, 1e4, 1e3],
            "num_hidden_layers": 3,
        },
    ),
    Case(
        "granitemoe_swa/alone",
        GRANITE | {"shared_intermediate_size": 0, "sliding_window": 6, "attention_bias": True},
    ),
    Case(
        "hy_v3",
        QWEN | {"head_dim": 16, "num_shared_experts": 2, "router_scaling_factor": 1.7},
    ),
    Case(
        "hy_v3/bias",
        QWEN
        | TYPES
        | {
            "head_dim": 8,
            "num_shared_experts": 1,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
    ),
    Case("afmoe", AFMOE),
    Case("afmoe/scaled", AFMOE | {"mup_enabled": True, "num_dense_layers": 0, "tie_word_embeddings": True}),
    Case("cohere2_moe", COHERE2),
    Case(
        "cohere2_moe/sum",
        COHERE2
        | TYPES
        | {
            "rms_norm_eps": None,
            "shared_expert_combination_strategy": "sum",
            "expert_selection_fn": "sigmoid",
            "norm_topk_prob": False,
            "attention_bias": True,
            "prefix_dense_sliding_window_pattern": 2,
        },
    ),
    Case(
        "cohere2_moe/sigmoid",
        COHERE2 | {"num_shared_experts": 0, "expert_selection_fn": "sigmoid", "tie_word_embeddings": False},
    ),
    Case("dots1", DEEPSEEK3 | {"sliding_window": 6, "max_window_layers": 1}),
    Case("dots1/groups", DEEPSEEK3 | GROUPS | {"attention_bias": True}),
]
