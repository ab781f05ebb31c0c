"""Small random configurations of families whose attention is as unusual as their experts."""

from parity.case import Case
from parity.routed_cases import LATENT, LOCAL, RAMP, SIZES

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
]
