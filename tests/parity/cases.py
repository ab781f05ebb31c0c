"""Small random configurations, at least one for every family and every switch of it that changes the result."""

from typing import Any

from parity.case import GROUPS, HEADS, Case
from parity.dense_cases import DENSE_CASES
from parity.further_routed_cases import FURTHER_ROUTED_CASES
from parity.gemma_cases import GEMMA_CASES
from parity.linear_attention_cases import LINEAR_ATTENTION_CASES
from parity.recurrent_cases import RECURRENT_CASES
from parity.routed_cases import ROUTED_CASES

GPT = {"vocab_size": 99, "n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 64}
NEO = {
    "vocab_size": 99,
    "hidden_size": 64,
    "num_layers": 4,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 2]],
    "window_size": 5,
    "max_position_embeddings": 64,
}
OPT = {
    "vocab_size": 99,
    "hidden_size": 64,
    "ffn_dim": 112,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
BLOOM = {"vocab_size": 99, "hidden_size": 64, "n_layer": 4, "n_head": 4}
FALCON = {"vocab_size": 99, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
FALCON_40B = FALCON | {"num_kv_heads": 2, "new_decoder_architecture": True}
FALCON_RW = FALCON | {"multi_query": False, "alibi": True, "parallel_attn": False, "bias": True}
MPT = {"vocab_size": 99, "d_model": 64, "n_layers": 4, "n_heads": 4, "max_seq_len": 64}
SIX_HEADS = {"hidden_size": 96, "n_head": 6}

LLAMA3 = {
    "rope_theta": 5e5,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LINEAR = {"rope_theta": 1e4, "rope_type": "linear", "factor": 4.0}
DYNAMIC = {"rope_theta": 1e4, "rope_type": "dynamic", "factor": 4.0}
YARN = {"rope_theta": 1e4, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
# Both bounds of the ramp lie inside, where rounding moves them.
YARN_RAMP = YARN | {"original_max_position_embeddings": 64, "beta_fast": 2.0, "beta_slow": 0.2}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 1e4}


def longrope(pairs: int) -> dict[str, Any]:
    """Return rope parameters whose long table differs from the short one in every pair."""
    short = [1.0 + 0.1 * i for i in range(pairs)]
    return {
        "rope_theta": 1e4,
        "rope_type": "longrope",
        "short_factor": short,
        "long_factor": [2.0 + 0.3 * i for i in range(pairs)],
    }


# The epsilons of some families are too small to see.
SEEN_EPSILON = {"rms_norm_eps": 1e-5}
GEMMA2 = GROUPS | SEEN_EPSILON | {"head_dim": 32, "sliding_window": 6, "query_pre_attn_scalar": 24}
GEMMA3 = GEMMA2 | {
    "num_hidden_layers": 7,
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": PLAIN_ROPE,
    },
}
OLMO3 = GROUPS | {
    "sliding_window": 6,
    "rope_parameters": {"full_attention": YARN_RAMP, "sliding_attention": PLAIN_ROPE},
}
# One text is longer than the original length, the other is not.
PHI3_LONG = GROUPS | {"original_max_position_embeddings": 20}
GLM = GROUPS | SEEN_EPSILON | {"head_dim": 16}
HELIUM = GROUPS | SEEN_EPSILON | {"head_dim": 16}
GRANITE = (
    GROUPS
    | SEEN_EPSILON
    | {
        "attention_multiplier": 0.1,
        "residual_multiplier": 0.3,
        "embedding_multiplier": 9.0,
        "logits_scaling": 0.5,
    }
)
TWO_AND_TWO = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
LONG_TEXT = {"num_hidden_layers": 2, "max_position_embeddings": 2048}

_CASES = [
    Case("gpt2", GPT),
    Case("gpt2/untied", GPT | {"tie_word_embeddings": False}),
    Case("gpt2/inner", GPT | {"n_inner": 96, "activation_function": "quick_gelu"}),
    Case("gpt2/layer_scale", GPT | {"scale_attn_by_inverse_layer_idx": True}),
    Case("gpt2/unscaled", GPT | {"scale_attn_weights": False}),
    Case("gpt_bigcode", GPT | {"multi_query": True}),
    Case("gpt_bigcode/heads", GPT | {"multi_query": False, "n_inner": 96, "tie_word_embeddings": False}),
    Case("gpt_bigcode/unscaled", GPT | {"scale_attn_weights": False}),
    Case("gpt_neo", NEO),
    Case("gpt_neo/inner", NEO | {"intermediate_size": 96, "tie_word_embeddings": False}),
    Case("gpt_neo/window", NEO | {"window_size": 256, "max_position_embeddings": 512}, (310, 40)),
    Case("gpt_neo/long", NEO | {"window_size": 256, "max_position_embeddings": 2048}, (1100,)),
    Case("gptj", GPT | {"rotary_dim": 8}),
    Case("gptj/tied", GPT | {"rotary_dim": 16, "n_inner": 96, "tie_word_embeddings": True}),
    Case("gpt_neox", HEADS),
    Case("gpt_neox/sequential", HEADS | {"use_parallel_residual": False}),
    Case("gpt_neox/unbiased", HEADS | {"attention_bias": False, "tie_word_embeddings": True}),
    Case("gpt_neox/linear", HEADS | {"rope_parameters": LINEAR | {"partial_rotary_factor": 0.5}}),
    Case("opt", OPT),
    Case("opt/350m", OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 32}),
    Case("opt/unbiased", OPT | {"enable_bias": False, "activation_function": "gelu", "tie_word_embeddings": False}),
    Case("opt/weightless_norms", OPT | {"layer_norm_elementwise_affine": False}),
    Case("opt/no_final_norm", OPT | {"_remove_final_layer_norm": True}),
    Case("bloom", BLOOM),
    Case("bloom/6_heads", BLOOM | SIX_HEADS | {"tie_word_embeddings": False}),
    Case("bloom/long", BLOOM | {"n_layer": 2}, (1100,)),
    Case("mpt", MPT),
    Case("mpt/6_heads", MPT | {"d_model": 96, "n_heads": 6, "tie_word_embeddings": False}),
    Case("mpt/clip", MPT | {"attn_config": {"clip_qkv": 0.5, "softmax_scale": 0.4}}),
    Case("mpt/long", MPT | {"n_layers": 2, "max_seq_len": 2048}, (1100,)),
    Case("falcon", FALCON),
    Case("falcon/bias", FALCON | {"bias": True, "ffn_hidden_size": 96, "tie_word_embeddings": False}),
    Case("falcon/sequential", FALCON | {"multi_query": False, "parallel_attn": False}),
    Case("falcon/40b", FALCON_40B),
    Case("falcon/11b", FALCON_40B | {"num_ln_in_parallel_attn": 1}),
    Case("falcon/rw", FALCON_RW, attention="sdpa"),
    Case("falcon/rw_6_heads", FALCON_RW | {"hidden_size": 96, "num_attention_heads": 6}, attention="sdpa"),
    # Slopes of 16 heads are no powers of two, which bfloat16 rounds.
    Case("falcon/rw_16_heads", FALCON_RW | {"num_attention_heads": 16}, attention="sdpa"),
    Case("falcon/rw_window", FALCON_RW | {"num_hidden_layers": 2}, (310, 40), attention="sdpa"),
    Case("llama", GROUPS),
    Case("llama/llama3", GROUPS | {"rope_parameters": LLAMA3}),
    Case(
        "llama/llama3_300",
        GROUPS
        | {"max_position_embeddings": 512, "rope_parameters": LLAMA3 | {"original_max_position_embeddings": 128}},
        (310, 100),
    ),
    Case("llama/linear", GROUPS | {"rope_parameters": LINEAR}),
    Case("llama/linear_300", GROUPS | {"max_position_embeddings": 512, "rope_parameters": LINEAR}, (310, 100)),
    Case("llama/dynamic", GROUPS | {"rope_parameters": DYNAMIC}),
    Case("llama/bias", GROUPS | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("llama/head_dim", GROUPS | {"head_dim": 32, "hidden_act": "gelu"}),
    Case("llama/yarn", GROUPS | {"rope_parameters": YARN}),
    Case("llama/yarn_untruncated", GROUPS | {"rope_parameters": YARN | {"truncate": False, "attention_factor": 1.3}}),
    Case("llama/yarn_mscale", GROUPS | {"rope_parameters": YARN_RAMP | {"mscale": 1.5, "mscale_all_dim": 0.5}}),
    Case(
        "llama/yarn_300",
        GROUPS | {"max_position_embeddings": 512, "rope_parameters": YARN | {"original_max_position_embeddings": 128}},
        (310, 100),
    ),
    Case(
        "llama/proportional",
        GROUPS | {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4, "partial_rotary_factor": 0.7}},
    ),
    Case("llama/stray_window", GROUPS | {"sliding_window": 6}),
    Case("llama/long", GROUPS | LONG_TEXT, (1100, 200)),
    Case("mistral", GROUPS | {"sliding_window": 6}),
    Case(
        "mistral/layer_types",
        GROUPS | {"sliding_window": 6, "layer_types": TWO_AND_TWO, "attention_bias": True},
    ),
    Case("mistral/full", GROUPS | {"sliding_window": None, "head_dim": 24}),
    Case("mistral/window", GROUPS | {"sliding_window": 256, "max_position_embeddings": 512}, (310, 40)),
    Case("ministral", GROUPS | {"sliding_window": 6, "head_dim": 16}),
    Case("ministral/mixed", GROUPS | {"sliding_window": 6, "head_dim": 32, "layer_types": TWO_AND_TWO}),
    Case("seed_oss", GROUPS | {"head_dim": 16}),
    Case(
        "seed_oss/bias",
        GROUPS | {"head_dim": 32, "attention_bias": False, "attention_out_bias": True, "mlp_bias": True},
    ),
    Case("qwen2", GROUPS),
    Case("qwen2/window", GROUPS | {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2}),
    Case("qwen2/unused_window", GROUPS | {"sliding_window": 6, "max_window_layers": 2, "tie_word_embeddings": True}),
    Case("qwen3", GROUPS | {"head_dim": 32}),
    Case("qwen3/bias", GROUPS | {"head_dim": 16, "attention_bias": True, "tie_word_embeddings": True}),
    Case(
        "qwen3/window",
        GROUPS | {"head_dim": 16, "use_sliding_window": True, "sliding_window": 6, "layer_types": TWO_AND_TWO},
    ),
    Case("gemma", GROUPS | SEEN_EPSILON | {"head_dim": 32}),
    Case("gemma/bias", GROUPS | SEEN_EPSILON | {"head_dim": 16, "attention_bias": True, "tie_word_embeddings": False}),
    Case("gemma2", GEMMA2),
    Case(
        "gemma2/uncapped",
        GEMMA2 | {"attn_logit_softcapping": None, "final_logit_softcapping": None, "attention_bias": True},
    ),
    Case("gemma2/window", GEMMA2 | {"sliding_window": 256, "max_position_embeddings": 512}, (310, 40)),
    Case("gemma2/long", GEMMA2 | LONG_TEXT | {"sliding_window": 512}, (1100,)),
    Case("gemma3_text", GEMMA3),
    Case("gemma3_text/capped", GEMMA3 | {"final_logit_softcapping": 5.0, "tie_word_embeddings": False}),
    Case("phi", HEADS),
    Case("phi/norms", HEADS | {"qk_layernorm": True, "num_key_value_heads": 2}),
    Case("phi/tied", HEADS | {"partial_rotary_factor": 0.25, "tie_word_embeddings": True}),
    Case("phi3", GROUPS | {"sliding_window": 6}),
    Case("phi3/partial", GROUPS | {"partial_rotary_factor": 0.75, "tie_word_embeddings": True}),
    Case("phi3/longrope", PHI3_LONG | {"rope_parameters": longrope(8)}),
    Case("phi3/longrope_edge", PHI3_LONG | {"rope_parameters": longrope(8)}, (21, 20)),
    Case(
        "phi3/longrope_partial",
        PHI3_LONG | {"partial_rotary_factor": 0.75, "rope_parameters": longrope(6) | {"partial_rotary_factor": 0.75}},
    ),
    Case(
        "phi3/longrope_300",
        GROUPS
        | {
            "max_position_embeddings": 512,
            "original_max_position_embeddings": 128,
            "rope_parameters": longrope(8) | {"attention_factor": 1.2},
        },
        (310, 100),
    ),
    Case("olmo", GROUPS | {"clip_qkv": 0.5}),
    Case("olmo/bias", GROUPS | {"attention_bias": True, "tie_word_embeddings": True}),
    Case("olmo2", GROUPS),
    Case("olmo2/bias", GROUPS | {"attention_bias": True, "tie_word_embeddings": True}),
    Case("olmo3", OLMO3),
    Case("olmo3/bias", OLMO3 | {"attention_bias": True, "rope_parameters": None}),
    Case("stablelm", GROUPS),
    Case("stablelm/12b", GROUPS | {"use_parallel_residual": True, "qk_layernorm": True}),
    Case("stablelm/bias", GROUPS | {"use_qkv_bias": True, "partial_rotary_factor": 0.5, "tie_word_embeddings": True}),
    Case("cohere", GROUPS | {"logit_scale": 0.5}),
    Case("cohere/norms", GROUPS | {"use_qk_norm": True, "logit_scale": 2.0}),
    Case("cohere/bias", GROUPS | {"attention_bias": True, "logit_scale": 1.5, "tie_word_embeddings": False}),
    Case("cohere2", GROUPS | {"sliding_window": 6, "logit_scale": 0.5}),
    Case(
        "cohere2/bias",
        GROUPS | {"sliding_window": 6, "attention_bias": True, "logit_scale": 1.0, "layer_types": TWO_AND_TWO},
    ),
    Case("granite", GRANITE),
    Case("granite/bias", GRANITE | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("smollm3", GROUPS),
    Case(
        "smollm3/bias",
        GROUPS | {"attention_bias": True, "mlp_bias": True, "no_rope_layer_interval": 2, "tie_word_embeddings": False},
    ),
    Case("smollm3/window", GROUPS | {"use_sliding_window": True, "sliding_window": 6, "no_rope_layer_interval": 2}),
    Case("starcoder2", GROUPS | {"sliding_window": 6}),
    Case("starcoder2/unbiased", GROUPS | {"use_bias": False, "sliding_window": None, "tie_word_embeddings": False}),
    Case("nemotron", GROUPS),
    Case(
        "nemotron/bias",
        GROUPS | {"head_dim": 32, "attention_bias": True, "mlp_bias": True, "partial_rotary_factor": 0.75},
    ),
    Case("arcee", GROUPS),
    Case(
        "arcee/bias", GROUPS | {"head_dim": 32, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
    ),
    Case("glm", GLM),
    Case("glm/unbiased", GLM | {"attention_bias": False, "partial_rotary_factor": 0.75, "tie_word_embeddings": True}),
    Case("glm4", GLM),
    Case("glm4/unbiased", GLM | {"attention_bias": False, "partial_rotary_factor": 1.0}),
    Case("helium", HELIUM),
    Case("helium/bias", HELIUM | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    Case("ernie4_5", GROUPS | {"head_dim": 16}),
    Case("ernie4_5/bias", GROUPS | {"head_dim": 32, "use_bias": True, "tie_word_embeddings": False}),
    Case("exaone4", GROUPS | {"sliding_window": 6}),
    Case("exaone4/full", GROUPS | {"sliding_window": None, "layer_types": ["full_attention"] * 4, "head_dim": 32}),
    Case("persimmon", HEADS),
    Case("persimmon/plain", HEADS | {"qk_layernorm": False, "tie_word_embeddings": True}),
]
_CASES += DENSE_CASES + GEMMA_CASES + RECURRENT_CASES + LINEAR_ATTENTION_CASES + ROUTED_CASES + FURTHER_ROUTED_CASES
CASES = {case.name: case for case in _CASES}
MODEL_TYPES = tuple(dict.fromkeys(case.model_type for case in _CASES))
