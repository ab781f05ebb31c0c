"""Cases of the newer families of plain attention, and of the rarer ones."""

from parity.case import GROUPS, HEADS, Case

SEEN_EPSILON = {"rms_norm_eps": 1e-5}
TWO_AND_TWO = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
# Of three layers, so that references stay small.
SMALL = GROUPS | SEEN_EPSILON | {"num_hidden_layers": 3}
GPT = {"vocab_size": 99, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64}
XGLM = {
    "vocab_size": 99,
    "d_model": 64,
    "ffn_dim": 112,
    "num_layers": 3,
    "attention_heads": 4,
    "max_position_embeddings": 64,
}
LLAMA3 = {
    "rope_theta": 5e5,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MULTIPLIERS = {
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.3,
    "embedding_multiplier": 9.0,
    "logits_scaling": 2.0,
}

DENSE_CASES = [
    Case("exaone", SMALL | {"head_dim": 32}),
    Case("exaone/bias", SMALL | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("internlm3", SMALL | {"head_dim": 32}),
    Case("internlm3/bias", SMALL | {"head_dim": 16, "qkv_bias": True, "bias": True, "tie_word_embeddings": True}),
    Case("iquestcoder", SMALL | {"head_dim": 32}),
    Case(
        "iquestcoder/bias",
        SMALL | {"head_dim": 16, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    Case("cwm", SMALL | {"head_dim": 32, "num_hidden_layers": 5, "sliding_window": 6, "rope_parameters": LLAMA3}),
    Case("cwm/bias", SMALL | {"head_dim": 16, "sliding_window": 6, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("jais2", GROUPS | {"num_hidden_layers": 3, "head_dim": 32}),
    Case(
        "jais2/unbiased",
        GROUPS | {"num_hidden_layers": 3, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True},
    ),
    Case("hyperclovax", SMALL | MULTIPLIERS | {"head_dim": 32}),
    Case(
        "hyperclovax/pre_norm",
        SMALL | {"use_post_norm": False, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    Case(
        "vaultgemma",
        SMALL | {"num_hidden_layers": 4, "head_dim": 32, "sliding_window": 6, "query_pre_attn_scalar": 24},
    ),
    Case(
        "vaultgemma/uncapped",
        SMALL
        | {
            "head_dim": 32,
            "sliding_window": 6,
            "attention_bias": True,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "tie_word_embeddings": False,
        },
    ),
    Case("openai-gpt", GPT),
    Case("openai-gpt/silu", GPT | {"afn": "silu", "tie_word_embeddings": False}),
    Case("biogpt", HEADS | {"num_hidden_layers": 3}),
    Case("biogpt/unscaled", HEADS | {"num_hidden_layers": 3, "scale_embedding": False, "tie_word_embeddings": False}),
    Case("xglm", XGLM),
    Case("xglm/unscaled", XGLM | {"d_model": 68, "scale_embedding": False, "tie_word_embeddings": False}),
    Case("ctrl", GPT | {"dff": 112}),
    Case("ctrl/untied", GPT | {"dff": 96, "tie_word_embeddings": False}),
]
