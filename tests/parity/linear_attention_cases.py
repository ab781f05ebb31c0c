"""Small random configurations of families with linear attention; texts go beyond two chunks of 64 positions."""

from parity.case import Case
from parity.recurrent_cases import ATTENTION, CHUNKS, SIZES

# Both kinds of attention have names of tensors in common, which have one shape.
KIMI_LINEAR = ATTENTION | {
    "num_hidden_layers": 4,
    "num_key_value_heads": 4,
    "layer_types": ["linear_attention", "linear_attention", "full_attention", "linear_attention"],
    "linear_head_dim": 16,
    "linear_num_heads": 4,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 6,
    "v_head_dim": 16,
    "num_local_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "routed_scaling_factor": 1.5,
    # Norms within attention magnify what is small, and its rounding, in the reference as well.
    "rms_norm_eps": 1e-3,
}
BAILING_HYBRID = {name: value for name, value in KIMI_LINEAR.items() if not name.startswith("linear_")} | {
    "head_dim": 16,
    "layer_group_size": 3,
    "layer_types": None,
    "num_hidden_layers": 3,
    "first_k_dense_replace": 1,
    "n_group": 3,
    "topk_group": 2,
    "rope_theta": 1e4,
    # Strong enough to be told from another.
    "kda_lower_bound": -2.0,
}
RWKV = SIZES | {
    "num_hidden_layers": 3,
    "intermediate_size": 40,
    "rescale_every": 2,
    "context_length": 256,
}
XLSTM = SIZES | {"num_hidden_layers": 3, "num_heads": 4, "ffn_round_up_to_multiple_of": 8, "norm_eps": 1e-2}

LINEAR_ATTENTION_CASES = [
    Case("kimi_linear", KIMI_LINEAR, CHUNKS),
    Case(
        "kimi_linear/ranks",
        KIMI_LINEAR
        | {
            "q_lora_rank": 14,
            "attention_bias": True,
            "linear_conv_kernel_dim": 3,
            "n_group": 3,
            "topk_group": 2,
            "n_shared_experts": 2,
            "norm_topk_prob": False,
            "mlp_layer_types": ["dense", "sparse", "dense", "sparse"],
        },
        CHUNKS,
    ),
    Case("bailing_hybrid", BAILING_HYBRID, CHUNKS),
    Case(
        "bailing_hybrid/unbounded",
        BAILING_HYBRID
        | {
            "kda_safe_gate": False,
            "short_conv_kernel_size": 3,
            "q_lora_rank": 14,
            "attention_bias": True,
            "norm_topk_prob": False,
            "n_group": 1,
            "topk_group": 1,
            "rope_parameters": {
                "rope_type": "linear",
                "rope_theta": 1e4,
                "factor": 4.0,
                # Which raises attention scores, whatever the kind of scaling.
                "mscale_all_dim": 0.7,
            },
        },
        CHUNKS,
    ),
    Case("rwkv", RWKV, CHUNKS),
    Case(
        "rwkv/whole",
        RWKV | {"rescale_every": 0, "attention_hidden_size": 24, "tie_word_embeddings": True},
        CHUNKS,
    ),
    # Halved so often that what norms add to the variance counts.
    Case("rwkv/halved", RWKV | {"num_hidden_layers": 5, "rescale_every": 1}, CHUNKS),
    Case("xlstm", XLSTM, CHUNKS),
    Case(
        "xlstm/factors",
        XLSTM
        | {
            "qk_dim_factor": 0.75,
            "v_dim_factor": 1.5,
            "ffn_proj_factor": 1.3,
            "gate_soft_cap": 2.0,
            "output_logit_soft_cap": 0.5,
            "eps": 0.1,
        },
        CHUNKS,
    ),
]
