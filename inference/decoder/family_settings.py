"""What families set in `configuration.DecoderConfig`, as functions of a transformers configuration."""

from collections.abc import Callable
from typing import Any

from bayeslaw.errors import InputError
from inference.decoder.configuration_reading import Settings, activation, uniform_window, window_by_type
from inference.decoder.head_transform import HeadTransform
from inference.decoder.query_growth import QueryGrowth

LAYER_NORM = {"norm": "layer", "norm_bias": True}
BIASED = {"query_bias": True, "key_value_bias": True, "output_bias": True, "mlp_bias": True}
GPT = LAYER_NORM | BIASED | {"gated": False}


def join_settings(*parts: Callable[[Any], Settings] | Settings, **settings: Any) -> Callable[[Any], Settings]:
    """Join settings; what is a function is asked of the configuration."""

    def read(hf: Any) -> Settings:
        joined: Settings = {}
        for part in (*parts, settings):
            found = part(hf) if callable(part) else part
            # What one kind of part alone needs adds up.
            more: Any = found.get("parts", ())
            before: Any = joined.get("parts", ())
            given: Any = more(hf) if callable(more) else more
            joined |= found | {"parts": (*before, *given)}
        return {name: value(hf) if callable(value) else value for name, value in joined.items()}

    return read


def biases(field: str, *names: str) -> Callable[[Any], Settings]:
    """Read one field that says whether the linear maps named have a bias."""
    return lambda hf: dict.fromkeys(names, bool(getattr(hf, field, False)))


def no_rope_where(full: Callable[[Any], list[bool]]) -> Callable[[Any], tuple[int, ...]]:
    """Leave the layers said to be without rotary positions."""
    return lambda hf: tuple(-1 if bare else 0 for bare in full(hf))


def full_layers(hf: Any) -> list[bool]:
    """Say which layers attend to everything, where others have a window."""
    return [bool(hf.sliding_window) and kind == "full_attention" for kind in hf.layer_types]


def rotary_width(hf: Any) -> int:
    """Read the number of rotated dimensions that GPT-J states."""
    if not hf.rotary_dim:
        raise InputError(
            f"rotary_dim is {hf.rotary_dim!r}", "the number of rotated dimensions", "set it in config.json"
        )
    return hf.rotary_dim


def falcon_settings(hf: Any) -> Settings:
    """Read which of its three architectures a Falcon has."""
    grouped, parallel, norms = bool(hf.new_decoder_architecture), bool(hf.parallel_attn), hf.num_ln_in_parallel_attn
    if (grouped and not parallel) or (not grouped and norms == 2):
        problem = f"new_decoder_architecture {grouped} goes with neither parallel_attn {parallel} nor {norms} norms"
        raise InputError(problem, "what Falcon 7B, 40B or RW state", "use another checkpoint")
    residual = "sequential" if not parallel else "parallel" if grouped and norms != 1 else "parallel_shared"
    key_value_heads = hf.num_kv_heads if grouped else 1 if hf.multi_query else hf.num_attention_heads
    alibi = {"position": "alibi", "alibi_scaled": True, "alibi_rounded": True} if hf.alibi else {}
    return {"residual": residual, "key_value_heads": key_value_heads, **alibi}


def opt_settings(hf: Any) -> Settings:
    """Read where an OPT has its norms, and whether projections lead in and out."""
    before, width = bool(hf.do_layer_norm_before), hf.word_embed_proj_dim
    return {
        # The family's norms add this whatever its configuration says.
        "norm_epsilon": 1e-5,
        "norm_weight": bool(hf.layer_norm_elementwise_affine),
        "position": "learned",
        "position_offset": 2,
        "placement": "pre" if before else "post",
        "final_norm": before and not getattr(hf, "_remove_final_layer_norm", False),
        "embedding_width": 0 if width in (None, hf.hidden_size) else width,
    }


def growing_queries(hf: Any) -> Settings:
    """Read by how much queries grow, which a Ministral 3 states among its rope parameters."""
    stated = dict(hf.rope_parameters)
    rate, length = stated.pop("llama_4_scaling_beta", None), stated.get("original_max_position_embeddings")
    # Said once more beside those of the model, and not read here.
    stated.pop("max_position_embeddings", None)
    if not isinstance(rate, int | float) or not isinstance(length, int):
        problem = f"llama_4_scaling_beta is {rate!r} and original_max_position_embeddings {length!r}"
        raise InputError(problem, "two numbers in rope_parameters", "complete config.json")
    return {"rope_parameters": stated, "parts": (QueryGrowth(rate, length),) if rate else ()}


def stretched_rope(hf: Any) -> Settings:
    """Read the rope of a Hunyuan: dynamic with an alpha is a larger base, for any text."""
    stated = dict(hf.rope_parameters)
    alpha, width = stated.pop("alpha", None), hf.head_dim or hf.hidden_size // hf.num_attention_heads
    if alpha and stated.get("rope_type") == "dynamic":
        stated = {"rope_type": "default", "rope_theta": stated["rope_theta"] * alpha ** (width / (width - 2))}
    return {"rope_parameters": stated}


def rope_by_layer(hf: Any) -> Settings:
    """Read one base of the rotary positions for each layer, 0 for a layer without them."""
    bases = [float(base) for base in hf.layer_rope_theta]
    if len(bases) != hf.num_hidden_layers or min(bases) < 0:
        problem = f"layer_rope_theta is {hf.layer_rope_theta!r}"
        raise InputError(problem, f"{hf.num_hidden_layers} numbers of 0 or more", "correct config.json")
    if not any(bases):
        return {"position": "none"}
    known = sorted({base for base in bases if base})
    types = [str(known.index(base or known[0])) for base in bases]
    return {
        "rope_parameters": {str(i): {**hf.rope_parameters, "rope_theta": base} for i, base in enumerate(known)},
        "rope_types": tuple(types),
        "layer_rope": tuple(known.index(base) if base else -1 for base in bases),
    }


def whole_dynamic_mask(hf: Any) -> Settings:
    """Refuse a Doge that in its longest texts attends to some of the keys alone, which is not covered."""
    if hf.keep_window_size < hf.max_position_embeddings:
        problem = f"keep_window_size is {hf.keep_window_size} for texts of up to {hf.max_position_embeddings} tokens"
        raise InputError(problem, "a number of at least max_position_embeddings", "use another checkpoint")
    return {}


def paired_heads(hf: Any) -> Settings:
    """Refuse key and value heads of differential attention that are no pairs."""
    if hf.num_key_value_heads % 2:
        problem = f"num_key_value_heads is {hf.num_key_value_heads} in the configuration of a {hf.model_type}"
        raise InputError(problem, "an even number", "correct config.json, or use another checkpoint")
    return {}


def head_transform(hf: Any) -> Settings:
    """Read what stands before the head of a ModernBERT decoder."""
    return {"parts": (HeadTransform(activation(hf.classifier_activation), bool(hf.classifier_bias)),)}


def scaled_embedding(hf: Any) -> Settings:
    """Read whether embeddings are multiplied by the square root of their width."""
    return {"embedding_scale": hf.hidden_size**0.5 if hf.scale_embedding else 1.0}


def own_head_width(hf: Any) -> Settings:
    """Take the width over the heads, and refuse a configuration that states another."""
    width, stated = hf.hidden_size // hf.num_attention_heads, getattr(hf, "head_dim", None)
    if stated not in (None, width):
        problem = f"head_dim is {stated} in the configuration of a {hf.model_type}, whose heads are {width} wide"
        raise InputError(problem, f"{width}, or none", "remove head_dim from config.json")
    return {"head_width": width}


def query_key_layer_norm(hf: Any) -> Settings:
    """Read whether queries and keys have layer norms."""
    return {"query_key_norm": "head" if hf.qk_layernorm else "none", "query_key_norm_bias": bool(hf.qk_layernorm)}


QKV, OUTPUT, MLP = ("query_bias", "key_value_bias"), ("output_bias",), ("mlp_bias",)
LLAMA_BIASES = (biases("attention_bias", *QKV, *OUTPUT), biases("mlp_bias", *MLP))
ATTENTION_BIASES = biases("attention_bias", *QKV, *OUTPUT)
USE_BIAS = biases("use_bias", *QKV, *OUTPUT, *MLP)
UNBIASED_QKV = dict.fromkeys(QKV, False)
BY_TYPE = {"layer_window": window_by_type}
EVERYWHERE = {"layer_window": uniform_window}
GEMMA = {
    "norm_offset": 1.0,
    "embedding_scale": lambda hf: hf.hidden_size**0.5,
}
GEMMA2 = (
    GEMMA
    | BY_TYPE
    | {
        "placement": "sandwich",
        "activation": lambda hf: activation(hf.hidden_activation),
        "attention_scale": lambda hf: hf.query_pre_attn_scalar**-0.5,
        "logit_softcap": lambda hf: hf.final_logit_softcapping,
    }
)
COHERE = {
    "norm": "layer",
    "residual": "parallel_shared",
    "rope_interleaved": True,
    "logit_scale": lambda hf: float(hf.logit_scale),
}
GRANITE = join_settings(
    *LLAMA_BIASES,
    attention_scale=lambda hf: hf.attention_multiplier,
    residual_scale=lambda hf: hf.residual_multiplier,
    embedding_scale=lambda hf: hf.embedding_multiplier,
    logit_scale=lambda hf: 1 / hf.logits_scaling,
)
OLMO2 = join_settings(ATTENTION_BIASES, placement="branch", query_key_norm="flat")
GLM = join_settings(biases("attention_bias", *QKV), rope_interleaved=True, partial_rotary=True)
