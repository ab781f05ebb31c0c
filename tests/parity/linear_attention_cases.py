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
