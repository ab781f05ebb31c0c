"""Which values the fields of ``config.json`` may have: looked at before anything is built by them.

A configuration is trusted in nothing that its tensors do not bear out: a number of layers costs memory before the first
tensor is looked for. Fields that no decoder heeds are passed over.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.decoder.configuration import MOST_POSITIONS

# Beyond any of a model, and far below where 32-bit numbers end.
LARGEST_NUMBER = 1e15
LABELS, MOST_LABELS = "num_labels", 100_000


@dataclass(frozen=True)
class Rule:
    """What a field may be; ``null`` is left to what reads it.

    Attributes
    ----------
    accepted
        The values that are accepted, in words.
    holds
        Says whether a value is one of them.
    """

    accepted: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    """Say whether a value is a number above the lowest; one that is not finite is not at most the highest."""
    return isinstance(value, int | float) and not isinstance(value, bool) and lowest < value <= highest


def _are(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(holds, value))


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool) or _is_whole(value, 0, 1)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def whole(lowest: int, highest: int, what: str = "") -> Rule:
    """Accept whole numbers; `what` says in words where the highest comes from."""
    accepted = f"a whole number from {lowest} to {highest:,}{what}"
    return Rule(accepted, lambda value: _is_whole(value, lowest, highest))


def _is_share(value: Any) -> bool:
    return _is_number(value, -1, 1) and value >= 0


def _is_step(value: Any) -> bool:
    """Say whether a value bounds the length of steps: a number of zero or more, infinity as transformers writes it."""
    return value == {"__float__": "Infinity"} or (_is_number(value, -1, math.inf) and value >= 0)


SWITCH = Rule("true or false", _is_switch)
TEXT = Rule("text", _is_text)
TEXTS = Rule("a list of texts", lambda value: _are(value, _is_text))
SWITCHES = Rule("a list of 0 and 1", lambda value: _are(value, _is_switch))
POSITIONS = whole(1, MOST_POSITIONS)
WINDOW = whole(0, MOST_POSITIONS)
ABOVE_ZERO = Rule("a finite number above zero", lambda value: _is_number(value, 0, LARGEST_NUMBER))
# What layers do is read of layer_types, which transformers makes of a pattern where they are missing: 0 where no layer
# has a window, and texts such as "LLLG", stand beside them.
PATTERN = Rule(
    f"a whole number from 0 to {MOST_POSITIONS:,}, or a text of L and G",
    lambda value: _is_whole(value, 0, MOST_POSITIONS) or (_is_text(value) and bool(value) and set(value) <= {"L", "G"}),
)
BELOW_ZERO = Rule("a finite number below zero", lambda value: _is_number(value, -LARGEST_NUMBER, 0) and value < 0)
EPSILON = Rule("a number above zero and at most 1", lambda value: _is_number(value, 0, 1))
SHARE = EPSILON
THETA = Rule("a finite number above 1", lambda value: _is_number(value, 1, LARGEST_NUMBER))
FACTORS = Rule("a list of finite numbers above zero", lambda value: _are(value, ABOVE_ZERO.holds))
MSCALE = Rule("a finite number of zero or more", lambda value: value == 0 or ABOVE_ZERO.holds(value))
INDICES = Rule(
    "a list of whole numbers of zero or more",
    lambda value: isinstance(value, list) and all(_is_whole(each, 0, MOST_POSITIONS) for each in value),
)
LAST_LAYER = whole(-1, MOST_POSITIONS, ", -1 for the last layer")
FACTOR = whole(1, 1000)
FACTOR_OF_WIDTH = Rule("a number above zero and at most 1,000", lambda value: _is_number(value, 0, 1000))
# Texts such as "auto" leave the size to the family.
SIZE_OR_AUTO = Rule(
    f"a whole number from 1 to {MOST_POSITIONS:,}, or auto",
    lambda value: value == "auto" or _is_whole(value, 1, MOST_POSITIONS),
)
SPARSITY = Rule(
    "a number of zero or more and at most 1, or a list of them, one for each layer",
    lambda value: _is_share(value) or _are(value, _is_share),
)
STEPS = Rule("two numbers of zero or more", lambda value: _are(value, _is_step) and len(value) == 2)
TABLE = Rule("a table of settings", lambda value: isinstance(value, dict))

DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_blocks")
SIZES = (
    "hidden_size", "n_embd", "n_embed", "d_model", "num_attention_heads", "n_head", "n_heads", "num_heads",
    "attention_heads", "num_key_value_heads", "num_kv_heads", "n_head_kv", "head_dim", "n_inner",
    "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
    "ffn_dim", "ffn_hidden_size", "dff", "vocab_size", "rotary_dim", "word_embed_proj_dim", "state_size",
    "ssm_state_size", "conv_kernel", "n_groups", "mamba_n_heads", "mamba_num_heads", "mamba_head_dim", "mamba_n_groups",
    "mamba_d_state", "mamba_d_conv", "mamba_d_ssm", "conv_L_cache", "conv1d_width", "lru_width",
    "linear_conv_kernel_dim", "linear_key_head_dim", "linear_value_head_dim", "linear_num_key_heads",
    "linear_num_value_heads", "intermediate_size_mlp", "kv_channels", "qk_head_dim", "kv_n_heads",
    "linear_num_heads", "linear_head_dim", "short_conv_kernel_size", "attention_hidden_size", "embedding_dim",
    "global_head_dim", "num_global_key_value_heads", "vocab_size_per_layer_input", "altup_num_inputs", "laurel_rank",
    "n_mamba_heads", "mamba_headdim", "mamba_ngroups", "adapter_rank", "attention_head_dim", "output_vocab_size",
)  # fmt: skip
# Sizes that may be given for each layer.
SIZES_BY_LAYER = ("intermediate_size", "num_attention_heads_per_layer")
# Beside sizes, what there may be none of.
COUNTS = (
    "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok", "moe_k",
    "moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size", "n_shared_experts",
    "moe_num_shared_experts", "prefix_dense_intermediate_size", "n_group", "topk_group", "moe_topk",
    "num_shared_experts", "moe_latent_size", "expert_ffn_hidden_size", "zero_expert_num", "moe_top_k",
    "num_experts_per_token", "num_expert_group", "top_k_experts", "hidden_size_per_layer_input",
)  # fmt: skip
# Of MiniMax, which weights what each adds and what it adds to.
BRANCHES = ("full_attn", "linear_attn", "mlp")
# Of Laguna: one gate for each head, or for each of its dimensions.
GATINGS = ("per-head", "per-element")
# Numbers of layers, from 0.
LAYERS = ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
SWITCH_FIELDS = (
    "tie_word_embeddings", "attention_bias", "qkv_bias", "attention_out_bias", "mlp_bias", "use_bias", "use_qkv_bias",
    "bias", "enable_bias", "no_bias", "qk_layernorm", "use_qk_norm", "qk_ln", "prefix_lm", "use_parallel_residual",
    "parallel_attn", "new_decoder_architecture", "multi_query", "alibi", "do_layer_norm_before",
    "layer_norm_elementwise_affine", "_remove_final_layer_norm", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "use_sliding_window", "add_cross_attention",
    "apply_residual_connection_post_layernorm", "truncate", "use_post_norm", "scale_embedding",
    "use_conv_bias", "conv_bias", "block_auto_adjust_ff_dim", "mamba_conv_bias", "mamba_proj_bias", "mamba_rms_norm",
    "mamba_norm_before_gate", "projectors_bias",
    "norm_topk_prob", "rope_interleave", "lm_head_bias", "mup_enabled",
    "use_expert_bias", "linear_allow_neg_eigval", "attn_temperature_tuning", "router_bias",
    "mla_use_nope", "use_grouped_topk", "moe_renormalize", "add_out_norm", "use_sandwich_norm", "use_attention_gate",
    "altup_correct_scale", "attention_k_eq_v", "enable_moe_block", "use_double_wide_mlp", "kda_safe_gate",
    "add_bias_linear", "use_mem_rope", "use_shared_attention_adapter", "use_long_context",
)  # fmt: skip
RULES: dict[str, Rule] = {
    **dict.fromkeys(("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon"), EPSILON),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), POSITIONS),
    **dict.fromkeys(("model_max_length", "context_length", "moe_layer_freq", "ffn_round_up_to_multiple_of"), POSITIONS),
    "rescale_every": WINDOW,
    "kda_lower_bound": BELOW_ZERO,
    "layer_group_size": POSITIONS,
    **dict.fromkeys(("qk_dim_factor", "v_dim_factor", "ffn_proj_factor"), FACTOR_OF_WIDTH),
    **dict.fromkeys(("gate_soft_cap", "output_logit_soft_cap"), ABOVE_ZERO),
    "eps": EPSILON,
    **dict.fromkeys(("moe_router_activation_func", "weight_mode"), TEXT),
    **dict.fromkeys(("full_attn_layers", "kda_layers"), INDICES),
    # Its logarithm divides.
    "original_max_position_embeddings": whole(2, MOST_POSITIONS),
    **dict.fromkeys(("window_size", "attention_chunk_size", "floor_scale"), POSITIONS),
    "attn_scale": MSCALE,
    **dict.fromkeys(("attention_value_scale", "moe_normalize_expert_weights"), ABOVE_ZERO),
    **dict.fromkeys((f"{branch}_{factor}_factor" for branch in BRANCHES for factor in ("alpha", "beta")), ABOVE_ZERO),
    **dict.fromkeys(("keep_window_size", "local_attention"), POSITIONS),
    **dict.fromkeys(("scale_emb", "scale_depth", "dim_model_base"), ABOVE_ZERO),
    **dict.fromkeys(("is_moe", "norm_bias", "decoder_bias", "classifier_bias"), SWITCH),
    "classifier_activation": TEXT,
    "layer_rope_theta": Rule(
        "a list of finite numbers of zero or more",
        lambda value: _are(value, lambda one: one == 0 or ABOVE_ZERO.holds(one)),
    ),
    "intermediate_multiple_size": whole(1, 1024),
    **dict.fromkeys(("_sliding_window_pattern", "no_rope_layer_interval"), POSITIONS),
    "sliding_window_pattern": PATTERN,
    **dict.fromkeys(("sliding_window", "max_window_layers"), WINDOW),
    **dict.fromkeys(("rope_theta", "rotary_emb_base", "rope_local_base_freq"), THETA),
    **dict.fromkeys(("partial_rotary_factor", "rotary_pct", "rope_pct"), SHARE),
    **dict.fromkeys(("factor", "attention_factor", "beta_fast", "beta_slow"), ABOVE_ZERO),
    **dict.fromkeys(("low_freq_factor", "high_freq_factor"), ABOVE_ZERO),
    **dict.fromkeys(("mscale", "mscale_all_dim"), MSCALE),
    **dict.fromkeys(("short_factor", "long_factor"), FACTORS),
    **dict.fromkeys(("attention_multiplier", "residual_multiplier", "embedding_multiplier"), ABOVE_ZERO),
    **dict.fromkeys(("logits_scaling", "logit_scale", "query_pre_attn_scalar", "softmax_scale"), ABOVE_ZERO),
    **dict.fromkeys(("final_logit_softcapping", "attn_logit_softcapping", "clip_qkv"), ABOVE_ZERO),
    **dict.fromkeys(("mlp_hidden_act", "mamba_hidden_act", "position_embedding_type", "hybrid_override_pattern"), TEXT),
    **dict.fromkeys(("hidden_act", "hidden_activation", "activation_function", "activation", "afn"), TEXT),
    **dict.fromkeys(("rope_type", "type", "model_type"), TEXT),
    **dict.fromkeys(("layer_types", "attention_layers"), TEXTS),
    **dict.fromkeys(SWITCH_FIELDS, SWITCH),
    "use_bidirectional_attention": Rule(
        "true, false, all or vision", lambda value: _is_switch(value) or value in ("all", "vision")
    ),
    **dict.fromkeys(("num_kv_shared_layers", "altup_active_idx"), WINDOW),
    "activation_sparsity_pattern": SPARSITY,
    "gating": Rule("true, per-head or per-element", lambda value: _is_switch(value) or value in GATINGS),
    "num_mem_blocks": POSITIONS,
    "moe_router_logit_softcapping": MSCALE,
    **dict.fromkeys(
        ("routed_scaling_factor", "router_scaling_factor", "route_scale", "swiglu_alpha", "swiglu_limit"), ABOVE_ZERO
    ),
    "moe_routed_scaling_factor": ABOVE_ZERO,
    **dict.fromkeys(("decoder_sparse_step", "moe_layer_interval", "prefix_dense_sliding_window_pattern"), POSITIONS),
    **dict.fromkeys(("attn_layer_period", "expert_layer_period"), POSITIONS),
    **dict.fromkeys(("attn_layer_offset", "expert_layer_offset"), WINDOW),
    **dict.fromkeys(LAYERS, WINDOW),
    "moe_layer_end_index": LAST_LAYER,
    **dict.fromkeys(("mlp_only_layers", "moe_layers"), INDICES),
    "mlp_layer_types": TEXTS,
    **dict.fromkeys(("topk_method", "expert_selection_fn", "shared_expert_combination_strategy"), TEXT),
    "router_jitter_noise": Rule(
        "a number of zero or more and at most 1", lambda value: value == 0 or EPSILON.holds(value)
    ),
    "moe_norm_min": Rule("a number of zero or more and at most 1", lambda value: value == 0 or EPSILON.holds(value)),
    **dict.fromkeys(("time_step_rank", "mamba_d_head", "mamba_dt_rank"), SIZE_OR_AUTO),
    **dict.fromkeys(("expand", "mamba_expand"), FACTOR),
    **dict.fromkeys(("time_step_limit", "mamba_dt_limit"), STEPS),
    **dict.fromkeys(("layers_block_type", "block_types"), TEXTS),
    **dict.fromkeys(("ssm_multipliers", "mlp_multipliers"), FACTORS),
    **dict.fromkeys(("key_multiplier", "lm_head_multiplier", "ssm_in_multiplier", "ssm_out_multiplier"), ABOVE_ZERO),
    **dict.fromkeys(("attention_in_multiplier", "attention_out_multiplier", "logits_soft_cap"), ABOVE_ZERO),
    **dict.fromkeys(("time_step_min", "block_ffn_dim_multiplier", "mixer_rms_eps"), ABOVE_ZERO),
    **dict.fromkeys(("attn_layer_indices", "full_attn_idxs"), INDICES),
    "block_multiple_of": POSITIONS,
    "attention_window_size": POSITIONS,
    "no_rope_layers": SWITCHES,
    "num_ln_in_parallel_attn": whole(1, 2),
    LABELS: whole(0, MOST_LABELS),
    **dict.fromkeys(("rope_parameters", "rope_scaling", "text_config", "per_layer_config"), TABLE),
    **dict.fromkeys(("attn_config", "linear_attn_config", "ffn_config", "ffn_act_fn"), TABLE),
}
# Parts that are looked into, and parts of these: settings by type of layer, or by layer.
PARTS = (
    "text_config", "attn_config", "linear_attn_config", "ffn_config", "rope_parameters", "rope_scaling",
    "per_layer_config",
)  # fmt: skip
NESTED = ("rope_parameters", "rope_scaling", "per_layer_config")


def check_config_values(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check the values of a configuration.

    Parameters
    ----------
    config
        The content of ``config.json``.
    shapes
        Shape of each tensor of the checkpoint, by name: there are not more layers than tensors, and nothing is larger
        than their largest dimension.

    Raises
    ------
    InputError
        If a field has a value that cannot be; the first one is named.
    """
    largest = max((size for shape in shapes.values() for size in shape), default=0)
    layers = whole(1, len(shapes), ", the number of its tensors")
    sizes = whole(1, largest, ", the largest dimension of its tensors")
    one_count = whole(0, largest, ", the largest dimension of its tensors")
    counts = _or_by_layer(one_count)
    repeats = Rule(f"pairs of a list of texts and {layers.accepted}", lambda value: _are(value, repeated))

    def repeated(pair: Any) -> bool:
        return isinstance(pair, list) and len(pair) == 2 and TEXTS.holds(pair[0]) and layers.holds(pair[1])

    rules = RULES | dict.fromkeys(DEPTHS, layers) | dict.fromkeys(SIZES, sizes) | dict.fromkeys(COUNTS, counts)
    rules |= dict.fromkeys(SIZES_BY_LAYER, _or_by_layer(sizes))
    rules |= {"attention_types": repeats}
    for path, name, value in _fields(config):
        rule = rules.get(name)
        if rule is not None and value is not None and not rule.holds(value):
            problem = f"{path} is {excerpt(repr(value), 80)} in config.json"
            raise InputError(problem, rule.accepted, "correct config.json, or use another checkpoint")


def _or_by_layer(rule: Rule) -> Rule:
    accepted = f"{rule.accepted}, or a list of them, one for each layer"
    return Rule(accepted, lambda value: rule.holds(value) or _are(value, rule.holds))


def _fields(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the fields of a configuration and of its parts, those that hold parts before what is in them."""
    for name, value in config.items():
        yield name, name, value
        if name in PARTS and isinstance(value, dict):
            for path, inner, part in _fields(value):
                yield f"{name}.{path}", inner, part
                if name in NESTED and isinstance(part, dict):
                    yield from ((f"{name}.{path}.{key}", key, each) for key, each in part.items())
        elif isinstance(value, dict) and LABELS in value:
            # Of other parts, such as one for images, only what costs memory to read.
            yield f"{name}.{LABELS}", LABELS, value[LABELS]
