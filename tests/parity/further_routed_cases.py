"""Small random configurations of families whose attention is as unusual as their experts."""

from parity.case import Case
from parity.routed_cases import DEEPSEEK2, DEEPSEEK3, GROUPS, LATENT, LOCAL, QWEN, RAMP, SIZES, WIDE_GROUPS

LLAMA4 = LOCAL | {
    "head_dim": 8,
    "intermediate_size_mlp": 28,
    "num_hidden_layers": 4,
    "no_rope_layer_interval": 2,
    "interleave_moe_layer_step": 2,
    "attention_chunk_size": 7,
    "floor_scale": 5,
    "attn_scale": 0.7,
}
JETMOE = {name: value for name, value in LOCAL.items() if name != "num_attention_heads"} | {"kv_channels": 8}
LONGCAT = {name: value for name, value in LATENT.items() if name not in ("num_hidden_layers", "intermediate_size")} | {
    "num_layers": 2,
    "ffn_hidden_size": 24,
    "expert_ffn_hidden_size": 20,
    "moe_topk": 3,
    "n_routed_experts": 4,
    "zero_expert_num": 3,
    "head_dim": 6,
    "routed_scaling_factor": 1.7,
}
MINIMAX = LOCAL | {
    "num_hidden_layers": 4,
    "block_size": 32,
    "max_position_embeddings": 256,
    "full_attn_alpha_factor": 1.3,
    "full_attn_beta_factor": 0.8,
    "linear_attn_alpha_factor": 0.7,
    "linear_attn_beta_factor": 1.6,
    "mlp_alpha_factor": 1.2,
    "mlp_beta_factor": 0.9,
}
WINDOWS = {"sliding_window": 6, "layer_types": ["full_attention", "sliding_attention", "sliding_attention"]}
BOTH = {"mlp_layer_types": ["dense", "sparse", "sparse"]}
PARTIAL = {"rope_type": "default", "partial_rotary_factor": 0.5}
WITHOUT_DENSE = {name: value for name, value in DEEPSEEK3.items() if name != "first_k_dense_replace"}
MIMO = {name: value for name, value in WITHOUT_DENSE.items() if name != "n_shared_experts"} | {
    "head_dim": 8,
    "v_head_dim": 6,
    **WINDOWS,
    **BOTH,
    "rope_parameters": {
        "full_attention": PARTIAL | {"rope_theta": 5e5},
        "sliding_attention": PARTIAL | {"rope_theta": 1e4},
    },
}
AXK1 = {name: value for name, value in LATENT.items() if name != "first_k_dense_replace"}
DBRX = {
    "vocab_size": 48,
    "d_model": 32,
    "n_heads": 4,
    "n_layers": 2,
    "max_seq_len": 64,
    "pad_token_id": 0,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    "attn_config": {"kv_n_heads": 2, "clip_qkv": 0.7, "rope_theta": 5e5},
    "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 5, "moe_top_k": 2},
}
ARIA = SIZES | {"moe_num_experts": 5, "moe_topk": 2}
FLINT = QWEN | {"head_dim": 16, "shared_expert_intermediate_size": 28, "mlp_only_layers": [1]} | WINDOWS
KOLIBRI = {name: value for name, value in QWEN.items() if name != "intermediate_size"} | {
    "head_dim": 16,
    "shared_expert_intermediate_size": 28,
    "norm_topk_prob": True,
    **WINDOWS,
}
LAGUNA = QWEN | {
    "num_experts": 6,
    "head_dim": 16,
    "num_attention_heads_per_layer": [4, 8, 6],
    "shared_expert_intermediate_size": 28,
    "moe_routed_scaling_factor": 1.7,
    **WINDOWS,
    **BOTH,
}
BEAM = QWEN | {"num_experts": 6, "head_dim": 16, "n_group": 3, "topk_group": 2, **WINDOWS, **BOTH}

FURTHER_ROUTED_CASES = [
    Case("llama4_text", LLAMA4),
    Case(
        "llama4_text/plain",
        LLAMA4
        | {
            "use_qk_norm": False,
            "attn_temperature_tuning": False,
            "attention_bias": True,
            "moe_layers": [0, 3],
            "layer_types": ["full_attention", "full_attention", "chunked_attention", "chunked_attention"],
            "tie_word_embeddings": True,
            "num_experts_per_tok": 1,
        },
        (150, 40),
    ),
    Case("jetmoe", JETMOE | {"rms_norm_eps": 0.1}),
    Case("jetmoe/three", JETMOE | {"num_experts_per_tok": 3, "tie_word_embeddings": False}, (150, 40)),
    Case("longcat_flash", LONGCAT),
    Case(
        "longcat_flash/bias",
        LONGCAT
        | {
            "attention_bias": True,
            "zero_expert_num": 0,
            "qk_rope_head_dim": 16,
            "head_dim": 16,
            "max_position_embeddings": 256,
            "rope_parameters": RAMP,
        },
        (150, 40),
    ),
    Case("minimax", MINIMAX, (150, 40)),
    Case(
        "minimax/window",
        SIZES
        | {
            "num_local_experts": 4,
            "num_experts_per_tok": 1,
            "sliding_window": 6,
            "head_dim": 10,
            "num_hidden_layers": 2,
            "layer_types": ["linear_attention", "full_attention"],
            "tie_word_embeddings": True,
        },
    ),
    Case("mimo_v2_flash", MIMO),
    Case(
        "mimo_v2_flash/groups",
        MIMO
        | GROUPS
        | {"num_key_value_heads": 1, "v_head_dim": 10, "attention_value_scale": None, "attention_bias": True},
    ),
    Case("sarvam_moe", DEEPSEEK3 | {"head_dim": 16}),
    Case("sarvam_moe/groups", DEEPSEEK3 | GROUPS | {"use_qk_norm": False, "attention_bias": True, "head_dim": 8}),
    Case("sarvam_mla", DEEPSEEK2),
    Case(
        "sarvam_mla/groups",
        LATENT
        | GROUPS
        | WIDE_GROUPS
        | {
            "rope_interleave": False,
            "attention_bias": True,
            "max_position_embeddings": 256,
            "qk_rope_head_dim": 16,
            "rope_parameters": RAMP,
            "num_hidden_layers": 2,
            "topk_group": 1,
        },
        (150, 40),
    ),
    Case("axk1", AXK1 | BOTH),
    Case(
        "axk1/grouped",
        AXK1
        | GROUPS
        | WIDE_GROUPS
        | {
            "attention_bias": True,
            "max_position_embeddings": 256,
            "qk_rope_head_dim": 16,
            "rope_parameters": RAMP,
            "mlp_layer_types": ["sparse", "sparse"],
            "topk_group": 1,
            "num_hidden_layers": 2,
        },
        (150, 40),
    ),
    Case("dbrx", DBRX),
    Case(
        "dbrx/scores",
        DBRX
        | {
            "attn_config": {"kv_n_heads": 4, "clip_qkv": 8, "rope_theta": 5e5},
            "ffn_config": DBRX["ffn_config"] | {"moe_normalize_expert_weights": None, "ffn_act_fn": {"name": "gelu"}},
        },
    ),
    Case("aria_text", ARIA),
    Case(
        "aria_text/bias",
        ARIA | {"attention_bias": True, "mlp_bias": True, "moe_num_shared_experts": 1, "tie_word_embeddings": True},
    ),
    Case("flint", FLINT),
    Case(
        "flint/scores",
        FLINT | {"norm_topk_prob": False, "attention_bias": True, "mlp_only_layers": [], "decoder_sparse_step": 2},
    ),
    Case("kolibri1", KOLIBRI),
    Case("kolibri1/scores", KOLIBRI | {"norm_topk_prob": False, "layer_types": ["sliding_attention"] * 3}),
    Case("laguna", LAGUNA),
    Case(
        "laguna/elements",
        LAGUNA
        | {
            "gating": "per-element",
            "attention_bias": True,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "sliding_attention": PARTIAL | {"rope_theta": 1e4},
                "full_attention": {
                    "rope_type": "yarn",
                    "rope_theta": 100.0,
                    "factor": 4.0,
                    "original_max_position_embeddings": 32,
                    "beta_fast": 2.0,
                    "beta_slow": 0.5,
                },
            },
        },
    ),
    Case("beam", BEAM),
    Case(
        "beam/all",
        BEAM
        | {
            "n_group": 1,
            "topk_group": 1,
            "norm_topk_prob": False,
            "attention_bias": True,
            "final_logit_softcapping": None,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 5e5},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
]
