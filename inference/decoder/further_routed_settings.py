"""What families set whose attention is as unusual as their experts, as functions of a transformers configuration."""

from typing import Any

from bayeslaw.errors import InputError
from inference.decoder.attention_chunks import AttentionChunks
from inference.decoder.configuration_reading import Settings, activation
from inference.decoder.expert_settings import Experts
from inference.decoder.final_norm import FinalNorm
from inference.decoder.head_settings import OutputGate, Values, WindowedHeads
from inference.decoder.query_growth import QueryGrowth
from inference.decoder.recurrent_settings import kind_of
from inference.decoder.residual_factors import ResidualFactors
from inference.decoder.routed_settings import latent_attention
from inference.decoder.setting_checks import refuse_setting

LLAMA4_KINDS = {"chunked_attention": True, "full_attention": False}
MIMO_KINDS = {"sliding_attention": "windowed_attention", "full_attention": "attention"}
MINIMAX_KINDS = {"linear_attention": "lightning", "full_attention": "attention"}


def chunked_attention(hf: Any) -> Settings:
    """Read where a Llama 4 attends by chunks, where it rotates, and what becomes of queries in either."""
    depth, size = hf.num_hidden_layers, hf.attention_chunk_size
    for name in ("layer_types", "no_rope_layers"):
        if len(getattr(hf, name)) != depth:
            raise refuse_setting(name, getattr(hf, name), f"one entry for each of {depth} layers")
    chunked = tuple(kind_of(kind, LLAMA4_KINDS) for kind in hf.layer_types)
    if any(chunked) and size is None:
        problem = "layer_types has chunked layers, and attention_chunk_size is None"
        raise InputError(problem, "a size of chunks for them", "set attention_chunk_size in config.json")
    rotated = [bool(one) for one in hf.no_rope_layers]
    parts: list[object] = [AttentionChunks(size, chunked)] if any(chunked) else []
    if hf.attn_temperature_tuning and hf.attn_scale and not all(rotated):
        parts.append(QueryGrowth(float(hf.attn_scale), hf.floor_scale, first=1, unrotated=True))
    return {
        "layer_rope": tuple(0 if one else -1 for one in rotated),
        "query_key_norm": "rotated" if hf.use_qk_norm and any(rotated) else "none",
        "parts": tuple(parts),
    }


def final_norm(hf: Any) -> Settings:
    """Read the epsilon of a JetMoE's last norm; those of its blocks are what they are."""
    return {"norm_epsilon": 1e-6, "parts": (FinalNorm(float(hf.rms_norm_eps)),)}


def shortcut_layers(hf: Any) -> Settings:
    """Read the layers of a LongCat-Flash, whose configuration counts each of them twice, as the attentions in it."""
    depth = hf.num_layers
    agreed = {
        "head_dim": hf.qk_rope_head_dim,
        "qk_head_dim": hf.qk_nope_head_dim + hf.qk_rope_head_dim,
        "num_key_value_heads": hf.num_attention_heads,
    }
    for name, wanted in agreed.items():
        if (value := getattr(hf, name)) != wanted:
            problem = f"{name} is {value!r} in the configuration of a {hf.model_type}"
            raise InputError(problem, f"{wanted}, which its other sizes make", "correct config.json")
    scales = {
        "query_scale": (hf.hidden_size / hf.q_lora_rank) ** 0.5,
        "key_value_scale": (hf.hidden_size / hf.kv_lora_rank) ** 0.5,
    }
    return latent_attention(hf, **scales) | {
        "depth": depth,
        "layer_mixer": ("shortcut",) * depth,
        "layer_feed_forward": ("none",) * depth,
        "bare_layers": tuple(range(depth)),
    }


def lightning_layers(hf: Any) -> Settings:
    """Read which layers of a MiniMax have linear attention, and by what each part and what it adds to is weighted."""
    stated, width = getattr(hf, "rotary_dim", None), hf.head_dim or hf.hidden_size // hf.num_attention_heads
    if stated not in (None, width):
        problem = f"rotary_dim is {stated!r} in the configuration of a {hf.model_type}, whose heads are {width} wide"
        raise InputError(problem, f"{width}, or none: transformers rotates whole heads", "use another checkpoint")
    if len(hf.layer_types) != hf.num_hidden_layers:
        raise refuse_setting("layer_types", hf.layer_types, f"one entry for each of {hf.num_hidden_layers} layers")

    def factors(branch: str) -> tuple[float, float]:
        return float(getattr(hf, f"{branch}_alpha_factor")), float(getattr(hf, f"{branch}_beta_factor"))

    mixers = (("attention", factors("full_attn")), ("lightning", factors("linear_attn")))
    return {
        "layer_mixer": tuple(kind_of(kind, MINIMAX_KINDS) for kind in hf.layer_types),
        "placement": "shared",
        "parts": (ResidualFactors(mixers, factors("mlp")),),
    }


def mixed_heads(hf: Any) -> Settings:
    """Read the heads of a MiMo: twice as many keys and values, and sinks, in layers with a window; narrow values."""
    kinds = [kind_of(kind, MIMO_KINDS) for kind in hf.layer_types]
    # What the reference rotates of each head where a configuration says nothing of it.
    stated = {kind: {"partial_rotary_factor": 0.334} | rope for kind, rope in hf.rope_parameters.items()}
    scale = 1.0 if hf.attention_value_scale is None else float(hf.attention_value_scale)
    return {
        "layer_mixer": tuple(kinds),
        "rope_parameters": stated,
        "parts": (WindowedHeads(2 * hf.num_key_value_heads, sinks=True), Values(hf.v_head_dim, scale)),
    }


def dbrx_settings(hf: Any) -> Settings:
    """Read a DBRX, whose configuration has parts for attention and for experts."""
    attention, feed = hf.attn_config, hf.ffn_config
    power, kind = feed.moe_normalize_expert_weights, hf.rope_parameters.get("rope_type", "default")
    if power not in (None, 1):
        problem = f"ffn_config.moe_normalize_expert_weights is {power!r} in the configuration of a {hf.model_type}"
        raise InputError(problem, "1, or none", "use another checkpoint")
    if kind != "default":
        raise InputError(f"the rope scaling {kind!r} of a {hf.model_type} is not covered", "default", "use another")
    # transformers takes the base from rope_parameters, where checkpoints have none, and rotates by another one than
    # the model was trained with.
    base = float(getattr(attention, "rope_theta", None) or hf.rope_parameters["rope_theta"])
    experts = Experts(
        feed.moe_num_experts, feed.moe_top_k, feed.ffn_hidden_size, shares="scores" if power is None else "normalised"
    )
    return {
        "key_value_heads": attention.kv_n_heads,
        "qkv_clip": attention.clip_qkv,
        "activation": activation(feed.ffn_act_fn.get("name", "silu")),
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "max_length": hf.max_seq_len,
        "parts": (experts,),
    }


def laguna_settings(hf: Any) -> Settings:
    """Read how many heads each layer of a Laguna has, how much of them it rotates, and what gates them."""
    shares = {kind: float(rope.get("partial_rotary_factor", 1.0)) for kind, rope in hf.rope_parameters.items()}
    widths = [int(hf.head_dim * kind_of(kind, shares)) for kind in hf.layer_types]
    layers = zip(hf.num_attention_heads_per_layer, widths, strict=True)
    return {
        "layer_settings": tuple((("heads", heads), ("rotated_width", width)) for heads, width in layers),
        "parts": (OutputGate("softplus", by_head=hf.gating != "per-element"),),
    }


def beam_settings(hf: Any) -> Settings:
    """Read where a Beam rotates, and by what queries grow where it does not; its residuals go by depth."""
    ropes = {kind: rope for kind, rope in hf.rope_parameters.items() if rope is not None}
    kinds = sorted(set(hf.layer_types))
    if len(hf.layer_types) != hf.num_hidden_layers or not set(kinds) <= set(hf.rope_parameters):
        accepted = f"one entry for each of {hf.num_hidden_layers} layers, of a type that rope_parameters has"
        raise refuse_setting("layer_types", hf.layer_types, accepted)
    used = [kind for kind in kinds if kind in ropes]
    positions: Settings = {"position": "none"}
    if used:
        types = tuple(kind if kind in ropes else used[0] for kind in hf.layer_types)
        places = tuple(used.index(kind) if kind in ropes else -1 for kind in hf.layer_types)
        positions = {"rope_parameters": {kind: ropes[kind] for kind in used}, "rope_types": types, "layer_rope": places}
    growth = QueryGrowth(0.1, 2048, first=1, unrotated=True, power=True)
    return positions | {"parts": (growth, OutputGate(head_bias=True), ResidualFactors(by_depth=True))}
