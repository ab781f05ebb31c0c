"""What families with recurrences set, as functions of a transformers configuration."""

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from bayeslaw.errors import InputError
from inference.decoder.configuration_reading import Settings, activation
from inference.decoder.expert_settings import Experts
from inference.decoder.mixer_settings import (
    GatedDelta,
    GatedLinearUnit,
    Mamba,
    Mamba2,
    SharedBlock,
    ShortConvolution,
    SideBySide,
)
from inference.decoder.mlp_scales import MLPScales
from inference.decoder.routed_settings import DEEPSEEK3, LOCAL, QWEN, by_steps, experts_where, some_experts
from inference.decoder.routed_settings import EVERYWHERE as ALL_LAYERS

# Attention and MLPs read these; without either they are as small as can be.
MIXERS_ALONE = {"position": "none", "heads": 1, "key_value_heads": 1, "head_width": 1, "mlp_width": 1}


JAMBA_KINDS = {"mamba": "mamba", "attention": "attention"}
SHARED_GATED = {"shared_width": lambda hf: hf.shared_expert_intermediate_size, "shared_gated": True}


def all_layers(mixer: str, feed_forward: str) -> Callable[[Any], Settings]:
    """Give every layer the same mixer and feed-forward part."""
    return lambda hf: {
        "layer_mixer": (mixer,) * hf.num_hidden_layers,
        "layer_feed_forward": (feed_forward,) * hf.num_hidden_layers,
    }


def layers_by_type(field: str, **kinds: str) -> Callable[[Any], Settings]:
    """Read the mixer of each layer of its type."""

    def read(hf: Any) -> Settings:
        return {"layer_mixer": tuple(kind_of(kind, kinds) for kind in getattr(hf, field))}

    return read


def one_part(read: Callable[[Any], object]) -> Callable[[Any], Settings]:
    """Set what one kind of mixer alone needs, read of the configuration."""
    return lambda hf: {"parts": (read(hf),)}


def kind_of[Kind](kind: str, kinds: Mapping[str, Kind]) -> Kind:
    """Return what a type of layer stands for, or refuse it by name."""
    if kind not in kinds:
        raise InputError(f"a layer of the type {kind!r} is not covered", ", ".join(kinds), "use another checkpoint")
    return kinds[kind]


def _steps(hf: Any) -> Settings:
    shortest, longest = hf.time_step_limit or (0.0, float("inf"))
    return {"shortest_step": float(shortest), "longest_step": float(longest)}


def mamba_part(hf: Any, **settings: Any) -> Mamba:
    """Read the sizes of a Mamba without attention."""
    return Mamba(
        inner_width=hf.intermediate_size,
        state_width=hf.state_size,
        step_rank=int(hf.time_step_rank),
        taps=hf.conv_kernel,
        bias=bool(hf.use_bias),
        convolution_bias=bool(hf.use_conv_bias),
        activation=activation(hf.hidden_act),
        **settings,
    )


def mamba2_part(hf: Any) -> Mamba2:
    """Read the sizes of a Mamba 2 without attention."""
    return Mamba2(
        heads=hf.num_heads,
        head_width=hf.head_dim,
        groups=hf.n_groups,
        state_width=hf.state_size,
        taps=hf.conv_kernel,
        input_bias=bool(hf.use_bias),
        output_bias=bool(hf.use_bias),
        convolution_bias=bool(hf.use_conv_bias),
        norm_epsilon=hf.layer_norm_epsilon,
        norm_groups=hf.n_groups,
        activation=activation(hf.hidden_act),
        **_steps(hf),
    )


def hybrid_mamba2(hf: Any, **settings: Any) -> Mamba2:
    """Read the Mamba 2 of models that have attention as well, and name its sizes apart."""
    common: Settings = {
        "heads": hf.mamba_n_heads,
        "head_width": hf.mamba_d_head,
        "groups": hf.mamba_n_groups,
        "state_width": hf.mamba_d_state,
        "taps": hf.mamba_d_conv,
        "input_bias": bool(hf.mamba_proj_bias),
        "output_bias": bool(hf.mamba_proj_bias),
        "convolution_bias": bool(hf.mamba_conv_bias),
        "norm_epsilon": hf.rms_norm_eps,
        "norm_groups": hf.mamba_n_groups,
        "activation": activation(hf.hidden_act),
        **_steps(hf),
    }
    return Mamba2(**common | settings)


def falcon_h1_settings(hf: Any) -> Settings:
    """Read the parts of a Falcon-H1 and its many factors."""
    order = ("after" if hf.mamba_norm_before_gate else "before") if hf.mamba_rms_norm else None
    mamba2 = hybrid_mamba2(
        hf, output_bias=bool(hf.projectors_bias), norm_order=order, scales=tuple(map(float, hf.ssm_multipliers))
    )
    beside = SideBySide(
        attention_in=float(hf.attention_in_multiplier),
        attention_out=float(hf.attention_out_multiplier),
        mamba2_in=float(hf.ssm_in_multiplier),
        mamba2_out=float(hf.ssm_out_multiplier),
    )
    gate, down = map(float, hf.mlp_multipliers)
    head_width = getattr(hf, "head_dim", None) or hf.hidden_size // hf.num_attention_heads
    return {
        "parts": (mamba2, beside, MLPScales(gate, down)),
        # Keys are multiplied before they are turned, which scales the scores.
        "attention_scale": head_width**-0.5 * hf.key_multiplier,
        "embedding_scale": float(hf.embedding_multiplier),
        "logit_scale": float(hf.lm_head_multiplier),
    }


def lfm2_width(hf: Any) -> int:
    """Return the width of the MLP, which the family rounds up from the one stated."""
    width = hf.intermediate_size
    if not hf.block_auto_adjust_ff_dim:
        return width
    width = int(2 * width / 3)
    if hf.block_ffn_dim_multiplier is not None:
        width = int(hf.block_ffn_dim_multiplier * width)
        width = hf.block_multiple_of * -(-width // hf.block_multiple_of)
    return width


def recurrent_gemma_settings(hf: Any) -> Settings:
    """Read which layers of a RecurrentGemma attend, how far, and its recurrent unit."""
    kinds = {"linear_attention": "rglru", "sliding_attention": "attention"}
    mixers = tuple(kind_of(kind, kinds) for kind in hf.layers_block_type)
    return {
        "layer_mixer": mixers,
        "layer_window": tuple(hf.attention_window_size if mixer == "attention" else 0 for mixer in mixers),
        "parts": (GatedLinearUnit(hf.lru_width, hf.num_attention_heads, hf.conv1d_width),),
        # The family keeps this factor in bfloat16, whatever the type of its weights.
        "embedding_scale": float(np.sqrt(hf.hidden_size).astype(ml_dtypes.bfloat16)),
        "mlp_width": hf.intermediate_size // 2,
        "activation": activation(hf.hidden_activation),
        "logit_softcap": hf.logits_soft_cap,
    }


def granite_hybrid_settings(hf: Any) -> Settings:
    """Read a Granite whose layers have experts beside their MLP, or, where there are none, an MLP alone."""
    routed = bool(hf.num_local_experts)
    experts = some_experts(
        **LOCAL, scores="logits", shares="softmax", shared_width=lambda hf: hf.shared_intermediate_size
    )
    return {
        "position": "rope" if hf.position_embedding_type == "rope" else "none",
        "layer_feed_forward": ("experts" if routed else "mlp",) * hf.num_hidden_layers,
        "parts": (hybrid_mamba2(hf), *(experts(hf)["parts"] if routed else ())),
        "mlp_width": hf.shared_intermediate_size,
        "attention_scale": float(hf.attention_multiplier),
        "residual_scale": float(hf.residual_multiplier),
        "embedding_scale": float(hf.embedding_multiplier),
        "logit_scale": 1 / hf.logits_scaling,
    }


def zamba2_settings(hf: Any) -> Settings:
    """Read which layers of a Zamba 2 read what a shared block gives, and which block each shares."""
    kinds = {"linear_attention": "mamba2", "hybrid": "shared_block_mamba2"}
    mixers = tuple(kind_of(kind, kinds) for kind in hf.layers_block_type)
    sharing = [layer for layer, mixer in enumerate(mixers) if mixer == "shared_block_mamba2"]
    memory = {layer: use % hf.num_mem_blocks for use, layer in enumerate(sharing)}
    mamba2 = Mamba2(
        heads=hf.n_mamba_heads,
        head_width=hf.mamba_headdim,
        groups=hf.mamba_ngroups,
        state_width=hf.mamba_d_state,
        taps=hf.mamba_d_conv,
        input_bias=bool(hf.add_bias_linear),
        output_bias=bool(hf.add_bias_linear),
        shortest_step=float(hf.time_step_min),
        norm_groups=hf.mamba_ngroups,
    )
    return {
        "position": "rope" if hf.use_mem_rope else "none",
        "layer_mixer": mixers,
        "layer_feed_forward": ("none",) * len(mixers),
        "layer_memory": tuple(memory.get(layer, -1) for layer in range(len(mixers))),
        "bare_layers": tuple(sharing),
        "attention_scale": (hf.attention_head_dim / 2) ** -0.5,
        "mlp_bias": bool(hf.add_bias_linear),
        "parts": (mamba2, SharedBlock(hf.adapter_rank, bool(hf.use_shared_attention_adapter))),
    }


NEMOTRON_H_KINDS = {
    "linear_attention": ("mamba2", "none"),
    "full_attention": ("attention", "none"),
    "mlp": ("none", "mlp"),
    "moe": ("none", "experts"),
}


def nemotron_h_settings(hf: Any) -> Settings:
    """Read what each layer of a Nemotron-H is: a mixer or a feed-forward part, never both."""
    kinds = [kind_of(kind, NEMOTRON_H_KINDS) for kind in hf.layers_block_type]
    mamba2 = Mamba2(
        heads=hf.mamba_num_heads,
        head_width=hf.mamba_head_dim,
        groups=hf.n_groups,
        state_width=hf.ssm_state_size,
        taps=hf.conv_kernel,
        input_bias=bool(hf.use_bias),
        output_bias=bool(hf.use_bias),
        convolution_bias=bool(hf.use_conv_bias),
        # The family passes over its time_step_limit.
        shortest_step=float(hf.time_step_min),
        norm_epsilon=hf.layer_norm_epsilon,
        norm_groups=hf.n_groups,
        activation=activation(hf.mamba_hidden_act),
    )
    return {
        "position": "none",
        "layer_mixer": tuple(mixer for mixer, _ in kinds),
        "layer_feed_forward": tuple(feed_forward for _, feed_forward in kinds),
        "parts": (mamba2, *([_nemotron_h_experts(hf)] if "moe" in hf.layers_block_type else [])),
        "gated": False,
        "activation": activation(hf.mlp_hidden_act),
        "mlp_bias": bool(hf.mlp_bias),
    }


def _nemotron_h_experts(hf: Any) -> Experts:
    settings = DEEPSEEK3 | {"shared_width": hf.moe_shared_expert_intermediate_size}
    return some_experts(**settings)(hf)["parts"][0]


def jamba_settings(hf: Any) -> Settings:
    """Read which layers of a Jamba attend, which have experts, and its Mamba."""
    routed = any(count > 1 for count in hf.layers_num_experts)
    mamba = Mamba(
        inner_width=hf.mamba_expand * hf.hidden_size,
        state_width=hf.mamba_d_state,
        step_rank=int(hf.mamba_dt_rank),
        taps=hf.mamba_d_conv,
        bias=bool(hf.mamba_proj_bias),
        convolution_bias=bool(hf.mamba_conv_bias),
        selection_norm=hf.rms_norm_eps,
        selection_norm_weight=True,
        activation=activation(hf.hidden_act),
    )
    experts = some_experts(**LOCAL, shares="scores")
    return {
        "position": "none",
        "layer_mixer": tuple(kind_of(kind, JAMBA_KINDS) for kind in hf.layers_block_type),
        "layer_feed_forward": tuple("experts" if count > 1 else "mlp" for count in hf.layers_num_experts),
        "parts": (mamba, *(experts(hf)["parts"] if routed else ())),
    }


def lfm2_moe_settings(hf: Any) -> Settings:
    """Read which layers of an LFM2 have experts, and how these are chosen."""
    experts = some_experts(
        **QWEN,
        scores="sigmoid",
        # Added by the family whatever its configuration says.
        added_sum=1e-6,
        scale=lambda hf: float(hf.routed_scaling_factor),
        corrected=lambda hf: bool(hf.use_expert_bias),
    )
    dense = min(hf.num_dense_layers, hf.num_hidden_layers)
    return {
        "layer_feed_forward": ("mlp",) * dense + ("experts",) * (hf.num_hidden_layers - dense),
        "parts": (short_convolution_part(hf), *experts(hf)["parts"]),
    }


def short_convolution_part(hf: Any) -> ShortConvolution:
    """Read the convolution of an LFM2."""
    return ShortConvolution(hf.conv_L_cache, bool(hf.conv_bias))


def lfm3_settings(hf: Any) -> Settings:
    """Read what each layer of an LFM3 is, its window, and which of the rotary positions it has."""
    attention = "head_gated_attention" if hf.use_attention_gate else "attention"
    kinds = {"conv": ("short_convolution", False), "full_attention": (attention, False)}
    kinds |= {"sliding_attention": (attention, True)} if hf.sliding_window else {}
    layers = [kind_of(kind, kinds) for kind in hf.layer_types]
    return {
        "layer_mixer": tuple(mixer for mixer, _ in layers),
        "layer_window": tuple(hf.sliding_window if slides else 0 for _, slides in layers),
        # Convolutions have none of them.
        "rope_types": tuple("sliding_attention" if slides else "full_attention" for _, slides in layers),
        "placement": "sandwich" if hf.use_sandwich_norm else "pre",
    }


def qwen3_next_settings(hf: Any) -> Settings:
    """Read a Qwen whose layers, or most of them, have experts beside an MLP."""
    layers = experts_where(by_steps)(hf)
    experts = some_experts(**QWEN, **SHARED_GATED)(hf)["parts"] if "experts" in layers["layer_feed_forward"] else ()
    return layers | {"parts": (gated_delta_part(hf, projection="grouped"), *experts)}


def qwen3_5_moe_settings(hf: Any) -> Settings:
    """Read a Qwen whose every layer has experts beside an MLP."""
    experts = some_experts(**QWEN | {"shares": "normalised"}, **SHARED_GATED)(hf)["parts"]
    return ALL_LAYERS(hf) | {"parts": (gated_delta_part(hf), *experts)}


def olmo_hybrid_settings(hf: Any) -> Settings:
    """Read which layers of an OLMo hybrid attend, whether by position, and its gated delta network."""
    kinds = {"linear_attention": "gated_delta", "full_attention": "attention"}
    # The epsilon of the norm within the network is the family's, whatever its configuration says.
    network = gated_delta_part(hf, norm_epsilon=1e-5, strongest=2.0 if hf.linear_allow_neg_eigval else 1.0)
    turned = hf.rope_parameters is not None and hf.rope_parameters.get("rope_theta") is not None
    return {
        "position": "rope" if turned else "none",
        "layer_mixer": tuple(kind_of(kind, kinds) for kind in hf.layer_types),
        "mixer_placement": (("attention", "branch"),),
        "parts": (network,),
    }


def gated_delta_part(hf: Any, **settings: Any) -> GatedDelta:
    """Read the sizes of a gated delta network."""
    return GatedDelta(
        key_heads=hf.linear_num_key_heads,
        value_heads=hf.linear_num_value_heads,
        key_width=hf.linear_key_head_dim,
        value_width=hf.linear_value_head_dim,
        taps=hf.linear_conv_kernel_dim,
        activation=activation(hf.hidden_act),
        **{"norm_epsilon": hf.rms_norm_eps} | settings,
    )


def rope_of_text(hf: Any) -> Settings:
    """Read rotary positions without what they say of images: the positions of text are the same in all directions."""
    images = ("mrope_section", "mrope_interleaved")
    return {"rope_parameters": {name: value for name, value in hf.rope_parameters.items() if name not in images}}
