"""What families of routed experts set, as functions of a transformers configuration."""

import math
from collections.abc import Callable
from typing import Any

from bayeslaw.errors import InputError
from inference.decoder.configuration_reading import DEPTH, Settings
from inference.decoder.expert_settings import Experts
from inference.decoder.latent_attention_settings import LatentAttention


def _depth(hf: Any) -> int:
    return next(value for name in DEPTH if (value := getattr(hf, name, None)) is not None)


def experts_where(routed: Callable[[Any, int], bool]) -> Callable[[Any], Settings]:
    """Say which layers, by number from 0, have experts in place of an MLP."""
    return lambda hf: {"layer_feed_forward": tuple("experts" if routed(hf, i) else "mlp" for i in range(_depth(hf)))}


def some_experts(**settings: Any) -> Callable[[Any], Settings]:
    """Set what experts are made of; what is a function is asked of the configuration."""

    def read(hf: Any) -> Settings:
        stated: Settings = {name: value(hf) if callable(value) else value for name, value in settings.items()}
        return {"parts": (Experts(**stated),)}

    return read


def normalised(hf: Any) -> str:
    """Read whether scores of the chosen experts are divided by their sum."""
    return "normalised" if hf.norm_topk_prob else "scores"


def one_for_all(field: str) -> Callable[[Any], int]:
    """Read a number that may be given for every layer, and must be the same in all."""

    def read(hf: Any) -> int:
        value = getattr(hf, field)
        values = set(value) if isinstance(value, list) else {value}
        if len(values) != 1:
            raise InputError(
                f"{field} is {value!r} in config.json", "one number in all layers", "use another checkpoint"
            )
        return values.pop()

    return read


def latent_part(hf: Any, **more: float) -> LatentAttention:
    """Read attention through latent vectors as DeepSeek has it from its second version on; `more` of its settings."""
    return LatentAttention(
        key_value_rank=hf.kv_lora_rank,
        plain_width=hf.qk_nope_head_dim,
        rotated_width=hf.qk_rope_head_dim,
        value_width=hf.v_head_dim,
        query_rank=hf.q_lora_rank or 0,
        **more,
    )


def latent_attention(hf: Any, **more: float) -> Settings:
    """Read attention through latent vectors in all layers; `more` of its settings."""
    width = hf.qk_nope_head_dim + hf.qk_rope_head_dim
    return {
        "layer_mixer": ("latent_attention",) * _depth(hf),
        "parts": (latent_part(hf, **more),),
        "key_value_heads": hf.num_attention_heads,
        "head_width": width,
        "rope_width": hf.qk_rope_head_dim,
        "rope_interleaved": bool(getattr(hf, "rope_interleave", True)),
        "attention_scale": width**-0.5 * _stretched(hf.rope_parameters) ** 2,
    }


def _stretched(rope: dict[str, Any]) -> float:
    """Return by how much longer texts raise queries, and keys as well (Peng et al., YaRN, 2023)."""
    factor, share = float(rope.get("factor") or 1), float(rope.get("mscale_all_dim") or 0)
    scaled = rope.get("rope_type", "default") != "default" and factor > 1
    return 0.1 * share * math.log(factor) + 1 if scaled else 1.0


def mixed_rope(hf: Any) -> Settings:
    """Read the rope of a PhiMoE, which states its magnitudes for short and for long texts.

    Texts end where it was first made for: beyond, the reference takes the magnitude of long texts with the frequencies
    of short ones, which is not what the model was published with.
    """
    stated = dict(hf.rope_parameters)
    short, long = stated.pop("short_mscale", None), stated.pop("long_mscale", None)
    if stated.get("rope_type", "default") == "default":
        return {"rope_parameters": stated}
    if not (isinstance(short, int | float) and isinstance(long, int | float) and min(short, long) > 0):
        problem = f"short_mscale is {short!r} and long_mscale {long!r} in rope_parameters"
        raise InputError(problem, "two numbers above 0", "complete config.json")
    length = stated.get("original_max_position_embeddings") or hf.max_position_embeddings
    return {"rope_parameters": stated | {"attention_factor": short}, "max_length": length}


def cohere_experts(hf: Any) -> Settings:
    """Read the experts of a Cohere 2, which may be averaged with what every token goes through."""
    shared = hf.intermediate_size * hf.num_shared_experts
    half = 0.5 if shared and hf.shared_expert_combination_strategy == "average" else 1.0
    softmax = {"scores": "logits", "shares": "softmax"}
    kind = softmax if hf.expert_selection_fn == "softmax" else {"scores": "sigmoid", "shares": normalised}
    return some_experts(
        **LOCAL | {"count": hf.num_experts}, **kind, scale=half, shared_width=shared, shared_scale=half
    )(hf)


def cohere_positions(hf: Any) -> tuple[int, ...]:
    """Say which layers of a Cohere 2 have rotary positions: those with a window, and dense ones that come first."""
    dense = hf.prefix_dense_sliding_window_pattern == 1
    kinds = zip(hf.layer_types, hf.mlp_layer_types, strict=True)
    return tuple(0 if kind == "sliding_attention" or (mlp == "dense" and dense) else -1 for kind, mlp in kinds)


def by_steps(hf: Any, layer: int) -> bool:
    """Say where a Qwen has experts: in every so manyth layer, but for some."""
    return layer not in hf.mlp_only_layers and hf.num_experts > 0 and (layer + 1) % hf.decoder_sparse_step == 0


def after_first(hf: Any, layer: int) -> bool:
    """Say where a DeepSeek has experts: in all layers but the first few."""
    return layer >= hf.first_k_dense_replace


def by_type(hf: Any, layer: int) -> bool:
    """Say which layers have experts where their types are listed."""
    known = {"sparse": True, "dense": False}
    kinds = hf.mlp_layer_types
    if len(kinds) != _depth(hf) or not set(kinds) <= set(known):
        problem = f"mlp_layer_types is {kinds!r} in config.json"
        raise InputError(problem, f"dense or sparse for each of {_depth(hf)} layers", "correct config.json")
    return known[kinds[layer]]


def between(hf: Any, layer: int) -> bool:
    """Say where an Ernie has experts: in every so manyth layer from one to another."""
    inside = hf.moe_layer_start_index <= layer <= hf.moe_layer_end_index
    return inside and (layer + 1) % hf.moe_layer_interval == 0


EVERYWHERE = experts_where(lambda hf, layer: True)
LOCAL: Settings = {
    "count": lambda hf: hf.num_local_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.intermediate_size,
}
QWEN: Settings = {
    "count": lambda hf: hf.num_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.moe_intermediate_size,
    "shares": normalised,
}
# DeepSeek V3 and those after it: the logistic function, a correction, groups, an MLP beside the experts.
DEEPSEEK3: Settings = {
    "count": lambda hf: hf.n_routed_experts,
    "chosen": lambda hf: hf.num_experts_per_tok,
    "width": lambda hf: hf.moe_intermediate_size,
    "scores": "sigmoid",
    "shares": normalised,
    "scale": lambda hf: float(hf.routed_scaling_factor),
    "corrected": True,
    "groups": lambda hf: hf.n_group or 1,
    "chosen_groups": lambda hf: hf.topk_group or 1,
    "shared_width": lambda hf: hf.moe_intermediate_size * (hf.n_shared_experts or 0),
}
