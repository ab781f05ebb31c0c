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
GROWING = {
    "rope_theta": 1e4,
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 8,
    "beta_fast": 0.3,
    "beta_slow": 0.02,
    "mscale": 1.5,
    "mscale_all_dim": 0.5,
    "llama_4_scaling_beta": 0.3,
}
# Experts that a dense one has none of are counted all the same.
DOGE = SMALL | {"num_experts": 16, "num_experts_per_tok": 2}
MODERNBERT = HEADS | {
    "num_hidden_layers": 5,
    "local_attention": 12,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "global_rope_theta": 160000.0,
}
JAPANESE = HEADS | {"num_hidden_layers": 3, "intermediate_multiple_size": 2}
LATENT = SMALL | {
    "kv_lora_rank": 24,
    "q_lora_rank": 40,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
}
YARN = {
    "rope_theta": 1e4,
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 0.3,
    "beta_slow": 0.015,
    "mscale": 1.5,
    "mscale_all_dim": 0.5,
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
    Case("ministral3", SMALL | {"head_dim": 32, "rope_parameters": GROWING}),
    Case("ministral3/window", SMALL | {"head_dim": 16, "sliding_window": 6, "rope_parameters": GROWING}),
    Case("hunyuan_v1_dense", SMALL | {"head_dim": 32}),
    Case(
        "hunyuan_v1_dense/alpha",
        SMALL
        | {
            "attention_bias": True,
            "tie_word_embeddings": True,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "alpha": 50.0, "factor": 1.0},
        },
    ),
    Case("nanochat", SMALL),
    Case(
        "nanochat/uncapped",
        SMALL | {"attention_bias": True, "final_logit_softcapping": None, "tie_word_embeddings": True},
    ),
    Case("apertus", SMALL | {"rope_parameters": LLAMA3}),
    Case("apertus/silu", SMALL | {"hidden_act": "silu", "attention_bias": True, "tie_word_embeddings": True}),
    Case("apertus1p5_text", SMALL | {"rope_parameters": LLAMA3, "output_vocab_size": 41}),
    Case("apertus1p5_text/whole", SMALL | {"hidden_act": "silu", "attention_bias": True}),
    Case("granite_swa", SMALL | MULTIPLIERS | {"num_hidden_layers": 5, "sliding_window": 6}),
    Case(
        "granite_swa/bases",
        SMALL
        | MULTIPLIERS
        | {
            "num_hidden_layers": 4,
            "sliding_window": 6,
            "layer_types": TWO_AND_TWO,
            "layer_rope_theta": [1e4, 0, 3e4, 1e4],
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": False,
        },
    ),
    Case("codegen", GPT | {"n_embd": 128, "n_head": 8, "rotary_dim": 8}),
    Case("codegen/tied", GPT | {"rotary_dim": 16, "n_inner": 96, "tie_word_embeddings": True}),
    Case("doge", DOGE | {"sliding_window": 6}),
    Case("doge/bias", DOGE | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("modernbert-decoder", MODERNBERT),
    Case(
        "modernbert-decoder/bias",
        MODERNBERT
        | dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), True)
        | {"decoder_bias": False, "classifier_activation": "silu", "tie_word_embeddings": False},
    ),
    Case("diffllama", SMALL | {"head_dim": 32}),
    Case("diffllama/bias", SMALL | {"attention_bias": True, "tie_word_embeddings": True}),
    Case("gpt_neox_japanese", JAPANESE | {"rotary_pct": 0.5}),
    Case("gpt_neox_japanese/untied", JAPANESE | {"hidden_act": "relu", "tie_word_embeddings": False}),
    # The reference would put zeros in the embedding of a padding token, whatever the checkpoint holds.
    Case("youtu", LATENT | {"num_key_value_heads": 4, "pad_token_id": None, "attention_bias": True}),
    Case(
        "youtu/plain_queries",
        LATENT
        | {
            "num_key_value_heads": 4,
            "pad_token_id": None,
            "q_lora_rank": None,
            "qk_rope_head_dim": 16,
            "rope_interleave": False,
            "tie_word_embeddings": False,
            "rope_parameters": YARN,
        },
    ),
    Case("minicpm3", LATENT | {"num_key_value_heads": 4, "dim_model_base": 24}),
    Case(
        "minicpm3/bias",
        LATENT
        | {
            "num_key_value_heads": 4,
            "scale_emb": 1,
            "scale_depth": None,
            "dim_model_base": None,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": False,
        },
    ),
]
