"""What families set whose attention is as unusual as their experts, as functions of a transformers configuration."""

from typing import Any

from bayeslaw.errors import InputError
from inference.decoder.attention_chunks import AttentionChunks
from inference.decoder.configuration import refuse_setting
from inference.decoder.configuration_reading import Settings
from inference.decoder.final_norm import FinalNorm
from inference.decoder.query_growth import QueryGrowth
from inference.decoder.recurrent_settings import kind_of
from inference.decoder.residual_factors import ResidualFactors
from inference.decoder.routed_settings import latent_attention

LLAMA4_KINDS = {"chunked_attention": True, "full_attention": False}
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
