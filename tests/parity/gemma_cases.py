"""Cases of the Gemmas after the third: keys and values of other layers, embeddings of layers, several streams."""

from parity.case import SPECIAL, Case

SIZES = SPECIAL | {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "sliding_window": 6,
    # The epsilon of the family is too small to see.
    "rms_norm_eps": 1e-4,
}
# Three layers with keys and values of their own, then layers that read those of the last of either type.
FIVE = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
GEMMA3N = SIZES | {
    "num_hidden_layers": 5,
    "layer_types": FIVE,
    "num_kv_shared_layers": 2,
    # Tokens beyond it have the embeddings of the first.
    "vocab_size_per_layer_input": 50,
    "hidden_size_per_layer_input": 6,
    "laurel_rank": 5,
    "altup_num_inputs": 3,
    "activation_sparsity_pattern": [0.9, 0.5, 0.0, 0.0, 0.0],
    "final_logit_softcapping": 5.0,
}
GEMMA4 = SIZES | {
    "num_hidden_layers": 5,
    "layer_types": FIVE,
    "global_head_dim": 8,
    "vocab_size_per_layer_input": 61,
    "hidden_size_per_layer_input": 6,
    "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True,
}
EXPERTS = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 12}
ONE_KEY = {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
UNIFIED = {name: value for name, value in GEMMA4.items() if "per_layer_input" not in name} | {"sliding_window": 4}
ROPES = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    "full_attention": {
        "rope_type": "proportional",
        "partial_rotary_factor": 0.5,
        "rope_theta": 1e5,
        "factor": 2.0,
    },
}

GEMMA_CASES = [
    Case("gemma3n_text", GEMMA3N),
    Case(
        "gemma3n_text/unshared",
        GEMMA3N
        | {
            "num_hidden_layers": 3,
            "layer_types": None,
            "num_kv_shared_layers": 0,
            "altup_correct_scale": False,
            "altup_num_inputs": 2,
            "intermediate_size": [48, 40, 48],
            "activation_sparsity_pattern": None,
            "attention_bias": True,
            "tie_word_embeddings": False,
        },
    ),
    Case("gemma3n_text/window", GEMMA3N | {"sliding_window": 140, "max_position_embeddings": 512}, (310, 40)),
    Case("gemma4_text", GEMMA4 | ONE_KEY),
    Case(
        "gemma4_text/experts",
        GEMMA4
        | ONE_KEY
        | EXPERTS
        | {
            "num_hidden_layers": 3,
            "layer_types": None,
            "num_kv_shared_layers": 0,
            "hidden_size_per_layer_input": 0,
            "final_logit_softcapping": 5.0,
            "use_bidirectional_attention": "vision",
        },
    ),
    Case(
        "gemma4_text/ropes", GEMMA4 | {"rope_parameters": ROPES, "use_double_wide_mlp": False, "attention_bias": True}
    ),
    Case("gemma4_text/one_width", GEMMA4 | EXPERTS | {"global_head_dim": 4, "tie_word_embeddings": False}),
    Case("gemma4_unified_text", UNIFIED),
]
